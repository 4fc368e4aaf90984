import { sql, type Kysely } from 'kysely'
import type { Database } from '../../db/tables.ts'
import type { MappingDefinition } from '../../schemas/database.ts'
import type { Environment, Scope } from '../../schemas/scope.ts'
import type { CompatibilityMode, CompatibilityPolicy } from '../registry/json-schema/compatibility/compatibility-mode.ts'
import { topicsOf, type ItemContent } from './item-contents.ts'

export interface TopicState { description: string, owner: string, activeVersion: number | null, createdAt: number }
export interface SchemaState {
  version: number
  text: string
  mode: CompatibilityMode
  policy: CompatibilityPolicy
}
export interface MappingState {
  home: Environment
  /** The version that the target runs; null for none. */
  version: number | null
  definition: MappingDefinition | undefined
  isEnabled: boolean
}

/** The target's topics, schema versions and mappings that a deployment's items concern. */
export interface TargetState {
  topics: ReadonlyMap<string, TopicState>
  /** The latest and the active version, by topic. */
  latest: ReadonlyMap<string, SchemaState>
  active: ReadonlyMap<string, SchemaState>
  /** Without mappings that were deleted at home. */
  mappings: ReadonlyMap<string, MappingState>
}

export async function readTargetState (
  db: Kysely<Database>, target: Scope, contents: readonly ItemContent[]
): Promise<TargetState> {
  const schemaTopics = contents.flatMap(content => content.kind === 'schema' ? content.topic : [])
  const topics = await readTopicStates(db, target, topicsOf(contents))
  const versions = await readVersions(db, target, schemaTopics)
  const active = new Map(versions.filter(one => topics.get(one.topic)?.activeVersion === one.version).map(one =>
    [one.topic, one]))
  // The active version is not above the latest one, so that the last of a topic's versions is the latest.
  const latest = new Map(versions.map(one => [one.topic, one]))
  const ids = contents.flatMap(content => content.kind === 'mapping' ? content.id : [])
  return { topics, latest, active, mappings: await readMappingStates(db, target, ids) }
}

export async function readTopicStates (
  db: Kysely<Database>, { applicationId, environment }: Scope, names: readonly string[]
): Promise<Map<string, TopicState>> {
  if (names.length === 0) return new Map()
  const rows = await db.selectFrom('topics')
    .select(['name', 'description', 'owner', 'active_schema_version', 'created_at'])
    .where('application_id', '=', applicationId).where('environment', '=', environment)
    .where('name', 'in', names).execute()
  return new Map(rows.map(({ name, description, owner, ...row }) =>
    [name, { description, owner, activeVersion: row.active_schema_version, createdAt: row.created_at }]))
}

/** Reads the latest and the active version of each topic, in ascending order. */
async function readVersions (
  db: Kysely<Database>, { applicationId, environment }: Scope, topics: readonly string[]
): Promise<(SchemaState & { topic: string })[]> {
  const { rows } = await sql<
    { topic: string, version: number, schema: string, compatibility_mode: string, policy: string }
  >`
    select s.topic, s.version, s.schema, s.compatibility_mode, s.policy
    from schemas s
    where s.application_id = ${applicationId} and s.environment = ${environment} and s.topic = any(${topics}::text[])
      and (
        s.version = (
          select max(l.version) from schemas l
          where l.application_id = s.application_id and l.environment = s.environment and l.topic = s.topic)
        or s.version = (
          select t.active_schema_version from topics t
          where t.application_id = s.application_id and t.environment = s.environment and t.name = s.topic))
    order by s.topic, s.version`.execute(db)
  return rows.map(row => ({
    topic: row.topic,
    version: row.version,
    text: row.schema,
    mode: row.compatibility_mode as CompatibilityMode,
    policy: row.policy as CompatibilityPolicy
  }))
}

export async function readMappingStates (
  db: Kysely<Database>, { applicationId, environment }: Scope, ids: readonly string[]
): Promise<Map<string, MappingState>> {
  const { rows } = await sql<
    { id: string, home: Environment, version: number | null, definition: string | null, enabled: boolean }
  >`
    select m.id, m.environment as home, v.version, v.definition,
      exists (
        select from mapping_subscriptions s
        where s.mapping_id = m.id and s.environment = ${environment} and s.active) as enabled
    from mappings m
    left join mapping_environments e on e.mapping_id = m.id and e.environment = ${environment}
    left join mapping_versions v on v.mapping_id = m.id and v.version = e.version
    where m.application_id = ${applicationId} and m.id = any(${ids}::text[])`.execute(db)
  return new Map(rows.map(({ id, home, version, definition, enabled: isEnabled }) => [id, {
    home,
    version,
    definition: definition === null ? undefined : JSON.parse(definition) as MappingDefinition,
    isEnabled
  }]))
}
