import { ProtocolError } from '../wire/protocol-error.ts'

/**
 * Values, with those within JSON: the main thread has to take them in one go. A table with 10,000 partitions has about
 * 130,000.
 */
const valuesMax = 250_000
/** Of one text. Names are shorter; the row filter of a publication and the comment on one need not be. */
const textMax = 64 * 1024
const depthMax = 32

/** Throws ProtocolError for rows that would hold up the thread that receives them, or have texts that nothing needs. */
export function requireBounded (rows: readonly object[]): void {
  let values = 0
  const count = (value: unknown, depth: number): void => {
    if (++values > valuesMax || depth > depthMax) throw new ProtocolError('An answer has more values than are allowed')
    if (typeof value === 'string' && value.length > textMax) { throw new ProtocolError(`An answer has a text that is longer than the ${textMax} characters that are allowed`) }
    if (typeof value !== 'object' || value === null || value instanceof Date || Buffer.isBuffer(value)) return
    for (const member of Object.values(value)) count(member, depth + 1)
  }
  for (const row of rows) count(row, 0)
}
