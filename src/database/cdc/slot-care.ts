import { setTimeout as sleep } from 'node:timers/promises'
import { SourceError, type Queryable, type SourceClient } from '../source.ts'
import { quoteIdentifier } from '../table-name.ts'

/** The oldest major version that is supported. */
export const oldestVersion = 140_000
/** From here on, stored generated columns can be published. */
const generatedColumnsVersion = 180_000
const slotFreeMs = 5000
const watchEveryMs = 1000

export interface SlotRow {
  database: string | null
  plugin: string | null
  active: boolean
  activePid: number | null
  walStatus: string | null
  confirmedLsn: string | null
}

export interface ServerFacts { version: number, walLevel: string }

export async function readFacts (client: Queryable): Promise<ServerFacts> {
  const { rows: [row] } = await client.query<{ version: number, wal_level: string }>(
    'select current_setting(\'server_version_num\')::int as version, current_setting(\'wal_level\') as wal_level')
  if (typeof row?.version !== 'number' || typeof row.wal_level !== 'string') throw new SourceError('SOURCE_PROTOCOL', '(it does not answer what was asked)')
  if (row.version < oldestVersion) throw new SourceError('SOURCE_UNSUPPORTED')
  return { version: row.version, walLevel: row.wal_level }
}

/** A number that initdb draws: another one is another cluster, whatever its address. Asking for it takes the privilege to replicate. */
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
  const { rows: [row] } = await client.query<{ database: string | null, plugin: string | null, active: boolean, active_pid: number | null, wal_status: string | null, confirmed: string | null }>(
    'select database::text, plugin::text, active, active_pid, wal_status, confirmed_flush_lsn::text as confirmed from pg_replication_slots where slot_name = $1', [name])
  return row && {
    database: row.database, plugin: row.plugin, active: row.active, activePid: row.active_pid, walStatus: row.wal_status, confirmedLsn: row.confirmed
  }
}

export async function readPublicationOid (client: Queryable, name: string): Promise<number | undefined> {
  const { rows: [row] } = await client.query<{ oid: number }>('select oid::bigint::float8 as oid from pg_publication where pubname = $1', [name])
  return row?.oid
}

/** Truncates are published to be logged; partitions are seen as the table that they are a part of. */
export function createPublicationSql (name: string, version: number): string {
  const generated = version >= generatedColumnsVersion ? ', publish_generated_columns = stored' : ''
  return `CREATE PUBLICATION ${quoteIdentifier(name)} WITH (publish = 'insert, update, delete, truncate', publish_via_partition_root = true${generated});`
}

export interface SlotCreation {
  signal: AbortSignal
  /** Told every second or so of what is waited for: `SLOT_WAITS`. */
  onWaiting (problem: SourceError): void
}

/**
 * Answers where the stream begins. PostgreSQL waits for every transaction that writes anywhere on the server, then for those that
 * have begun meanwhile: however long that takes, there is no better time to begin, so that nothing bounds it but `signal`.
 */
export async function createSlot (client: SourceClient, name: string, { signal, onWaiting }: SlotCreation): Promise<string> {
  // In a session of its own: the client watches it meanwhile.
  const session = await client.another({ statement_timeout: false, lock_timeout: 0, query_timeout: 0 })
  const done = new AbortController()
  try {
    // What is left out above may still be set for the role.
    const { rows: [own] } = await session.query<{ pid: number }>(`select pg_backend_pid() as pid, (
      select count(set_config(name, '0', false)) from pg_settings where name in ('statement_timeout', 'lock_timeout', 'transaction_timeout'))`)
    const { pid } = own as { pid: number }
    const creating = session.query<{ lsn: string }>('select lsn::text from pg_create_logical_replication_slot($1, \'pgoutput\')', [name])
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

/** Until `signal`: then the server is told to wait no longer, and does nothing where that is over. */
async function watchCreation (client: Queryable, pid: number, signal: AbortSignal, onWaiting: (problem: SourceError) => void): Promise<never> {
  try {
    for (;;) {
      await sleep(watchEveryMs, undefined, { signal })
      const { rows: [blocker] } = await client.query<{ pid: number, role: string | null, since: Date | null }>(`
        select b.pid, a.usename::text as role, a.xact_start as since from unnest(pg_blocking_pids($1)) b(pid) left join pg_stat_activity a on a.pid = b.pid limit 1`, [pid])
      if (blocker === undefined) continue
      const who = blocker.pid === 0 ? 'one that is prepared' : `that of process ${blocker.pid}${blocker.role === null ? '' : `, role ${blocker.role}`}`
      onWaiting(new SourceError('SLOT_WAITS', `(now: ${who}${blocker.since === null ? '' : `, since ${blocker.since.toISOString()}`})`))
    }
  } catch (error) {
    if (!signal.aborted) throw new SourceError('SOURCE_UNREACHABLE', '(while the slot was being made)', { cause: error })
    await client.query('select pg_cancel_backend($1)', [pid]).catch(() => {})
    throw error
  }
}

/**
 * Whoever still reads from the slot has lost the lease, or is a server that was killed and is not missed yet. Throws
 * SourceError `SLOT_BUSY` when it cannot be freed.
 */
export async function freeSlot (client: Queryable, name: string): Promise<void> {
  const deadline = performance.now() + slotFreeMs
  for (;;) {
    const slot = await readSlot(client, name)
    if (slot?.activePid == null) return
    if (performance.now() > deadline) throw new SourceError('SLOT_BUSY')
    // Not one that is dropping it: that is what is wanted, and over in a moment.
    await client.query("select pg_terminate_backend(pid) from pg_stat_activity where pid = $1 and query not like '%pg_drop_replication_slot%'", [slot.activePid])
    await sleep(50)
  }
}

/** Of the session's own database: a slot of that name in another one is somebody else's. Tolerates that it is gone, and that others are dropping it. */
export async function dropSlot (client: Queryable, name: string): Promise<void> {
  const deadline = performance.now() + slotFreeMs
  for (;;) {
    const { rows: [own] } = await client.query<{ is_ours: boolean }>('select database = current_database() as is_ours from pg_replication_slots where slot_name = $1', [name])
    if (own?.is_ours !== true) return
    await freeSlot(client, name)
    try {
      await client.query('select pg_drop_replication_slot($1)', [name])
      return
    } catch (error) {
      const { code } = error as { code?: string }
      if (code === '42704') return
      // Whoever was cut off from it was faster to come back.
      if (code !== '55006' || performance.now() > deadline) throw error
    }
  }
}

export const dropSlotSql = (name: string): string => `SELECT pg_drop_replication_slot('${name}');`
export const dropPublicationSql = (name: string): string => `DROP PUBLICATION IF EXISTS ${quoteIdentifier(name)};`
