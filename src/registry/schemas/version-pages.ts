import { sql, type Kysely, type Selectable, type SelectQueryBuilder } from 'kysely'
import type { Database, SchemasTable } from '../../../db/tables.ts'
import type { Scope } from '../../../schemas/scope.ts'

/** Limits the schemas of a page. In memory they can take twenty times as much. */
const pageBytesMax = 1024 * 1024

type Row = Selectable<SchemasTable>
type Versions = SelectQueryBuilder<Database, 'schemas', Row>

/**
 * Returns the first page of versions: at most `limit`, fewer if their schemas are large, and at least one. `last` is
 * the last version of the page, if there are more. The versions must be ordered by number or by topic and number.
 */
export async function readPage (
  db: Kysely<Database>, versions: Versions, limit: number
): Promise<{ rows: Row[], last: Row | undefined }> {
  const measured = db.selectFrom(versions.limit(limit + 1).as('candidates')).selectAll().select([
    sql<number>`sum(octet_length(schema::text)) over (order by topic, version) - octet_length(schema::text)`
      .as('bytesBefore'),
    sql<number>`count(*) over ()`.as('found')
  ])
  const rows = await db.selectFrom(measured.as('measured')).selectAll().where('bytesBefore', '<', pageBytesMax)
    .orderBy('topic').orderBy('version').execute()
  const page = rows.slice(0, limit)
  return { rows: page, last: page.length < (rows[0]?.found ?? 0) ? page.at(-1) : undefined }
}

/** Selects the versions of a scope that follow the given one, by topic and number. */
export function versionsAfter (
  db: Kysely<Database>, scope: Scope, after: { topic: string, version: number }, choice: 'all' | 'active' | 'inactive'
): Versions {
  const rest = db.selectFrom('schemas').selectAll('schemas')
    .where('schemas.application_id', '=', scope.applicationId).where('schemas.environment', '=', scope.environment)
    .where(sql<boolean>`(schemas.topic, schemas.version) > (${after.topic}, ${after.version})`)
    .orderBy('schemas.topic').orderBy('schemas.version')
  if (choice === 'all') return rest
  // A subquery that returns a value is looked up by key for each version, also while the statistics are out of date.
  const active = sql<number | null>`(
    select active_schema_version from topics where application_id = ${scope.applicationId}
      and environment = ${scope.environment} and name = schemas.topic
  )`
  return rest.where('schemas.version', choice === 'active' ? '=' : 'is distinct from', active)
}
