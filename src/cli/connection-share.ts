import { createPool } from '../../db/connection.ts'
import { StartError } from './start-failure.ts'

/** Connections of a node outside its main pool: for traces, for webhooks, and two more during its start. */
const besidePool = 8
const poolMax = 16
const poolMin = 4
/** The share of PostgreSQL's connections that the workers may use. */
const usableShare = 0.9

/** Returns the limit of connections that PostgreSQL needs for that many workers with full pools. */
export const connectionsNeeded = (workers: number): number => Math.ceil(workers * (poolMax + besidePool) / usableShare)

/**
 * Returns the size of each worker's main pool, with which all workers together stay below the limit of connections.
 * Throws StartError if that is too small.
 */
export function poolShare (workers: number, connectionsMax: number): number {
  const share = Math.floor(connectionsMax * usableShare / workers) - besidePool
  if (share >= poolMin) return Math.min(poolMax, share)
  const possible = Math.floor(connectionsMax * usableShare / (poolMin + besidePool))
  throw new StartError(
    `WORKERS: PostgreSQL allows ${connectionsMax} connections, which is enough for ${possible} workers, not for ` +
      `${workers}. Raise max_connections, or set WORKERS to ${possible}.`
  )
}

/** Returns how many connections PostgreSQL allows to users without special rights. */
export async function readConnectionsMax (connectionString: string): Promise<number> {
  const pool = createPool({ connectionString, max: 1, applicationName: 'realtime-start' })
  try {
    const { rows: [row] } = await pool.query<{ usable: number }>(
      "select current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int " +
        'as usable'
    )
    return row?.usable ?? 0
  } finally {
    await pool.end()
  }
}
