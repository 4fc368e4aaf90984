import type { Kysely, Selectable } from 'kysely'
import type { Database, DatabaseLogsTable } from '../../../db/tables.ts'
import type { DatabaseLog, DatabaseLogQuery } from '../../../schemas/database.ts'
import type { Scope } from '../../../schemas/scope.ts'
import type { Principal } from '../../identity/access/principal.ts'
import { mayReadTopic } from '../../identity/access/reading.ts'
import { decodeCursor, toPage, type PageOf } from '../../foundation/paging.ts'

/** What mappings made of transactions: what was delivered to the log, and what was not and why. */
export function createDeliveryLogs ({ db }: { db: Kysely<Database> }) {
  return {
    /** Newest first. Messages, which may quote a row, are told to whoever may read the topic. */
    async list (principal: Principal, scope: Scope, { limit = 100, cursor, mappingId, subscriptionId, status }: DatabaseLogQuery): Promise<PageOf<DatabaseLog>> {
      let query = db.selectFrom('database_logs').selectAll().where('application_id', '=', scope.applicationId).where('environment', '=', scope.environment)
        .orderBy('sequence', 'desc').limit(limit + 1)
      if (cursor !== undefined) query = query.where('sequence', '<', decodeCursor(cursor, ['number'])[0] as number)
      if (mappingId !== undefined) query = query.where('mapping_id', '=', mappingId)
      if (subscriptionId !== undefined) query = query.where('subscription_id', '=', subscriptionId)
      if (status !== undefined) query = query.where('status', '=', status)
      return toPage(await query.execute(), limit, row => toLog(row, mayReadTopic(principal, scope, row.topic)), row => [row.sequence])
    }
  }
}
export type DeliveryLogs = ReturnType<typeof createDeliveryLogs>

const toLog = (row: Selectable<DatabaseLogsTable>, isSeen: boolean): DatabaseLog => ({
  id: row.id,
  mappingId: row.mapping_id,
  subscriptionId: row.subscription_id,
  status: row.status as DatabaseLog['status'],
  topic: row.topic,
  table: row.table_name,
  events: row.events,
  code: row.code,
  message: isSeen ? row.message : null,
  lsn: row.lsn,
  xid: row.xid,
  committedAt: row.committed_at,
  createdAt: row.created_at
})
