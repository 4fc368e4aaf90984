import { textArray } from '../../db/arrays.ts'
import type { DatabaseLog } from '../../schemas/database.ts'
import type { Scope } from '../../schemas/scope.ts'
import type { Statement } from '../events/statements.ts'
import { randomId } from '../foundation/ids.ts'

/** What one mapping made of one transaction, or a part of it, in one way. */
export type DeliveryRow = Omit<DatabaseLog, 'id' | 'createdAt'>

const insertSql = `
  insert into database_logs (id, application_id, environment, mapping_id, subscription_id, status, topic, table_name, events, code, message, lsn, xid, committed_at, created_at)
  select id, $1, $2, mapping_id, subscription_id, status, topic, table_name, events, code, message, lsn, xid, committed_at, $3
  from unnest($4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::int[], $11::text[], $12::text[], $13::text[], $14::bigint[], $15::bigint[])
    with ordinality as k(id, mapping_id, subscription_id, status, topic, table_name, events, code, message, lsn, xid, committed_at, ordinal)
  order by ordinal`

export function insertDeliveryRows ({ applicationId, environment }: Scope, rows: readonly DeliveryRow[], now: number): Statement {
  const texts = (field: 'mappingId' | 'subscriptionId' | 'status' | 'topic' | 'table' | 'code' | 'message' | 'lsn') => textArray(rows.map(row => row[field]))
  return {
    name: 'database_logs_insert',
    text: insertSql,
    values: [
      applicationId, environment, now, textArray(rows.map(() => randomId('log'))), texts('mappingId'), texts('subscriptionId'), texts('status'), texts('topic'), texts('table'),
      rows.map(row => row.events), texts('code'), texts('message'), texts('lsn'), rows.map(row => row.xid), rows.map(row => row.committedAt)
    ]
  }
}
