import type pg from 'pg'
import type { Environment, Scope } from '../../../schemas/scope.ts'
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
 * Leases that give each connection at most one reader across all nodes. They expire by the database's clock unless they
 * are renewed. Taking a lease raises the fence under which its holder writes, so writes of an earlier holder are
 * refused.
 */
export function createLeases (pool: pg.Pool, owner: string, leaseMs: number) {
  const until = `clock_timestamp() + interval '${leaseMs} milliseconds'`
  return {
    /** Returns all connections, across all tenants. */
    async connections (): Promise<ConnectionRow[]> {
      const { rows } = await pool.query<Row>({
        name: 'cdc_connections',
        text:
          `select c.id, c.application_id, c.environment, c.revision, c.connection_string_sealed, c.publication, c.slot,
            c.mark, c.gap_accepted,
            p.lease_owner is null or p.lease_expires_at < clock_timestamp() as is_free
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
      const { rows: [row] } = await pool.query<{ fence: number }>({
        name: 'cdc_lease_take',
        text: `update cdc_positions set lease_owner = $2, lease_expires_at = ${until}, fence = fence + 1
          where connection_id = $1 and (lease_owner is null or lease_expires_at < clock_timestamp()) returning fence`,
        values: [connectionId, owner]
      })
      return row && { connectionId, fence: row.fence }
    },

    /** Returns the leases that this node still holds. */
    async renew (held: readonly LeaseKey[]): Promise<Set<string>> {
      if (held.length === 0) return new Set()
      const { rows } = await pool.query<{ connection_id: string }>({
        name: 'cdc_lease_renew',
        text:
          `update cdc_positions p set lease_expires_at = ${until}
          from unnest($1::text[], $2::bigint[]) as k(connection_id, fence)
          where p.connection_id = k.connection_id and p.fence = k.fence and p.lease_owner = $3
          returning p.connection_id`,
        values: [held.map(lease => lease.connectionId), held.map(lease => lease.fence), owner]
      })
      return new Set(rows.map(row => row.connection_id))
    },

    /** Frees the lease, so that the next holder need not wait until it expires. */
    async release ({ connectionId, fence }: LeaseKey): Promise<void> {
      await pool.query(
        `update cdc_positions set lease_owner = null, lease_expires_at = '-infinity'
        where connection_id = $1 and fence = $2 and lease_owner = $3`,
        [connectionId, fence, owner]
      )
    }
  }
}
export type Leases = ReturnType<typeof createLeases>
