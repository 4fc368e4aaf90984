import { createHash } from 'node:crypto'
import type pg from 'pg'
import type { Scope } from '../../schemas/scope.ts'

/** Returns the epoch of a topic's log. */
export type EpochOf = (scope: Scope, topic: string) => string

/**
 * Reads the database's seed and returns a function that derives epochs from it. The first event creates a log, but
 * subscribers need the epoch earlier. Because the epoch is derived, a topic without events needs no row.
 */
export async function readEpochs (pool: pg.Pool): Promise<EpochOf> {
  const { rows: [row] } = await pool.query<{ seed: string }>('select seed from epoch_seed')
  if (row === undefined) throw new Error('the table epoch_seed is empty: insert a row with a seed of your choice')
  return createEpochs(row.seed)
}

/** Returns the same function for a given seed. */
export function createEpochs (seed: string): EpochOf {
  return ({ applicationId, environment }, topic) =>
    createHash('sha256').update(`${seed}/${applicationId}/${environment}/${topic}`).digest('base64url').slice(0, 16)
}
