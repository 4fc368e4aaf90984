import { sql, type Kysely } from 'kysely'
import type { Database } from '../../db/tables.ts'
import type { DeploymentCheck } from '../../schemas/deployments.ts'
import type { MappingDefinition } from '../../schemas/database.ts'
import type { Scope } from '../../schemas/scope.ts'
import { readMappings } from '../cdc/mappings/mapping-rows.ts'
import { jsonEqual } from '../documents/json-equal.ts'
import { isReserved } from '../registry/topics/topic-names.ts'
import { targetOf, type ItemRow, type StoredDeployment } from './deployment-rows.ts'
import { parseOutcome, type Outcome } from './outcome.ts'
import { readMappingStates, readTopicStates, type MappingState, type TopicState } from './target-state.ts'

/** An item of an applied deployment that changed something, with the checks of undoing it. */
export interface Undoing {
  item: ItemRow
  outcome: Outcome
  check: DeploymentCheck
  /** Whether a topic that the deployment registered is gone already. */
  isGone: boolean
  /** Why a topic that the deployment registered stays. */
  kept: string | undefined
  /** The definition that a mapping returns to. */
  definition: MappingDefinition | undefined
}

interface Found {
  target: Scope
  appliedAt: number
  topics: ReadonlyMap<string, TopicState>
  mappings: ReadonlyMap<string, MappingState>
  /** Topics that the deployment has registered. */
  created: ReadonlySet<string>
}

/**
 * Compares the target with what the deployment has made of it. Somebody else's later change must not be undone, so each
 * item must still be as the deployment left it. `subscriptionsTo` counts the live subscriptions to a topic.
 */
export async function planUndoing (
  db: Kysely<Database>, { row, items }: StoredDeployment, subscriptionsTo: (topic: string) => number
): Promise<Undoing[]> {
  const target = targetOf(row)
  const changed = items.flatMap(item => item.outcome === null ? [] : [{ item, outcome: parseOutcome(item.outcome) }])
  const named = (isMapping: boolean) =>
    changed.filter(({ outcome }) => (outcome.kind === 'mapping') === isMapping).map(({ item }) => item.name)
  const found: Found = {
    target,
    appliedAt: row.applied_at ?? 0,
    topics: await readTopicStates(db, target, [...new Set(named(false))]),
    mappings: await readMappingStates(db, target, named(true)),
    created: new Set(changed.flatMap(({ item, outcome }) =>
      outcome.kind === 'topic' && outcome.before === null ? item.name : []))
  }
  const leaving = new Set(named(true))
  const undoings: Undoing[] = []
  for (const { item, outcome } of changed) {
    const definition = outcome.kind === 'mapping' && outcome.before !== null
      ? await definitionOf(db, item.name, outcome.before)
      : undefined
    const check = outcome.kind === 'mapping'
      ? await checkMapping(db, item.name, outcome, definition, found)
      : outcome.kind === 'topic' ? checkTopic(item.name, outcome, found) : checkSchema(item.name, outcome, found)
    const isCreated = outcome.kind === 'topic' && outcome.before === null
    const isGone = isCreated && !found.topics.has(item.name)
    const kept = isCreated && !isGone && check.ok
      ? await whyKept(db, target, item.name, leaving, subscriptionsTo(item.name), changed.some(one =>
        one.item.name === item.name && one.outcome.kind === 'schema' && one.outcome.isRegistered
      ))
      : undefined
    if (kept !== undefined) check.message = `The topic ${item.name} will be kept: ${kept}`
    undoings.push({ item, outcome, check, isGone, kept, definition })
  }
  return undoings
}

const rollback = (ok: boolean, message: string): DeploymentCheck => ({ name: 'rollback', ok, message })

function checkTopic (
  topic: string, { before, after }: Outcome & { kind: 'topic' }, { target: { environment }, appliedAt, topics }: Found
): DeploymentCheck {
  const state = topics.get(topic)
  if (state === undefined) {
    return before === null
      ? rollback(true, `The topic ${topic} was deleted from ${environment} already`)
      : rollback(false, `The topic ${topic} was deleted from ${environment} since`)
  }
  if (!jsonEqual({ description: state.description, owner: state.owner }, after)) {
    return rollback(false, `The topic ${topic} was changed in ${environment} since`)
  }
  if (before === null && state.createdAt > appliedAt) {
    return rollback(false, `The topic ${topic} was deleted from ${environment} and registered again since`)
  }
  return rollback(true, before === null
    ? `The topic ${topic} will be deleted from ${environment}`
    : `The topic ${topic} is as the deployment left it`)
}

function checkSchema (
  topic: string, { before, after }: Outcome & { kind: 'schema' },
  { target: { environment }, topics, created }: Found
): DeploymentCheck {
  const state = topics.get(topic)
  if (state === undefined) {
    const isFine = created.has(topic) || (isReserved(topic) && before === null)
    return rollback(isFine, `The topic ${topic} was deleted from ${environment} ${isFine ? 'already' : 'since'}`)
  }
  if (state.activeVersion !== after) {
    return rollback(
      false,
      `${state.activeVersion === null ? 'No version' : `Version ${state.activeVersion}`} of the schema of ${topic} ` +
        `is active in ${environment}, not version ${after}, which the deployment has activated`
    )
  }
  return rollback(true, before === null
    ? `The schema of ${topic} will be inactive`
    : `Version ${before} of the schema of ${topic} will be active again`)
}

async function checkMapping (
  db: Kysely<Database>, id: string, { before, after }: Outcome & { kind: 'mapping' },
  definition: MappingDefinition | undefined, { target, mappings, created }: Found
): Promise<DeploymentCheck> {
  const state = mappings.get(id)
  const { environment } = target
  if (state?.version !== after) {
    return rollback(
      false, `${environment} runs ${state?.version == null ? 'no version' : `version ${state.version}`} of ${id}, ` +
        `not version ${after}, which the deployment has brought`
    )
  }
  if (before === null) {
    return state.isEnabled
      ? rollback(false, `The mapping ${id} was enabled in ${environment} since: deactivate its subscription first`)
      : rollback(true, `The mapping ${id} will be removed from ${environment}`)
  }
  const topic = definition?.topic ?? ''
  const isThere = created.has(topic) || isReserved(topic) || (await readTopicStates(db, target, [topic])).has(topic)
  if (!isThere) {
    return rollback(false, `Version ${before} of ${id} needs the topic ${topic}, which ${environment} does not have`)
  }
  return rollback(true, `${environment} will run version ${before} of ${id} again`)
}

async function definitionOf (
  db: Kysely<Database>, id: string, version: number
): Promise<MappingDefinition | undefined> {
  const row = await db.selectFrom('mapping_versions').select('definition').where('mapping_id', '=', id)
    .where('version', '=', version).executeTakeFirst()
  return row && JSON.parse(row.definition) as MappingDefinition
}

/** Returns what still uses a topic, or undefined if nothing does. A topic in use is not deleted. */
async function whyKept (
  db: Kysely<Database>, target: Scope, topic: string, leaving: ReadonlySet<string>, subscriptions: number,
  hasOwnSchema: boolean
): Promise<string | undefined> {
  const { applicationId, environment } = target
  const { rows: [used] } = await sql<{ events: boolean, webhooks: boolean, retention: boolean, versions: number }>`
    select
      exists (
        select from topic_logs where application_id = ${applicationId} and environment = ${environment}
          and topic = ${topic} and head_offset > 0) as events,
      exists (
        select from webhooks where application_id = ${applicationId} and ${topic} = any(topics)
          and (environments is null or ${environment} = any(environments))) as webhooks,
      exists (
        select from topics where application_id = ${applicationId} and environment = ${environment}
          and name = ${topic} and retention_hours is not null) as retention,
      (select count(*) from schemas where application_id = ${applicationId} and environment = ${environment}
        and topic = ${topic}) as versions`.execute(db)
  if (used?.events === true) return 'it has events'
  if (used?.webhooks === true) return 'a webhook names it'
  if (used?.retention === true) return 'its retention was set'
  if (used !== undefined && used.versions > (hasOwnSchema ? 1 : 0)) return 'other versions of its schema are registered'
  if (subscriptions > 0) return `it has ${subscriptions} live subscription${subscriptions === 1 ? '' : 's'}`
  const [mapping] = (await readMappings(db, target, { topic })).filter(({ id }) => !leaving.has(id))
  return mapping && `the mapping ${mapping.id} writes to it`
}
