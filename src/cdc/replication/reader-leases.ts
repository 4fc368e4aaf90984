import type pg from 'pg'
import type { Environment, Scope } from '../../../schemas/scope.ts'
import { createLeases, isFreeSql, type Lease } from '../../cluster/leases.ts'
import type { LeaseKey } from '../source/stream-state.ts'

/** A connection, and whether its lease is free. */
export interface ConnectionRow {
  id: string
  scope: Scope
  revision: number
  sealed: string
  publication: string
  slot: string
  mark: string
  gapAccepted: boolean
  isFree: boolean
}

interface Row {
  id: string
  application_id: string
  environment: Environment
  revision: number
  connection_string_sealed: string
  publication: string
  slot: string
  mark: string
  gap_accepted: boolean
  is_free: boolean
}

/**
 * Leases that give each connection at most one reader across all nodes. The row of its position has the lease, so that
 * each step of the stream compares the fence. A reader goes on after an outage of the platform's database, unless
 * another node has taken its lease.
 */
export function createReaderLeases (pool: pg.Pool, node: string, leaseMs: number) {
  const leases = createLeases({
    pool, table: 'cdc_positions', keyColumn: 'connection_id', node, leaseMs, mayRenewLate: true
  })
  return {
    /** Returns all connections, across all tenants. */
    async connections (): Promise<ConnectionRow[]> {
      const { rows } = await pool.query<Row>({
        name: 'cdc_connections',
        text:
          `select c.id, c.application_id, c.environment, c.revision, c.connection_string_sealed, c.publication, c.slot,
            c.mark, c.gap_accepted, ${isFreeSql} as is_free
          from cdc_connections c join cdc_positions p on p.connection_id = c.id order by c.id`
      })
      return rows.map(row => ({
        id: row.id,
        scope: { applicationId: row.application_id, environment: row.environment },
        revision: row.revision,
        sealed: row.connection_string_sealed,
        publication: row.publication,
        slot: row.slot,
        mark: row.mark,
        gapAccepted: row.gap_accepted,
        isFree: row.is_free
      }))
    },

    /** Returns undefined when another node has taken it. */
    async take (connectionId: string): Promise<LeaseKey | undefined> {
      const lease = await leases.take(connectionId)
      return lease && { connectionId, fence: lease.fence }
    },

    /** Returns the leases that this node still holds. */
    renew: (held: readonly LeaseKey[]): Promise<Set<string>> => leases.renewAll(held.map(toLease)),

    /** Frees the lease, so that the next holder need not wait until it expires. */
    release: (held: LeaseKey): Promise<void> => leases.release(toLease(held))
  }
}
export type ReaderLeases = ReturnType<typeof createReaderLeases>

const toLease = ({ connectionId, fence }: LeaseKey): Lease => ({ key: connectionId, fence })
