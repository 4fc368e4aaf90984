import type pg from 'pg'
import type { StreamPlace } from '../../events/intent.ts'

/** What the platform has stored of a stream: which one it is, and how far it was read. */
export interface StreamState {
  /** Null until the slot was first read from. */
  systemIdentifier: string | null
  publicationOid: number | null
  place: StreamPlace
  /** The slot was never acknowledged beyond it. */
  confirmedLsn: string
}

export interface LeaseKey { connectionId: string, fence: number }

const columns = 'system_identifier, publication_oid, commit_lsn, change_index, confirmed_lsn'
interface Row { system_identifier: string | null, publication_oid: number | null, commit_lsn: string, change_index: number, confirmed_lsn: string }

const toState = (row: Row): StreamState => ({
  systemIdentifier: row.system_identifier,
  publicationOid: row.publication_oid,
  place: { commitLsn: row.commit_lsn, changeIndex: row.change_index },
  confirmedLsn: row.confirmed_lsn
})

/** Thrown when the lease under which the stream is read has passed to another, or the connection is gone. */
export class LeaseLostError extends Error {}

/** Each of these is fenced: who no longer holds the lease reads nothing and changes nothing. */
export function createStreamStates (pool: pg.Pool) {
  const fenced = async (sql: string, lease: LeaseKey, ...values: unknown[]) => {
    const { rows: [row] } = await pool.query<Row>(sql, [lease.connectionId, lease.fence, ...values])
    if (row === undefined) throw new LeaseLostError('another reader holds the lease')
    return toState(row)
  }
  return {
    read: (lease: LeaseKey) => fenced(`select ${columns} from cdc_positions where connection_id = $1 and fence = $2`, lease),

    /** From now on, this stream is read, from its beginning. */
    begin: (lease: LeaseKey, stream: { systemIdentifier: string, slot: string, publicationOid: number, confirmedLsn: string }) => fenced(`
      update cdc_positions set system_identifier = $3, slot = $4, publication_oid = $5, confirmed_lsn = $6, commit_lsn = '0/0', change_index = 0
      where connection_id = $1 and fence = $2 returning ${columns}`, lease, stream.systemIdentifier, stream.slot, stream.publicationOid, stream.confirmedLsn),

    /** Before the slot is acknowledged up to there. */
    confirm: (lease: LeaseKey, lsn: string) => fenced(`
      update cdc_positions set confirmed_lsn = greatest(confirmed_lsn, $3::pg_lsn) where connection_id = $1 and fence = $2 returning ${columns}`, lease, lsn)
  }
}
export type StreamStates = ReturnType<typeof createStreamStates>
