import { sql, type Kysely, type Selectable, type Transaction } from 'kysely'
import type { ApplicationsTable, Database } from '../../../db/tables.ts'
import { leaveConnectionsOf } from '../../cdc/replication/slot-cleanup.ts'
import { removeOwned } from '../../webhooks/endpoints.ts'

/** Rows that one statement deletes, so that each stays far below the statement timeout. */
const rowsAtOnce = 20_000
const attemptsMax = 10
/** deadlock_detected, foreign_key_violation */
const passing = new Set(['40P01', '23503'])

export interface RemovalOptions {
  force: boolean
  log: { warn (fields: object, message: string): void }
  /** Called in the transaction, before it goes. */
  onRemove (trx: Transaction<Database>, row: Selectable<ApplicationsTable>): Promise<void>
}

/**
 * Deletes an application with all that it owns. What can be reached goes in one transaction; its events, which nothing
 * can reach without their logs, follow in pieces, because the transaction would hold up the writer for as long as they
 * take. Events left behind by a crash in between go with their partition.
 */
export async function removeApplication (db: Kysely<Database>, id: string, { force, log, onRemove }: RemovalOptions): Promise<'removed' | 'missing' | 'not_empty'> {
  const outcome = await inTransaction(db, async trx => {
    // Against this lock nobody starts a topic, a service or a log for it.
    const found = await trx.selectFrom('applications').selectAll().where('id', '=', id).forUpdate().executeTakeFirst()
    if (found === undefined) return 'missing'
    if (force) {
      // Against this one nobody creates a document, which would keep its service from going.
      await trx.selectFrom('services').select('id').where('application_id', '=', id).orderBy('name').forUpdate().execute()
      await deleteDocuments(trx, id)
    }
    const logs = await trx.selectFrom('topic_logs').select('id').where('application_id', '=', id).forUpdate().execute()
    const logIds = logs.map(row => row.id)
    if (!force && await ownsData(trx, id, logIds)) return 'not_empty'
    await trx.deleteFrom('idempotency_keys').where('application_id', '=', id).execute()
    await onRemove(trx, found)
    await leaveConnectionsOf(trx, id)
    // The rest refers to it: topics, logs, services, webhooks.
    await trx.deleteFrom('applications').where('id', '=', id).execute()
    return logIds
  })
  if (typeof outcome === 'string') return outcome
  try {
    for (const logId of outcome) await deleteEvents(db, logId)
    await removeOwned(db, id)
    for (const table of ['event_traces', 'event_trace_parts', 'trace_subscriptions'] as const) await deleteTraces(db, table, id)
  } catch (err) {
    log.warn({ err, applicationId: id }, 'application.events_left_behind')
  }
  return 'removed'
}

/**
 * The writer locks in an order of its own and knows nothing of this: when the two meet, PostgreSQL ends one of them. What a
 * transaction committed between two statements of this one may violate a reference: then it begins again, too.
 */
async function inTransaction<T> (db: Kysely<Database>, work: (trx: Transaction<Database>) => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await db.transaction().execute(work)
    } catch (error) {
      if (!passing.has((error as { code?: string }).code ?? '') || attempt === attemptsMax) throw error
    }
  }
}

async function ownsData (trx: Transaction<Database>, id: string, logIds: number[]): Promise<boolean> {
  const { rows: [found] } = await sql<{ owns: boolean }>`select
    exists (select from topics where application_id = ${id}) or
    exists (select from services where application_id = ${id}) or
    exists (select from cdc_connections where application_id = ${id}) or
    exists (select from mappings where application_id = ${id}) or
    exists (select from webhooks where application_id = ${id}) or
    exists (select from events where log_id = any(${logIds}::bigint[])) as owns`.execute(trx)
  return found?.owns === true
}

async function deleteDocuments (trx: Transaction<Database>, id: string): Promise<void> {
  for (let isMore = true; isMore;) {
    const { numAffectedRows } = await sql`delete from documents where ctid = any(array(
      select ctid from documents where application_id = ${id} limit ${rowsAtOnce}))`.execute(trx)
    isMore = numAffectedRows !== undefined && numAffectedRows >= BigInt(rowsAtOnce)
  }
}

async function deleteEvents (db: Kysely<Database>, logId: number): Promise<void> {
  const { rows: [span] } = await sql<{ first: number | null, last: number | null }>`
    select min("offset") as first, max("offset") as last from events where log_id = ${logId}`.execute(db)
  if (span === undefined || span.first === null || span.last === null) return
  for (let from = span.first; from <= span.last; from += rowsAtOnce) {
    await db.deleteFrom('events').where('log_id', '=', logId).where('offset', '>=', from).where('offset', '<', from + rowsAtOnce).execute()
  }
}

/** By partition and place, because what is partitioned has no other short name for a row. */
async function deleteTraces (db: Kysely<Database>, table: 'event_traces' | 'event_trace_parts' | 'trace_subscriptions', id: string): Promise<void> {
  for (let isMore = true; isMore;) {
    const { numAffectedRows = 0n } = await sql`delete from ${sql.table(table)} t using (
      select tableoid, ctid from ${sql.table(table)} where application_id = ${id} limit ${rowsAtOnce}) d
      where t.tableoid = d.tableoid and t.ctid = d.ctid`.execute(db)
    isMore = numAffectedRows >= BigInt(rowsAtOnce)
  }
}
