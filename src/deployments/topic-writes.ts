import type { Transaction } from 'kysely'
import type { Database } from '../../db/tables.ts'
import type { Scope } from '../../schemas/scope.ts'
import { jsonEqual } from '../documents/json-equal.ts'
import type { Origin } from '../identity/audit/origin.ts'
import { record } from '../identity/audit/record.ts'
import { insertVersion, recordVersion, settle } from '../registry/schemas/store-version.ts'
import { isReserved } from '../registry/topics/topic-names.ts'
import { insertTopic, toTopic } from '../registry/topics/topics.ts'
import type { ItemPlan } from './item-plan.ts'
import type { TopicContent } from './item-contents.ts'
import { TargetChanged } from './refusals.ts'

/** The plans for one topic of the target. */
export interface TopicPlans { topic: string, ofTopic: ItemPlan | undefined, ofSchema: ItemPlan | undefined }

/**
 * Registers or changes a topic and its schema, as planned. Throws TargetChanged if somebody has changed the target
 * since. A topic without plans is one that a mapping needs: it cannot be deleted until the transaction ends.
 */
export async function writeTopic (
  trx: Transaction<Database>, target: Scope, { topic, ofTopic, ofSchema }: TopicPlans, deploymentId: string, by: Origin
): Promise<void> {
  const topicChange = ofTopic?.outcome?.kind === 'topic' ? ofTopic.outcome : undefined
  const schemaChange = ofSchema?.outcome?.kind === 'schema' ? ofSchema.outcome : undefined
  const isCreated = topicChange?.before === null
  if (isCreated) await createTopic(trx, target, topic, topicChange.after, deploymentId, by)
  const content = ofSchema?.content
  const version = schemaChange?.isRegistered !== true || content?.kind !== 'schema'
    ? undefined
    : await insertVersion(trx, target, topic, {
      version: schemaChange.after, schema: content.text, created_at: Date.now(), ...await termsIn(trx, target, content)
    })
  if (schemaChange?.isRegistered === true && version === undefined) throw new TargetChanged()

  const row = await lockTopic(trx, target, topic, ofTopic === undefined && ofSchema === undefined)
  if (row === undefined && !isReserved(topic)) throw new TargetChanged()
  if (!isCreated && ofTopic !== undefined) {
    requireSame(row && { description: row.description, owner: row.owner }, ofTopic.mark)
  }
  if (ofSchema !== undefined) {
    const latest = schemaChange?.isRegistered === true
      ? (ofSchema.mark as unknown[])[0]
      : await latestVersion(trx, target, topic)
    requireSame([latest, row?.active_schema_version ?? null], ofSchema.mark)
  }
  if (row !== undefined && topicChange !== undefined && !isCreated) {
    await updateTopic(trx, target, topic, topicChange.after)
    await record(trx, by, {
      action: 'topic.updated', resourceId: topic, place: target, before: toTopic(row),
      after: { ...toTopic(row), ...topicChange.after, deploymentId }
    })
  }
  if (schemaChange === undefined) return
  await settle(trx, target, topic, schemaChange.after)
  if (version !== undefined) await recordVersion(trx, target, version, true, by)
  else {
    await record(trx, by, {
      action: 'topic.updated', resourceId: topic, place: target,
      before: { activeSchemaVersion: schemaChange.before },
      after: { activeSchemaVersion: schemaChange.after, deploymentId }
    })
  }
}

/** Locks a topic, and returns its row if it has one. `onlyNeeded` allows others to change it, but not to delete it. */
export async function lockTopic (
  trx: Transaction<Database>, target: Scope, topic: string, onlyNeeded = false
) {
  const query = trx.selectFrom('topics').selectAll().where('application_id', '=', target.applicationId)
    .where('environment', '=', target.environment).where('name', '=', topic)
  return await (onlyNeeded ? query.forKeyShare() : query.forUpdate()).executeTakeFirst()
}

export async function updateTopic (
  trx: Transaction<Database>, target: Scope, topic: string, values: TopicContent
): Promise<void> {
  await trx.updateTable('topics').set({ description: values.description, owner: values.owner })
    .where('application_id', '=', target.applicationId).where('environment', '=', target.environment)
    .where('name', '=', topic).execute()
}

async function createTopic (
  trx: Transaction<Database>, target: Scope, name: string, content: TopicContent, deploymentId: string, by: Origin
): Promise<void> {
  const row = await insertTopic(trx, target, { name, ...content })
  if (row === undefined) throw new TargetChanged()
  await record(trx, by, {
    action: 'topic.created', resourceId: name, place: target, after: { ...toTopic(row), deploymentId }
  })
}

/** The mode and policy of the target's latest version stay in force; a first version brings its own. */
async function termsIn (
  trx: Transaction<Database>, target: Scope, { topic, mode, policy }: { topic: string, mode: string, policy: string }
): Promise<{ compatibility_mode: string, policy: string }> {
  return await trx.selectFrom('schemas').select(['compatibility_mode', 'policy'])
    .where('application_id', '=', target.applicationId).where('environment', '=', target.environment)
    .where('topic', '=', topic).orderBy('version', 'desc').limit(1).executeTakeFirst() ??
    { compatibility_mode: mode, policy }
}

async function latestVersion (trx: Transaction<Database>, target: Scope, topic: string): Promise<number | null> {
  const row = await trx.selectFrom('schemas').select('version').where('application_id', '=', target.applicationId)
    .where('environment', '=', target.environment).where('topic', '=', topic).orderBy('version', 'desc').limit(1)
    .executeTakeFirst()
  return row?.version ?? null
}

function requireSame (found: unknown, planned: unknown): void {
  if (!jsonEqual(found, planned)) throw new TargetChanged()
}
