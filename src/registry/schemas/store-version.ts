import type { Selectable, Transaction } from 'kysely'
import type { Database, SchemasTable } from '../../../db/tables.ts'
import type { SchemaVersion } from '../../../schemas/schema-registry.ts'
import type { Scope } from '../../../schemas/scope.ts'
import type { Origin } from '../../identity/audit/origin.ts'
import { record } from '../../identity/audit/record.ts'
import type { CompatibilityMode, CompatibilityPolicy } from '../json-schema/compatibility/compatibility-mode.ts'
import { isReserved } from '../topics/topic-names.ts'
import { topicNotFound } from '../topics/topics.ts'

type Row = Selectable<SchemasTable>
export type NewVersion = Omit<Row, 'application_id' | 'environment' | 'topic'>

/**
 * Stores a version with a given number, and activates it if required. Returns undefined if another registration took
 * the number. Throws NotFoundError if the topic was deleted.
 */
export async function storeVersion (
  trx: Transaction<Database>, scope: Scope, topic: string, version: NewVersion, isActive: boolean, by: Origin
): Promise<Row | undefined> {
  const row = await insertVersion(trx, scope, topic, version)
  if (row === undefined) return undefined
  await settle(trx, scope, topic, isActive ? version.version : undefined)
  await recordVersion(trx, scope, row, isActive, by)
  return row
}

/**
 * Inserts a version. Returns undefined if its number is taken. A transaction must insert the version before it locks
 * the topic: so does every registration, and two that lock in different orders could deadlock.
 */
export async function insertVersion (
  trx: Transaction<Database>, scope: Scope, topic: string, version: NewVersion
): Promise<Row | undefined> {
  return await trx.insertInto('schemas')
    .values({ application_id: scope.applicationId, environment: scope.environment, topic, ...version })
    .onConflict(conflict => conflict.doNothing()).returningAll().executeTakeFirst()
}

export async function recordVersion (
  trx: Transaction<Database>, scope: Scope, row: Row, activated: boolean, by: Origin
): Promise<void> {
  await record(trx, by, {
    action: 'schema.registered', resourceId: row.topic, place: scope, after: { ...toSchemaVersion(row), activated }
  })
}

export function toSchemaVersion (row: Row): SchemaVersion {
  return {
    topic: row.topic,
    version: row.version,
    schema: JSON.parse(row.schema) as SchemaVersion['schema'],
    compatibilityMode: row.compatibility_mode as CompatibilityMode,
    policy: row.policy as CompatibilityPolicy,
    createdAt: row.created_at
  }
}

/**
 * Locks the topic until the transaction ends, and activates a version if one is given. A topic of the platform gets a
 * row for this. Throws NotFoundError if the topic was deleted.
 */
export async function settle (
  trx: Transaction<Database>, scope: Scope, topic: string, number: number | undefined
): Promise<void> {
  const key = { application_id: scope.applicationId, environment: scope.environment, name: topic }
  if (isReserved(topic)) {
    if (number === undefined) return
    await trx.insertInto('topics')
      .values({
        ...key,
        description: "One of the platform's own topics, with a schema",
        owner: 'platform',
        active_schema_version: number,
        created_at: Date.now()
      })
      .onConflict(conflict =>
        conflict.columns(['application_id', 'environment', 'name']).doUpdateSet({ active_schema_version: number })
      ).execute()
    return
  }
  const found = await trx.selectFrom('topics').select('name').where(eb => eb.and(key)).forNoKeyUpdate()
    .executeTakeFirst()
  if (found === undefined) throw topicNotFound(topic)
  if (number === undefined) return
  await trx.updateTable('topics').set({ active_schema_version: number }).where(eb => eb.and(key)).execute()
}
