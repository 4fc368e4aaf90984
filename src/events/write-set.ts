import type pg from 'pg'
import { StaleBatchError } from './batch-errors.ts'
import { LoggedEvent } from './envelope.ts'
import * as statements from './statements.ts'

/**
 * Writes a set and returns its events. Throws StaleBatchError if a fact of the set has changed, or if a document was
 * created meanwhile. Sends its statement synchronously.
 */
export async function writeSet (set: statements.WriteSet, client: pg.PoolClient): Promise<LoggedEvent[]> {
  const { rows } = await client.query<statements.WrittenLog>(statements.write(set))
  if (set.facts !== undefined && rows.length === 0) {
    throw new StaleBatchError('a topic or webhook has changed meanwhile')
  }
  if (set.inserts.length > 0 && (rows[0]?.inserted ?? 0) !== set.inserts.length) {
    throw new StaleBatchError('a document was created meanwhile')
  }
  const heads = new Array<statements.WrittenLog>(set.logs.length)
  for (const row of rows) heads[row.ordinal - 1] = row
  return set.events.map(({ draft, id, log, back }) => {
    const { head_offset: head, epoch, head_at: timestamp } = heads[log] as statements.WrittenLog
    const { scope } = set.logs[log] as statements.LogGrowth
    return new LoggedEvent(scope, draft, { id, offset: head - back, epoch, timestamp })
  })
}
