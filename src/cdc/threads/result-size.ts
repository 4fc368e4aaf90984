import { ProtocolError } from '../wire/protocol-error.ts'

/**
 * The limit for values, including those within JSON: the main thread receives them all at once. A table with 10,000
 * partitions has about 130,000.
 */
const valuesMax = 250_000
/** The limit for one text. Names are shorter; the row filter or the comment of a publication may be long. */
const textMax = 64 * 1024
const depthMax = 32

/**
 * Throws ProtocolError for rows that would block the receiving thread, or that contain texts longer than any query
 * needs.
 */
export function requireBounded (rows: readonly object[]): void {
  let values = 0
  const count = (value: unknown, depth: number): void => {
    if (++values > valuesMax || depth > depthMax) {
      throw new ProtocolError(`An answer has more than ${valuesMax} values or ${depthMax} levels`)
    }
    if (typeof value === 'string' && value.length > textMax) {
      throw new ProtocolError(`An answer has a text of more than ${textMax} characters`)
    }
    if (typeof value !== 'object' || value === null || value instanceof Date || Buffer.isBuffer(value)) return
    for (const member of Object.values(value)) count(member, depth + 1)
  }
  for (const row of rows) count(row, 0)
}
