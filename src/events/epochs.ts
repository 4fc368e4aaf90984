import { createHash } from 'node:crypto'
import type pg from 'pg'
import type { Scope } from '../../schemas/scope.ts'

/** The epoch that a topic's log has from its first event on. */
export type EpochOf = (scope: Scope, topic: string) => string

/**
 * A log is made by its first event, and subscribers know its epoch before: it follows from the topic and a seed of the
 * database. So nothing is stored for a topic that somebody listens to and nobody writes.
 */
export async function readEpochs (pool: pg.Pool): Promise<EpochOf> {
  const { rows: [row] } = await pool.query<{ seed: string }>('select seed from epoch_seed')
  if (row === undefined) throw new Error('the table epoch_seed is empty: insert a row with a seed of your choice')
  return createEpochs(row.seed)
}

/** The same with a seed that is known. */
export function createEpochs (seed: string): EpochOf {
  return ({ applicationId, environment }, topic) =>
    createHash('sha256').update(`${seed}/${applicationId}/${environment}/${topic}`).digest('base64url').slice(0, 16)
}
