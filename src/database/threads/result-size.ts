import { ProtocolError } from '../wire/protocol-error.ts'

/** Values, with those within JSON: the main thread has to take them in one go. 2,000 tables with 100 columns have 800,000. */
const valuesMax = 1_000_000
const depthMax = 32

/** Throws ProtocolError for rows that would hold up the thread that receives them. */
export function requireBounded (rows: readonly object[]): void {
  let values = 0
  const count = (value: unknown, depth: number): void => {
    if (++values > valuesMax || depth > depthMax) throw new ProtocolError('An answer has more values than are allowed')
    if (typeof value !== 'object' || value === null || value instanceof Date || Buffer.isBuffer(value)) return
    for (const member of Object.values(value)) count(member, depth + 1)
  }
  for (const row of rows) count(row, 0)
}
