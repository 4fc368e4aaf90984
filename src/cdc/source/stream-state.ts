import type pg from 'pg'
import type { StreamPlace } from '../../events/intent.ts'
import { ProtocolError } from '../wire/protocol-error.ts'

/** What the platform has stored of a stream: which one it is, and how far it was read. */
export interface StreamState {
  /** Null until the slot was first read from. */
  systemIdentifier: string | null
  publicationOid: number | null
  place: StreamPlace
  /**
   * The slot that the position belongs to. Null beside a system identifier in a copy of the platform's database: the
   * original reads the slot.
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
  from cdc_connections c left join cdc_positions p on p.connection_id = c.id where c.id = $1 and c.owns_slot and c.slot_lsn is not null`

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
    read: (lease: LeaseKey) =>
      fenced(`select ${columns} from cdc_positions where connection_id = $1 and fence = $2`, lease),

    /** Before it is created, so that whoever dies in between leaves nothing behind that nobody drops. */
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

    /** After the slot was created: from now on it is known to be ours, whatever its name. */
    created: async (lease: LeaseKey, revision: number, lsn: string): Promise<void> => {
      // A position that belongs to an earlier slot of that name means nothing for this one.
      const { rowCount } = await pool.query(`
        with current as (select c.id, c.slot from cdc_connections c join cdc_positions p on p.connection_id = c.id
            where c.id = $1 and c.revision = $3 and c.owns_slot and p.fence = $2),
          earlier as (update cdc_positions p set system_identifier = null, slot = null from current where p.connection_id = current.id and p.slot = current.slot)
        update cdc_connections c set slot_lsn = $4 from current where c.id = current.id`,
      [lease.connectionId, lease.fence, revision, lsn]
      )
      if (rowCount !== 1) throw new LeaseLostError('another reader holds the lease, or the connection has changed')
    },

    /** Up to where the slot was acknowledged at most; null unless it was created by us and that is confirmed. */
    slotLsn: async ({ connectionId }: LeaseKey): Promise<string | null> => {
      const { rows: [row] } = await pool.query<{ lsn: string | null }>(slotLsnSql, [connectionId])
      return row?.lsn ?? null
    },

    /**
     * What the gap that was accepted is about: nothing of the earlier stream is wanted any more. The position stays
     * without one until `begin`.
     */
    giveUp: (lease: LeaseKey) => fenced(`
      with given as (update cdc_positions set system_identifier = null, slot = null where connection_id = $1 and fence = $2 returning *),
        due as (update cdc_leftovers set is_due = true where connection_id in (select connection_id from given))
      select ${columns} from given`, lease),

    /**
     * From now on, this stream is read, from its beginning; the gap before it was accepted, and what was left elsewhere
     * is not wanted any more.
     */
    begin: (
      lease: LeaseKey, revision: number,
      stream: { systemIdentifier: string, slot: string, publicationOid: number, confirmedLsn: string }
    ) =>
      fenced(
        `
      with current as (select id from cdc_connections where id = $1 and revision = $7 for update),
        begun as (update cdc_positions set system_identifier = $3, slot = $4, publication_oid = $5, confirmed_lsn = $6, commit_lsn = '0/0', change_index = 0
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

    /** The stream is the one that was read by another address: what was made for it is the connection's again. */
    takeBack: async ({ connectionId }: LeaseKey, revision: number): Promise<void> => {
      await pool.query(`
        with back as (delete from cdc_leftovers l using cdc_connections c where c.id = $1 and c.revision = $2 and l.connection_id = c.id and not l.is_due
            and coalesce(l.slot = c.slot, true) and coalesce(l.publication = c.publication, true) returning l.*)
        update cdc_connections set owns_slot = owns_slot or exists (select from back where slot is not null),
          slot_lsn = coalesce(slot_lsn, (select slot_lsn from back where slot is not null limit 1)),
          owns_publication = owns_publication or exists (select from back where publication is not null)
        where id = $1 and exists (select from back)`, [connectionId, revision])
    },

    /** Before the slot is acknowledged up to there. */
    confirm: (lease: LeaseKey, lsn: string) =>
      fenced(
        `
      update cdc_positions set confirmed_lsn = greatest(confirmed_lsn, $3::pg_lsn) where connection_id = $1 and fence = $2 returning ${columns}`,
        lease,
        lsn
      )
  }
}
export type StreamStates = ReturnType<typeof createStreamStates>

/**
 * PostgreSQL's text of a place in the WAL, `16/B374D848`, as a number and back. Throws ProtocolError for a text that is
 * none.
 */
export function parseLsn (text: string): bigint {
  const [, high, low] = /^([0-9a-f]{1,8})\/([0-9a-f]{1,8})$/i.exec(text) ?? []
  if (high === undefined || low === undefined) throw new ProtocolError('A place in the WAL is malformed')
  return (BigInt(`0x${high}`) << 32n) | BigInt(`0x${low}`)
}

const lastLsn = 0xffff_ffff_ffff_ffffn

/**
 * The first place behind the record that begins there: decoding that starts at it passes over a transaction whose
 * commit that is.
 */
export const behind = (lsn: bigint): bigint => lsn < lastLsn ? lsn + 1n : lastLsn

export function formatLsn (lsn: bigint): string {
  return `${(lsn >> 32n).toString(16).toUpperCase()}/${(lsn & 0xffffffffn).toString(16).toUpperCase()}`
}
