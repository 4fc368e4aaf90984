import type pg from 'pg'
import type { Environment, Scope } from '../../../schemas/scope.ts'
import type { LeaseKey } from '../source/stream-state.ts'

/** A connection, and whether somebody reads it. */
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
 * One reader a connection, across all nodes: leases that end unless they are renewed, by the database's clock. Each
 * taking raises the fence, under which its holder writes; an earlier holder that has not noticed yet is refused there.
 */
export function createLeases (pool: pg.Pool, owner: string, leaseMs: number) {
  const until = `clock_timestamp() + interval '${leaseMs} milliseconds'`
  return {
    /** Every connection there is, of all tenants. */
    async connections (): Promise<ConnectionRow[]> {
      const { rows } = await pool.query<Row>({
        name: 'cdc_connections',
        text:
          `select c.id, c.application_id, c.environment, c.revision, c.connection_string_sealed, c.publication, c.slot, c.mark, c.gap_accepted,
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

    /** Undefined when another was faster. */
    async take (connectionId: string): Promise<LeaseKey | undefined> {
      const { rows: [row] } = await pool.query<{ fence: number }>({
        name: 'cdc_lease_take',
        text: `update cdc_positions set lease_owner = $2, lease_expires_at = ${until}, fence = fence + 1
          where connection_id = $1 and (lease_owner is null or lease_expires_at < clock_timestamp()) returning fence`,
        values: [connectionId, owner]
      })
      return row && { connectionId, fence: row.fence }
    },

    /** Answers those that are still ours. */
    async renew (held: readonly LeaseKey[]): Promise<Set<string>> {
      if (held.length === 0) return new Set()
      const { rows } = await pool.query<{ connection_id: string }>({
        name: 'cdc_lease_renew',
        text:
          `update cdc_positions p set lease_expires_at = ${until} from unnest($1::text[], $2::bigint[]) as k(connection_id, fence)
          where p.connection_id = k.connection_id and p.fence = k.fence and p.lease_owner = $3 returning p.connection_id`,
        values: [held.map(lease => lease.connectionId), held.map(lease => lease.fence), owner]
      })
      return new Set(rows.map(row => row.connection_id))
    },

    /** Whoever comes next need not wait for its end. */
    async release ({ connectionId, fence }: LeaseKey): Promise<void> {
      await pool.query(
        "update cdc_positions set lease_owner = null, lease_expires_at = '-infinity' where connection_id = $1 and fence = $2 and lease_owner = $3",
        [connectionId, fence, owner]
      )
    }
  }
}
export type Leases = ReturnType<typeof createLeases>
