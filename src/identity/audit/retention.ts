import { sql, type Kysely } from 'kysely'
import type { Database } from '../../../db/tables.ts'

const sweepEveryMs = 10 * 60_000
const rowsAtOnce = 1000

export interface AuditRetentionOptions {
  db: Kysely<Database>
  /** 0 keeps entries forever. */
  retentionDays: number
  /** The clock that all nodes share. */
  now: () => number
  log: { info (fields: object, message: string): void, warn (fields: object, message: string): void }
}

/**
 * Deletes audit entries that are older than the retention, oldest first, in short transactions, on one node at a time.
 */
export function createAuditRetention ({ db, retentionDays, now, log }: AuditRetentionOptions) {
  let timer: NodeJS.Timeout | undefined

  /** Deletes some entries and returns their number, or undefined if another node is deleting. */
  async function deleteSlice (before: number): Promise<number | undefined> {
    return await db.transaction().execute(async trx => {
      const { rows: [lock] } = await sql<
        { free: boolean }
      >`select pg_try_advisory_xact_lock(hashtext('realtime.audit_retention')) as free`.execute(trx)
      if (lock?.free !== true) return undefined
      // The table's trigger refuses every other deletion.
      await sql`set local realtime.audit_retention = 'on'`.execute(trx)
      // Sequences grow with time, so the first slice without an old entry is the last.
      const { numAffectedRows } = await sql`
        delete from audit_log where at < ${before} and sequence in (
          select sequence from audit_log order by sequence limit ${rowsAtOnce})`
        .execute(trx)
      return Number(numAffectedRows ?? 0)
    })
  }

  async function sweep (): Promise<number> {
    if (retentionDays === 0) return 0
    const before = now() - retentionDays * 24 * 3_600_000
    let deleted = 0
    for (let slice: number | undefined; (slice = await deleteSlice(before)) !== undefined && slice > 0;) {
      deleted += slice
    }
    if (deleted > 0) log.info({ entries: deleted }, 'audit.entries_deleted')
    return deleted
  }

  return {
    sweep,
    start (): void {
      timer = setInterval(() => {
        sweep().catch((err: unknown) => log.warn({ err }, 'audit.retention_failed'))
      }, sweepEveryMs)
      timer.unref()
    },
    stop: () => clearInterval(timer)
  }
}
