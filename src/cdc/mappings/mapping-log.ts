import type { Kysely, Selectable } from 'kysely'
import type { Database, DatabaseLogsTable } from '../../../db/tables.ts'
import type { DatabaseLog, DatabaseLogQuery } from '../../../schemas/database.ts'
import type { Scope } from '../../../schemas/scope.ts'
import type { Principal } from '../../identity/access/principal.ts'
import { mayReadTopic } from '../../identity/access/reading.ts'
import { decodeCursor, toPage, type PageOf } from '../../foundation/paging.ts'
import { textArray } from '../../../db/arrays.ts'
import type { Statement } from '../../events/intent.ts'
import { randomId } from '../../foundation/ids.ts'

/** Lists the delivery log: what became events, what did not, and why. */
export function createMappingLog ({ db }: { db: Kysely<Database> }) {
  return {
    /** Lists entries, newest first. `message` may quote a row: it is null for callers who may not read the topic. */
    async list (
      principal: Principal, scope: Scope, { limit = 100, cursor, mappingId, subscriptionId, status }: DatabaseLogQuery
    ): Promise<PageOf<DatabaseLog>> {
      let query = db.selectFrom('database_logs').selectAll().where('application_id', '=', scope.applicationId).where(
        'environment', '=', scope.environment
      )
        .orderBy('sequence', 'desc').limit(limit + 1)
      if (cursor !== undefined) query = query.where('sequence', '<', decodeCursor(cursor, ['number'])[0] as number)
      if (mappingId !== undefined) query = query.where('mapping_id', '=', mappingId)
      if (subscriptionId !== undefined) query = query.where('subscription_id', '=', subscriptionId)
      if (status !== undefined) query = query.where('status', '=', status)
      return toPage(
        await query.execute(), limit, row => toLog(row, mayReadTopic(principal, scope, row.topic)),
        row => [row.sequence]
      )
    }
  }
}
export type MappingLog = ReturnType<typeof createMappingLog>

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

/** One outcome of one mapping for one transaction, or for a part of one. */
export type DeliveryRow = Omit<DatabaseLog, 'id' | 'createdAt'>

const insertSql = `
  insert into database_logs (id, application_id, environment, mapping_id, subscription_id, status, topic, table_name,
    events, code, message, lsn, xid, committed_at, created_at)
  select id, $1, $2, mapping_id, subscription_id, status, topic, table_name,
    events, code, message, lsn, xid, committed_at, $3
  from unnest($4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::int[], $11::text[],
      $12::text[], $13::text[], $14::bigint[], $15::bigint[])
    with ordinality as k(id, mapping_id, subscription_id, status, topic, table_name,
      events, code, message, lsn, xid, committed_at, ordinal)
  order by ordinal`

export function insertDeliveryRows (
  { applicationId, environment }: Scope, rows: readonly DeliveryRow[], now: number
): Statement {
  const texts = (field: 'mappingId' | 'subscriptionId' | 'status' | 'topic' | 'table' | 'code' | 'message' | 'lsn') =>
    textArray(rows.map(row => row[field]))
  return {
    name: 'database_logs_insert',
    text: insertSql,
    values: [
      applicationId,
      environment,
      now,
      textArray(rows.map(() => randomId('log'))),
      texts('mappingId'),
      texts('subscriptionId'),
      texts('status'),
      texts('topic'),
      texts('table'),
      rows.map(row => row.events),
      texts('code'),
      texts('message'),
      texts('lsn'),
      rows.map(row => row.xid),
      rows.map(row => row.committedAt)
    ]
  }
}
