import { setTimeout as sleep } from 'node:timers/promises'
import { createDeadline, unlessAborted } from './deadline.ts'
import { SourceError, type Queryable, type SourceClient } from './source.ts'
import { quoteIdentifier } from '../mappings/table-name.ts'
import { parseLsn } from './stream-state.ts'
import { carriesMark, publicationComment } from './slot-ownership.ts'

/** The oldest major version that is supported. */
export const oldestVersion = 140_000
/** From here on, stored generated columns can be published. */
const generatedColumnsVersion = 180_000
const slotFreeMs = 5000
const watchEveryMs = 1000
const answerMaxMs = 10_000

export interface SlotRow {
  database: string | null
  /** Whether it decodes the database of the session that read it. */
  isHere: boolean
  plugin: string | null
  active: boolean
  activePid: number | null
  /** The application name of the session that holds it. Null when there is none, or when it belongs to another role. */
  activeName: string | null
  walStatus: string | null
  confirmedLsn: string | null
}

/** What we know about a slot that we created. */
export interface SlotRecord {
  name: string
  /** Whether the name carries the connection's mark. */
  isMarked: boolean
  /** The slot was never acknowledged beyond it. Null when its creation was not confirmed, or not ours. */
  lsn: string | null
  /** Ends the application names of our sessions that hold it. */
  session: string
}

/**
 * Whether we created the slot. A name that a user chose proves nothing: another program may have created the slot
 * before we did, or after ours was dropped. Then it is further than ours ever was.
 */
export function isOwnSlot (slot: SlotRow, { isMarked, lsn }: Pick<SlotRecord, 'isMarked' | 'lsn'>): boolean {
  if (!slot.isHere || slot.plugin !== 'pgoutput') return false
  return isMarked || (lsn !== null && slot.confirmedLsn !== null && parseLsn(slot.confirmedLsn) <= parseLsn(lsn))
}

/** Describes a slot that is not ours, and how to go on. */
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
  if (typeof row?.version !== 'number' || typeof row.wal_level !== 'string') { throw new SourceError('SOURCE_PROTOCOL', '(it does not answer what was asked)') }
  if (row.version < oldestVersion) throw new SourceError('SOURCE_UNSUPPORTED')
  return { version: row.version, walLevel: row.wal_level }
}

/**
 * A number that initdb draws: another one is another cluster, whatever its address. Asking for it takes the privilege
 * to replicate.
 */
export async function readSystemIdentifier (client: SourceClient): Promise<string> {
  const session = await client.another({ replication: 'database', statement_timeout: false, lock_timeout: 0 })
  try {
    const { rows: [row] } = await session.query<{ systemid: string }>('IDENTIFY_SYSTEM')
    return String(row?.systemid)
  } finally {
    await session.close()
  }
}

export async function readSlot (client: Queryable, name: string): Promise<SlotRow | undefined> {
  const { rows: [row] } = await client.query<SlotRow>(`
    select s.database::text, coalesce(s.database = current_database(), false) as "isHere", s.plugin::text, s.active, s.active_pid as "activePid",
      a.application_name as "activeName", s.wal_status as "walStatus", s.confirmed_flush_lsn::text as "confirmedLsn"
    from pg_replication_slots s left join pg_stat_activity a on a.pid = s.active_pid where s.slot_name = $1`, [name])
  return row
}

export async function readPublication (
  client: Queryable, name: string
): Promise<{ oid: number, comment: string | null } | undefined> {
  const { rows: [row] } = await client.query<{ oid: number, comment: string | null }>(
    "select oid::bigint::float8 as oid, obj_description(oid, 'pg_publication') as comment from pg_publication where pubname = $1",
    [name]
  )
  return row
}

export const isOwnPublication = (name: string, { comment }: { comment: string | null }, mark: string): boolean =>
  carriesMark(name, mark) || comment === publicationComment(mark)

/** One query, and so one transaction: there is no moment at which the publication has no mark. */
export async function createPublication (
  client: Queryable, name: string, version: number, mark: string
): Promise<void> {
  const comment = `COMMENT ON PUBLICATION ${quoteIdentifier(name)} IS '${publicationComment(mark)}';`
  await client.query(`${createPublicationSql(name, version)} ${comment}`)
}

/** Truncates are published to be logged; partitions are seen as the table that they are a part of. */
export function createPublicationSql (name: string, version: number): string {
  const generated = version >= generatedColumnsVersion ? ', publish_generated_columns = stored' : ''
  return `CREATE PUBLICATION ${
    quoteIdentifier(name)
  } WITH (publish = 'insert, update, delete, truncate', publish_via_partition_root = true${generated});`
}

export interface SlotCreation {
  /** Marks the session that creates it. */
  session: string
  signal: AbortSignal
  /** Told every second or so of what is waited for: `SLOT_WAITS`. */
  onWaiting (problem: SourceError): void
}

/**
 * Answers where the stream begins. PostgreSQL waits for every transaction that writes anywhere on the server, then for
 * those that have begun meanwhile: however long that takes, there is no better time to begin, so that nothing bounds it
 * but `signal`.
 */
export async function createSlot (
  client: SourceClient, name: string, { session: mark, signal, onWaiting }: SlotCreation
): Promise<string> {
  // In a session of its own: the client watches it meanwhile.
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
    if (row === undefined) throw new Error('the server made a slot and says nothing of it')
    return row.lsn
  } finally {
    done.abort()
    await session.close()
  }
}

/**
 * Lifts what may still be set for the role, and returns the session's process. This is a query without a limit of its
 * own, too.
 */
async function liftLimits (session: Queryable, signal: AbortSignal): Promise<number> {
  const tooLate = createDeadline(answerMaxMs, new SourceError('SOURCE_UNREACHABLE', '(before the slot is made)'))
  try {
    const { rows: [own] } = await unlessAborted(session.query<{ pid: number }>(`select pg_backend_pid() as pid, (
      select count(set_config(name, '0', false)) from pg_settings where name in ('statement_timeout', 'lock_timeout', 'transaction_timeout'))`),
    AbortSignal.any([signal, tooLate.signal]))
    if (typeof own?.pid !== 'number') throw new SourceError('SOURCE_PROTOCOL', '(it does not answer what was asked)')
    return own.pid
  } finally {
    tooLate.clear()
  }
}

/** Until `signal`: then the server is told to wait no longer, and does nothing where that is over. */
async function watchCreation (
  client: Queryable, pid: number, signal: AbortSignal, onWaiting: (problem: SourceError) => void
): Promise<never> {
  try {
    for (;;) {
      await sleep(watchEveryMs, undefined, { signal })
      const { rows: [blocker] } = await client.query<{ pid: number, role: string | null, since: Date | null }>(
        `
        select b.pid, a.usename::text as role, a.xact_start as since from unnest(pg_blocking_pids($1)) b(pid) left join pg_stat_activity a on a.pid = b.pid limit 1`,
        [pid]
      )
      if (blocker === undefined) continue
      const who = blocker.pid === 0
        ? 'one that is prepared'
        : `that of process ${blocker.pid}${blocker.role === null ? '' : `, role ${blocker.role}`}`
      onWaiting(
        new SourceError(
          'SLOT_WAITS',
          `(now: ${who}${blocker.since === null ? '' : `, since ${blocker.since.toISOString()}`})`
        )
      )
    }
  } catch (error) {
    if (!signal.aborted) { throw new SourceError('SOURCE_UNREACHABLE', '(while the slot was being made)', { cause: error }) }
    await client.query('select pg_cancel_backend($1)', [pid]).catch(() => {})
    throw error
  }
}

/**
 * Ends our own session that still holds the slot: its reader has lost the lease, or was killed and the server has not
 * noticed yet. A session of another program is left alone. Throws SourceError `SLOT_BUSY` when the slot does not become
 * free.
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
 * Drops a slot that we created; one of that name that we did not create stays as it is. Tolerates that it is gone, and
 * that another session is dropping it. Throws SourceError `SLOT_BUSY` when it is there all the same after a few
 * seconds.
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
      // Compared again by the statement that drops it. It drops nothing when the slot has changed hands; the next round
      // sees that.
      await client.query(`
        select pg_drop_replication_slot(slot_name) from pg_replication_slots
        where slot_name = $1 and database = current_database() and confirmed_flush_lsn is not distinct from $2::pg_lsn`,
      [record.name, slot.confirmedLsn]
      )
    } catch (error) {
      const { code } = error as { code?: string }
      // Gone, or another session was faster to come back to it.
      if (code !== '42704' && code !== '55006') throw error
    }
  }
}

export const dropSlotSql = (name: string): string => `SELECT pg_drop_replication_slot('${name}');`
export const dropPublicationSql = (name: string): string => `DROP PUBLICATION IF EXISTS ${quoteIdentifier(name)};`
