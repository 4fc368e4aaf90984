import type pg from 'pg'
import type { StreamPlace } from '../../events/intent.ts'
import { ProtocolError } from '../wire/protocol-error.ts'

/** The stored state of a stream: which stream it is, and how far it was read. */
export interface StreamState {
  /** Null until the slot was first read from. */
  systemIdentifier: string | null
  publicationOid: number | null
  place: StreamPlace
  /**
   * The slot that the position belongs to. In a copy of the platform's database it is null while the system identifier
   * is set: the original reads the slot.
   */
  slot: string | null
  /** The slot was never acknowledged beyond it. */
  confirmedLsn: string
}

export interface LeaseKey { connectionId: string, fence: number }

const columns = 'system_identifier, slot, publication_oid, commit_lsn, change_index, confirmed_lsn'
interface Row {
  system_identifier: string | null
  slot: string | null
  publication_oid: number | null
  commit_lsn: string
  change_index: number
  confirmed_lsn: string
}

const toState = (row: Row): StreamState => ({
  systemIdentifier: row.system_identifier,
  publicationOid: row.publication_oid,
  slot: row.slot,
  place: { commitLsn: row.commit_lsn, changeIndex: row.change_index },
  confirmedLsn: row.confirmed_lsn
})

const slotLsnSql = `
  select greatest(c.slot_lsn, case when p.slot = c.slot then p.confirmed_lsn end)::text as lsn
  from cdc_connections c left join cdc_positions p on p.connection_id = c.id
  where c.id = $1 and c.owns_slot and c.slot_lsn is not null`

/** Thrown when another reader holds the lease, or the connection was deleted. */
export class LeaseLostError extends Error {}

/** Every method is fenced: a reader that has lost its lease reads and changes nothing. */
export function createStreamStates (pool: pg.Pool) {
  const fenced = async (sql: string, lease: LeaseKey, ...values: unknown[]) => {
    const { rows: [row] } = await pool.query<Row>(sql, [lease.connectionId, lease.fence, ...values])
    if (row === undefined) throw new LeaseLostError('another reader holds the lease')
    return toState(row)
  }
  return {
    read: (lease: LeaseKey) =>
      fenced(`select ${columns} from cdc_positions where connection_id = $1 and fence = $2`, lease),

    /** Records ownership before the slot or publication is created, so that a leftover of a dead reader is dropped. */
    own: async (lease: LeaseKey, revision: number, part: 'slot' | 'publication', isOwned: boolean): Promise<void> => {
      const { rowCount } = await pool.query(
        `update cdc_connections c set owns_${part} = $4${
          part === 'slot' ? ', slot_lsn = null' : ''
        } from cdc_positions p
        where c.id = $1 and c.revision = $3 and p.connection_id = c.id and p.fence = $2`,
        [lease.connectionId, lease.fence, revision, isOwned]
      )
      if (rowCount !== 1) throw new LeaseLostError('another reader holds the lease, or the connection has changed')
    },

    /** Records that the slot was created. From now on it belongs to the connection, even under another name. */
    created: async (lease: LeaseKey, revision: number, lsn: string): Promise<void> => {
      // A position of an earlier slot of that name does not apply to this one.
      const { rowCount } = await pool.query(`
        with current as (select c.id, c.slot from cdc_connections c join cdc_positions p on p.connection_id = c.id
            where c.id = $1 and c.revision = $3 and c.owns_slot and p.fence = $2),
          earlier as (
            update cdc_positions p set system_identifier = null, slot = null
            from current where p.connection_id = current.id and p.slot = current.slot)
        update cdc_connections c set slot_lsn = $4 from current where c.id = current.id`,
      [lease.connectionId, lease.fence, revision, lsn]
      )
      if (rowCount !== 1) throw new LeaseLostError('another reader holds the lease, or the connection has changed')
    },

    /**
     * Returns up to where the slot was acknowledged at most; null unless its creation by this connection is confirmed.
     */
    slotLsn: async ({ connectionId }: LeaseKey): Promise<string | null> => {
      const { rows: [row] } = await pool.query<{ lsn: string | null }>(slotLsnSql, [connectionId])
      return row?.lsn ?? null
    },

    /** Discards the earlier stream after a gap was accepted. The connection has no position until `begin`. */
    giveUp: (lease: LeaseKey) => fenced(`
      with given as (
          update cdc_positions set system_identifier = null, slot = null
          where connection_id = $1 and fence = $2 returning *),
        due as (update cdc_leftovers set is_due = true where connection_id in (select connection_id from given))
      select ${columns} from given`, lease),

    /**
     * Starts reading this stream from its beginning. Clears the accepted gap and makes leftovers elsewhere due for
     * cleanup.
     */
    begin: (
      lease: LeaseKey, revision: number,
      stream: { systemIdentifier: string, slot: string, publicationOid: number, confirmedLsn: string }
    ) =>
      fenced(
        `
      with current as (select id from cdc_connections where id = $1 and revision = $7 for update),
        begun as (
          update cdc_positions set system_identifier = $3, slot = $4, publication_oid = $5, confirmed_lsn = $6,
            commit_lsn = '0/0', change_index = 0
          where connection_id in (select id from current) and fence = $2 returning *),
        accepted as (update cdc_connections set gap_accepted = false where id in (select connection_id from begun)),
        due as (update cdc_leftovers set is_due = true where connection_id in (select connection_id from begun))
      select ${columns} from begun`,
        lease,
        stream.systemIdentifier,
        stream.slot,
        stream.publicationOid,
        stream.confirmedLsn,
        revision
      ),

    /** Restores ownership when the stream turns out to be the one that was read under another address. */
    takeBack: async ({ connectionId }: LeaseKey, revision: number): Promise<void> => {
      await pool.query(`
        with back as (
          delete from cdc_leftovers l using cdc_connections c
          where c.id = $1 and c.revision = $2 and l.connection_id = c.id and not l.is_due
            and coalesce(l.slot = c.slot, true) and coalesce(l.publication = c.publication, true) returning l.*)
        update cdc_connections set owns_slot = owns_slot or exists (select from back where slot is not null),
          slot_lsn = coalesce(slot_lsn, (select slot_lsn from back where slot is not null limit 1)),
          owns_publication = owns_publication or exists (select from back where publication is not null)
        where id = $1 and exists (select from back)`, [connectionId, revision])
    },

    /** Records an acknowledgement. Call it before the slot is acknowledged up to there. */
    confirm: (lease: LeaseKey, lsn: string) =>
      fenced(
        `
      update cdc_positions set confirmed_lsn = greatest(confirmed_lsn, $3::pg_lsn)
      where connection_id = $1 and fence = $2 returning ${columns}`,
        lease,
        lsn
      )
  }
}
export type StreamStates = ReturnType<typeof createStreamStates>

/** Parses PostgreSQL's text of an LSN, such as `16/B374D848`. Throws ProtocolError if the text is malformed. */
export function parseLsn (text: string): bigint {
  const [, high, low] = /^([0-9a-f]{1,8})\/([0-9a-f]{1,8})$/i.exec(text) ?? []
  if (high === undefined || low === undefined) throw new ProtocolError('An LSN is malformed')
  return (BigInt(`0x${high}`) << 32n) | BigInt(`0x${low}`)
}

const lastLsn = 0xffff_ffff_ffff_ffffn

/**
 * Returns the first LSN after the start of a record. Decoding that starts there skips the transaction that commits with
 * that record.
 */
export const behind = (lsn: bigint): bigint => lsn < lastLsn ? lsn + 1n : lastLsn

export function formatLsn (lsn: bigint): string {
  return `${(lsn >> 32n).toString(16).toUpperCase()}/${(lsn & 0xffffffffn).toString(16).toUpperCase()}`
}
