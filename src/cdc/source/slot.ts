import { setTimeout as sleep } from 'node:timers/promises'
import { createDeadline, unlessAborted } from './deadline.ts'
import { SourceError, type Queryable, type SourceClient } from './source.ts'
import { quoteIdentifier } from '../mappings/table-name.ts'
import { parseLsn } from './stream-state.ts'
import { carriesMark, publicationComment } from './slot-ownership.ts'

/** The oldest supported major version. */
export const oldestVersion = 140_000
/** From this version on, stored generated columns can be published. */
const generatedColumnsVersion = 180_000
const slotFreeMs = 5000
const watchEveryMs = 1000
const answerMaxMs = 10_000

export interface SlotRow {
  database: string | null
  /** Whether the slot decodes the database of the session that read it. */
  isHere: boolean
  plugin: string | null
  active: boolean
  activePid: number | null
  /**
   * The application name of the session that holds the slot. Null if there is none, or if it belongs to another role.
   */
  activeName: string | null
  walStatus: string | null
  confirmedLsn: string | null
}

/** The record of a slot that the connection created. */
export interface SlotRecord {
  name: string
  /** Whether the name contains the connection's mark. */
  isMarked: boolean
  /** The slot was never acknowledged beyond it. Null until its creation by this connection is confirmed. */
  lsn: string | null
  /** Ends the application names of the platform's sessions that hold it. */
  session: string
}

/**
 * Returns whether this connection created the slot. A name that a user chose proves nothing: another program may have
 * created the slot before, or after the connection's own was dropped. Such a slot is further on than the connection's
 * own ever was.
 */
export function isOwnSlot (slot: SlotRow, { isMarked, lsn }: Pick<SlotRecord, 'isMarked' | 'lsn'>): boolean {
  if (!slot.isHere || slot.plugin !== 'pgoutput') return false
  return isMarked || (lsn !== null && slot.confirmedLsn !== null && parseLsn(slot.confirmedLsn) <= parseLsn(lsn))
}

/** Describes a foreign slot and what to do about it. */
export function foreignSlot (slot: SlotRow): SourceError {
  const whose = slot.isHere
    ? ''
    : ` of ${slot.database === null ? 'physical replication' : `the database ${slot.database}`}`
  return slot.active
    ? new SourceError('SLOT_BUSY', whose === '' ? undefined : `(a slot${whose})`)
    : new SourceError('SLOT_FOREIGN', whose === '' ? undefined : `(a slot${whose})`)
}

export interface ServerFacts { version: number, walLevel: string }

export async function readFacts (client: Queryable): Promise<ServerFacts> {
  const { rows: [row] } = await client.query<{ version: number, wal_level: string }>(
    "select current_setting('server_version_num')::int as version, current_setting('wal_level') as wal_level"
  )
  if (typeof row?.version !== 'number' || typeof row.wal_level !== 'string') {
    throw new SourceError('SOURCE_PROTOCOL', '(the result of a query is malformed)')
  }
  if (row.version < oldestVersion) throw new SourceError('SOURCE_UNSUPPORTED')
  return { version: row.version, walLevel: row.wal_level }
}

/** `timeline` is int4 before PostgreSQL 16, int8 since. */
interface IdentifiedSystem { systemid: string, timeline: unknown, xlogpos: string, dbname: string | null }

/**
 * Reads the number that initdb generated; another number is another cluster, even at the same address. Requires the
 * privilege to replicate.
 */
export async function readSystemIdentifier (client: SourceClient): Promise<string> {
  const session = await client.another({ replication: 'database', statement_timeout: false, lock_timeout: 0 })
  try {
    const { rows: [row] } = await session.query<IdentifiedSystem>('IDENTIFY_SYSTEM')
    return String(row?.systemid)
  } finally {
    await session.close()
  }
}

export async function readSlot (client: Queryable, name: string): Promise<SlotRow | undefined> {
  const { rows: [row] } = await client.query<SlotRow>(`
    select s.database::text, coalesce(s.database = current_database(), false) as "isHere", s.plugin::text,
      s.active, s.active_pid as "activePid",
      a.application_name as "activeName", s.wal_status as "walStatus", s.confirmed_flush_lsn::text as "confirmedLsn"
    from pg_replication_slots s left join pg_stat_activity a on a.pid = s.active_pid where s.slot_name = $1`, [name])
  return row
}

export async function readPublication (
  client: Queryable, name: string
): Promise<{ oid: number, comment: string | null } | undefined> {
  const { rows: [row] } = await client.query<{ oid: number, comment: string | null }>(
    "select oid::bigint::float8 as oid, obj_description(oid, 'pg_publication') as comment " +
      'from pg_publication where pubname = $1',
    [name]
  )
  return row
}

export const isOwnPublication = (name: string, { comment }: { comment: string | null }, mark: string): boolean =>
  carriesMark(name, mark) || comment === publicationComment(mark)

/** Creates a publication and its mark in one query, and so in one transaction: it is never without the mark. */
export async function createPublication (
  client: Queryable, name: string, version: number, mark: string
): Promise<void> {
  const comment = `COMMENT ON PUBLICATION ${quoteIdentifier(name)} IS '${publicationComment(mark)}';`
  await client.query(`${createPublicationSql(name, version)} ${comment}`)
}

/** Truncates are published so that they can be logged. Partitions arrive under the table that they belong to. */
export function createPublicationSql (name: string, version: number): string {
  const generated = version >= generatedColumnsVersion ? ', publish_generated_columns = stored' : ''
  return `CREATE PUBLICATION ${
    quoteIdentifier(name)
  } WITH (publish = 'insert, update, delete, truncate', publish_via_partition_root = true${generated});`
}

export interface SlotCreation {
  /** Marks the session that creates the slot. */
  session: string
  signal: AbortSignal
  /** Called about once a second while PostgreSQL waits: `SLOT_WAITS`. */
  onWaiting (problem: SourceError): void
}

/**
 * Creates a slot and returns where its stream begins. PostgreSQL waits for every transaction that is writing on the
 * server, then for those that began meanwhile. Retrying would not be faster, so only `signal` limits the time.
 */
export async function createSlot (
  client: SourceClient, name: string, { session: mark, signal, onWaiting }: SlotCreation
): Promise<string> {
  // In a session of its own, which `client` watches meanwhile.
  const session = await client.another({ statement_timeout: false, lock_timeout: 0, query_timeout: 0, mark })
  const done = new AbortController()
  try {
    const pid = await liftLimits(session, signal)
    const creating = session.query<{ lsn: string }>(
      "select lsn::text from pg_create_logical_replication_slot($1, 'pgoutput')", [name]
    )
    const watching = watchCreation(client, pid, AbortSignal.any([signal, done.signal]), onWaiting)
    for (const promise of [creating, watching]) promise.catch(() => {})
    const { rows: [row] } = await Promise.race([creating, watching])
    if (row === undefined) throw new Error('the server returned no row for the created slot')
    return row.lsn
  } finally {
    done.abort()
    await session.close()
  }
}

/**
 * Removes the limits that may be set for the role, and returns the session's process ID. This query has no limit of its
 * own either.
 */
async function liftLimits (session: Queryable, signal: AbortSignal): Promise<number> {
  const tooLate = createDeadline(answerMaxMs, new SourceError('SOURCE_UNREACHABLE', '(before the slot was created)'))
  try {
    const { rows: [own] } = await unlessAborted(session.query<{ pid: number, lifted: string }>(`
      select pg_backend_pid() as pid, (
        select count(set_config(name, '0', false)) from pg_settings
        where name in ('statement_timeout', 'lock_timeout', 'transaction_timeout')) as lifted`),
    AbortSignal.any([signal, tooLate.signal]))
    if (typeof own?.pid !== 'number') throw new SourceError('SOURCE_PROTOCOL', '(the result of a query is malformed)')
    return own.pid
  } finally {
    tooLate.clear()
  }
}

/** Reports what the creation waits for until `signal` aborts; then cancels the creation. */
async function watchCreation (
  client: Queryable, pid: number, signal: AbortSignal, onWaiting: (problem: SourceError) => void
): Promise<never> {
  try {
    for (;;) {
      await sleep(watchEveryMs, undefined, { signal })
      const { rows: [blocker] } = await client.query<{ pid: number, role: string | null, since: Date | null }>(
        `
        select b.pid, a.usename::text as role, a.xact_start as since
        from unnest(pg_blocking_pids($1)) b(pid) left join pg_stat_activity a on a.pid = b.pid limit 1`,
        [pid]
      )
      if (blocker === undefined) continue
      const who = blocker.pid === 0
        ? 'a prepared transaction'
        : `process ${blocker.pid}${blocker.role === null ? '' : `, role ${blocker.role}`}`
      onWaiting(
        new SourceError(
          'SLOT_WAITS',
          `(waiting for ${who}${blocker.since === null ? '' : `, open since ${blocker.since.toISOString()}`})`
        )
      )
    }
  } catch (error) {
    if (!signal.aborted) {
      throw new SourceError('SOURCE_UNREACHABLE', '(while the slot was being created)', { cause: error })
    }
    await client.query('select pg_cancel_backend($1)', [pid]).catch(() => {})
    throw error
  }
}

/**
 * Ends the platform's own session that still holds the slot: its reader lost the lease, or was killed before the server
 * noticed. Never ends a session of another program. Throws SourceError `SLOT_BUSY` when the slot does not become free.
 */
export async function freeSlot (
  client: Queryable, { name, session }: Pick<SlotRecord, 'name' | 'session'>
): Promise<void> {
  const deadline = performance.now() + slotFreeMs
  for (;;) {
    const slot = await readSlot(client, name)
    if (slot?.activePid == null) return
    if (performance.now() > deadline) throw new SourceError('SLOT_BUSY')
    await client.query(
      "select pg_terminate_backend(pid) from pg_stat_activity where pid = $1 and application_name like '% ' || $2",
      [slot.activePid, session]
    )
    await sleep(50)
  }
}

/**
 * Drops a slot that the connection created; does not touch a foreign slot of that name. Accepts that the slot is gone,
 * or that another session is dropping it. Throws SourceError `SLOT_BUSY` if it still exists after a few seconds.
 */
export async function dropSlot (client: Queryable, record: SlotRecord): Promise<'dropped' | 'foreign'> {
  const deadline = performance.now() + slotFreeMs
  for (let attempts = 0; ; attempts++) {
    const slot = await readSlot(client, record.name)
    if (slot === undefined) return 'dropped'
    if (!isOwnSlot(slot, record)) return 'foreign'
    if (attempts > 0 && performance.now() > deadline) throw new SourceError('SLOT_BUSY')
    if (attempts > 0) await sleep(50)
    await freeSlot(client, record)
    try {
      // The statement compares the position again. If the slot has changed hands, it drops nothing, and the next round
      // sees the new slot.
      await client.query(`
        select pg_drop_replication_slot(slot_name) from pg_replication_slots
        where slot_name = $1 and database = current_database() and confirmed_flush_lsn is not distinct from $2::pg_lsn`,
      [record.name, slot.confirmedLsn]
      )
    } catch (error) {
      const { code } = error as { code?: string }
      // The slot was dropped, or another session has taken it.
      if (code !== '42704' && code !== '55006') throw error
    }
  }
}

export const dropSlotSql = (name: string): string => `SELECT pg_drop_replication_slot('${name}');`
export const dropPublicationSql = (name: string): string => `DROP PUBLICATION IF EXISTS ${quoteIdentifier(name)};`
