import { sql, type Kysely } from 'kysely'
import type { Database } from '../../../db/tables.ts'
import {
  schemaList, schemaVersionList, type SchemaListQuery, type SchemaVersion, type SchemaVersionQuery
} from '../../../schemas/schema-registry.ts'
import type { Scope } from '../../../schemas/scope.ts'
import { List, number, text } from '../../foundation/lists/list.ts'
import { readPage } from '../../foundation/lists/read-page.ts'
import type { PageOf } from '../../foundation/paging.ts'
import { toSchemaVersion } from './store-version.ts'

/** Limits the schemas of a page. In memory they can take twenty times as much. */
const size = { bytes: sql`octet_length(schema::text)`, max: 1024 * 1024 }

const [topicColumn, version, createdAt] = [text('topic'), number('version'), number('created_at')]
const ofScopeList = new List(schemaList, {
  columns: { topic: topicColumn, createdAt }, identity: [topicColumn, version]
})
const ofTopicList = new List(schemaVersionList, { columns: { version, createdAt }, identity: [version] })

const ofScope = (db: Kysely<Database>, { applicationId, environment }: Scope) =>
  db.selectFrom('schemas').selectAll().where('application_id', '=', applicationId)
    .where('environment', '=', environment)

/** Returns versions of one topic, none for a topic without a schema. */
export const readTopicVersions = async (
  db: Kysely<Database>, scope: Scope, topic: string, query: SchemaVersionQuery
): Promise<PageOf<SchemaVersion>> =>
  await readPage(db, ofTopicList, query, {
    from: ofScope(db, scope).where('topic', '=', topic), size, toItem: toSchemaVersion
  })

/**
 * Returns versions of all topics; with `active`, only those that payloads are checked against, or only the others.
 */
export async function readScopeVersions (
  db: Kysely<Database>, scope: Scope, { active, ...query }: SchemaListQuery
): Promise<PageOf<SchemaVersion>> {
  // A subquery that returns a value is looked up by key for each version, also while the statistics are out of date.
  const number = sql`(
    select active_schema_version from topics where application_id = ${scope.applicationId}
      and environment = ${scope.environment} and name = schemas.topic
  )`
  const isActive = active === undefined
    ? undefined
    : sql<boolean>`version ${active ? sql`=` : sql`is distinct from`} ${number}`
  return await readPage(db, ofScopeList, query, {
    from: ofScope(db, scope), filters: [isActive], size, toItem: toSchemaVersion
  })
}
