import type { Kysely, Selectable } from 'kysely'
import type { Database, DatabaseLogsTable } from '../../../db/tables.ts'
import { databaseLogList, type DatabaseLog, type DatabaseLogQuery } from '../../../schemas/database.ts'
import type { Scope } from '../../../schemas/scope.ts'
import type { Principal } from '../../identity/access/principal.ts'
import { mayReadTopic } from '../../identity/access/reading.ts'
import { isBetween, isValue } from '../../foundation/lists/filters.ts'
import { List, nullableText, number, text } from '../../foundation/lists/list.ts'
import { readPage } from '../../foundation/lists/read-page.ts'
import type { PageOf } from '../../foundation/paging.ts'
import { textArray } from '../../../db/arrays.ts'
import type { Statement } from '../../events/intent.ts'
import { randomId } from '../../foundation/ids.ts'

/** Lists the delivery log: what became events, what did not, and why. */
export function createMappingLog ({ db }: { db: Kysely<Database> }) {
  return {
    /** `message` may quote a row: it is null for callers who may not read the topic. */
    list: async (
      principal: Principal, scope: Scope,
      { mappingId, subscriptionId, status, topic, from, to, ...query }: DatabaseLogQuery
    ): Promise<PageOf<DatabaseLog>> =>
      await readPage(db, list, query, {
        from: db.selectFrom('database_logs').selectAll().where('application_id', '=', scope.applicationId).where(
          'environment', '=', scope.environment
        ),
        where: [isValue('mapping_id', mappingId), isBetween('created_at', from, to)],
        filters: [isValue('subscription_id', subscriptionId), isValue('status', status), isValue('topic', topic)],
        toItem: row => toLog(row, mayReadTopic(principal, scope, row.topic))
      })
  }
}

const list = new List(databaseLogList, {
  columns: {
    createdAt: number('created_at'), topic: text('topic'), table: text('table_name'), code: nullableText('code')
  },
  identity: [number('sequence')]
})

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
