import type { Kysely, Transaction } from 'kysely'
import type { Database } from '../../db/tables.ts'
import type { Scope } from '../../schemas/scope.ts'
import type { MappingChanges } from '../cdc/administration/mapping-changes.ts'
import { parseTableName } from '../cdc/mappings/table-name.ts'
import type { Principal } from '../identity/access/principal.ts'
import type { Origin } from '../identity/audit/origin.ts'
import { record } from '../identity/audit/record.ts'
import { toTopic } from '../registry/topics/topics.ts'
import type { Actor } from './actor.ts'
import { repeatWhileChanging } from './attempts.ts'
import {
  lockDeployment, readDeployment, requireStatus, targetOf, toSummary, type ItemRow, type StoredDeployment
} from './deployment-rows.ts'
import type { CountListeners } from './listener-count.ts'
import { lockMappings, writeMapping } from './mapping-writes.ts'
import { parseOutcome } from './outcome.ts'
import { notReady } from './refusals.ts'
import { authorizeUndoing } from './rights.ts'
import { planUndoing, type Undoing } from './rollback-checks.ts'
import { lockTopic, updateTopic } from './topic-writes.ts'

export interface RollbackOptions {
  db: Kysely<Database>
  changes: MappingChanges
  countListeners: CountListeners
}

/**
 * Rolls deployments back: all of a deployment's items, or none. The target gets what it had before, unless somebody has
 * changed it since.
 */
export function createRollback ({ db, changes, countListeners }: RollbackOptions) {
  /** Counts the live subscriptions to the topics that the deployment has registered. */
  async function subscriptionsOf ({ row, items }: StoredDeployment): Promise<(topic: string) => number> {
    const created = items.flatMap(({ kind, name, outcome }) =>
      kind === 'topic' && outcome !== null && parseOutcome(outcome).before === null ? name : [])
    if (created.length === 0) return () => 0
    const { listeners } = await countListeners.subscriptions(targetOf(row), created)
    const live = new Map(listeners.map(({ topic, subscriptions }) => [topic, subscriptions]))
    return topic => live.get(topic) ?? 0
  }

  async function attempt (deployment: StoredDeployment, actor: Actor, by: Origin): Promise<string[]> {
    const { row: { id, application_id: applicationId }, items } = deployment
    const target = targetOf(deployment.row)
    // Counted before the transaction, because other nodes are asked.
    const subscriptionsTo = await subscriptionsOf(deployment)
    return await changes.make(target, async (trx, publish) => {
      const row = await lockDeployment(trx, applicationId, id)
      requireStatus(row, ['applied'], 'rolled back')
      const ofKind = (isMapping: boolean) => items.filter(({ kind, outcome }) =>
        outcome !== null && (kind === 'mapping') === isMapping).map(({ name }) => name)
      const mappings = await lockMappings(trx, target, ofKind(true))
      for (const topic of [...new Set(ofKind(false))].sort()) await lockTopic(trx, target, topic)
      const undoings = await planUndoing(trx, { row, items }, subscriptionsTo)
      const failing = undoings.filter(({ check }) => !check.ok)
      if (failing.length > 0) {
        throw notReady(id, 'rolled back', failing.map(({ item, check }) => ({ path: pathOf(items, item), check })))
      }
      const tables: string[] = []
      for (const { item, outcome, definition } of undoings) {
        const state = mappings.get(item.name)
        if (outcome.kind !== 'mapping' || state === undefined) continue
        if (state.definition !== undefined && state.definition.table !== definition?.table) {
          tables.push(state.definition.table)
        }
        await writeMapping(trx, publish, target, {
          deploymentId: id, path: pathOf(items, item), id: item.name, version: outcome.before, definition, state
        }, 'rolled_back', by)
      }
      // Schemas first: the topic of a schema may be deleted with it.
      for (const undoing of undoings) await undoSchema(trx, target, undoing, id, by)
      for (const undoing of undoings) await undoTopic(trx, target, undoing, id, by)
      const now = Date.now()
      const after = await trx.updateTable('deployments')
        .set({ status: 'rolled_back', rolled_back_by: actor.id, rolled_back_at: now, updated_at: now })
        .where('id', '=', id).returningAll().executeTakeFirstOrThrow()
      await record(trx, by, {
        action: 'deployment.rolled_back', resourceId: id, place: target, before: { status: row.status },
        after: toSummary(after, items)
      })
      return tables
    })
  }

  return {
    /** Returns how each changed item of an applied deployment would be undone. */
    plan: async (deployment: StoredDeployment): Promise<Undoing[]> =>
      await planUndoing(db, deployment, await subscriptionsOf(deployment)),

    /** Throws ConflictError `DEPLOYMENT_NOT_READY` with the failing checks, or `DEPLOYMENT_STATUS`. */
    async run (principal: Principal, actor: Actor, applicationId: string, id: string, by: Origin): Promise<void> {
      await repeatWhileChanging(id, async () => {
        const deployment = await readDeployment(db, applicationId, id)
        requireStatus(deployment.row, ['applied'], 'rolled back')
        const target = targetOf(deployment.row)
        authorizeUndoing(
          principal, target, deployment.items.flatMap(({ outcome }) => outcome === null ? [] : parseOutcome(outcome))
        )
        for (const table of await attempt(deployment, actor, by)) await changes.tidy(target, parseTableName(table))
      })
    }
  }
}
export type Rollback = ReturnType<typeof createRollback>

export const pathOf = (items: readonly ItemRow[], item: ItemRow): string =>
  `/items/${items.findIndex(({ position }) => position === item.position)}`

async function undoSchema (
  trx: Transaction<Database>, target: Scope, { item, outcome }: Undoing, deploymentId: string, by: Origin
): Promise<void> {
  if (outcome.kind !== 'schema') return
  const { numUpdatedRows } = await trx.updateTable('topics').set({ active_schema_version: outcome.before })
    .where('application_id', '=', target.applicationId).where('environment', '=', target.environment)
    .where('name', '=', item.name).executeTakeFirst()
  if (numUpdatedRows === 0n) return
  await record(trx, by, {
    action: 'topic.updated', resourceId: item.name, place: target,
    before: { activeSchemaVersion: outcome.after }, after: { activeSchemaVersion: outcome.before, deploymentId }
  })
}

async function undoTopic (
  trx: Transaction<Database>, target: Scope, { item, outcome, isGone, kept }: Undoing, deploymentId: string, by: Origin
): Promise<void> {
  if (outcome.kind !== 'topic' || isGone) return
  if (kept !== undefined) {
    await trx.updateTable('deployment_items').set({ note: `The topic was kept: ${kept}` })
      .where('deployment_id', '=', deploymentId).where('position', '=', item.position).execute()
    return
  }
  const before = await lockTopic(trx, target, item.name)
  if (before === undefined) return
  if (outcome.before !== null) {
    await updateTopic(trx, target, item.name, outcome.before)
    await record(trx, by, {
      action: 'topic.updated', resourceId: item.name, place: target, before: toTopic(before),
      after: { ...toTopic(before), ...outcome.before, deploymentId }
    })
    return
  }
  await trx.deleteFrom('topics').where('application_id', '=', target.applicationId)
    .where('environment', '=', target.environment).where('name', '=', item.name).execute()
  await record(trx, by, {
    action: 'topic.deleted', resourceId: item.name, place: target, before: { ...toTopic(before), deploymentId }
  })
}
