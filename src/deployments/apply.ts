import type { Kysely, Transaction } from 'kysely'
import type { Database } from '../../db/tables.ts'
import type { MappingChanges, Publish } from '../cdc/administration/mapping-changes.ts'
import { parseTableName } from '../cdc/mappings/table-name.ts'
import type { Principal } from '../identity/access/principal.ts'
import type { Origin } from '../identity/audit/origin.ts'
import { record } from '../identity/audit/record.ts'
import type { Actor } from './actor.ts'
import { readApprovals } from './approvals.ts'
import { repeatWhileChanging } from './attempts.ts'
import {
  lockDeployment, readDeployment, requireStatus, targetOf, toSummary, type StoredDeployment
} from './deployment-rows.ts'
import { topicsOf } from './item-contents.ts'
import type { ItemPlan } from './item-plan.ts'
import { lockMappings, writeMapping } from './mapping-writes.ts'
import { notReady, requireDigest, TargetChanged, type PlacedCheck } from './refusals.ts'
import type { Review, ReviewDeployment } from './review.ts'
import { authorizeChanges } from './rights.ts'
import { writeTopic } from './topic-writes.ts'

export interface ApplyOptions {
  db: Kysely<Database>
  changes: MappingChanges
  review: ReviewDeployment
}

export interface ApplyRequest {
  principal: Principal
  actor: Actor
  /** The only digest that the request is meant for. */
  digest: string | undefined
  by: Origin
}

/**
 * Applies deployments: all of a deployment's items, or none. The checks are made before the transaction, because
 * comparing schemas and reading a connected database may take seconds. Within it, everything that they have read from
 * the platform's database is locked and compared; if something has changed, they are made again.
 */
export function createApply ({ db, changes, review }: ApplyOptions) {
  async function attempt (
    deployment: StoredDeployment, { principal, actor, digest, by }: ApplyRequest
  ): Promise<Review> {
    const { row: { id, application_id: applicationId } } = deployment
    const target = targetOf(deployment.row)
    const reviewed = await review(deployment)
    requireDigest(id, reviewed.digest, digest)
    authorizeChanges(principal, target, reviewed.plans.flatMap(({ outcome }) => outcome ?? []))
    const { check } = await readApprovals(db, deployment.row, reviewed.digest)
    const failing = failingChecks(reviewed, check)
    if (failing.length > 0) throw notReady(id, 'applied', failing)
    await changes.make(target, async (trx, publish) => {
      const row = await lockDeployment(trx, applicationId, id)
      requireStatus(row, ['open', 'approved'], 'applied')
      const approvals = await readApprovals(trx, row, reviewed.digest, { lock: true })
      if (!approvals.check.ok) throw notReady(id, 'applied', [{ path: '', check: approvals.check }])
      await write(trx, publish, { ...deployment, row }, reviewed.plans, by)
      const lapsed = approvals.list.filter(({ valid }) => !valid).map(({ userId }) => userId)
      if (lapsed.length > 0) {
        await trx.deleteFrom('deployment_approvals').where('deployment_id', '=', id).where('user_id', 'in', lapsed)
          .execute()
      }
      await finish(trx, deployment, reviewed.plans, actor, by)
    })
    return reviewed
  }

  /**
   * Throws ConflictError `DEPLOYMENT_NOT_READY` with the failing checks, `DEPLOYMENT_STATUS` or `DEPLOYMENT_CHANGED`.
   */
  return async function apply (applicationId: string, id: string, request: ApplyRequest): Promise<void> {
    await repeatWhileChanging(id, async () => {
      const deployment = await readDeployment(db, applicationId, id)
      requireStatus(deployment.row, ['open', 'approved'], 'applied')
      const { plans } = await attempt(deployment, request)
      const tablesLeft = plans.flatMap(({ outcome, tableLeft }) => outcome === undefined ? [] : tableLeft ?? [])
      for (const table of tablesLeft) await changes.tidy(targetOf(deployment.row), parseTableName(table))
    })
  }
}
export type ApplyDeployment = ReturnType<typeof createApply>

/** Returns the failing checks of a review and of the approval, each with its place. */
export function failingChecks ({ plans }: Pick<Review, 'plans'>, approval?: PlacedCheck['check']): PlacedCheck[] {
  const ofItems = plans.flatMap(({ checks }, i) => checks.map(check => ({ path: `/items/${i}`, check })))
  return [...ofItems, ...approval === undefined ? [] : [{ path: '', check: approval }]].filter(({ check }) => !check.ok)
}

/** Writes mappings in the order of their ids, then topics in the order of their names. */
async function write (
  trx: Transaction<Database>, publish: Publish, { row, items }: StoredDeployment, plans: readonly ItemPlan[], by: Origin
): Promise<void> {
  const target = targetOf(row)
  const ofMappings = plans.flatMap(({ content, outcome, mark }) =>
    content.kind === 'mapping' ? [{ content, outcome, mark }] : []
  ).sort((a, b) => a.content.id < b.content.id ? -1 : 1)
  const states = await lockMappings(trx, target, ofMappings.map(({ content }) => content.id))
  for (const { content: { id, version, definition, item }, outcome, mark } of ofMappings) {
    const state = states.get(id)
    if (state === undefined || state.version !== mark) throw new TargetChanged()
    if (outcome === undefined) continue
    const path = `/items/${items.findIndex(({ position }) => position === item.position)}`
    await writeMapping(
      trx, publish, target, { deploymentId: row.id, path, id, version, definition, state }, 'promoted', by
    )
  }
  for (const topic of topicsOf(plans.map(({ content }) => content))) {
    const of = (kind: 'topic' | 'schema') =>
      plans.find(({ content }) => content.kind === kind && content.item.name === topic)
    await writeTopic(trx, target, { topic, ofTopic: of('topic'), ofSchema: of('schema') }, row.id, by)
  }
}

async function finish (
  trx: Transaction<Database>, { row, items }: StoredDeployment, plans: readonly ItemPlan[], actor: Actor, by: Origin
): Promise<void> {
  for (const { content: { item }, outcome, diff } of plans) {
    if (outcome === undefined) continue
    await trx.updateTable('deployment_items').set({ outcome: JSON.stringify({ ...outcome, diff }) })
      .where('deployment_id', '=', row.id).where('position', '=', item.position).execute()
  }
  const now = Date.now()
  const after = await trx.updateTable('deployments')
    .set({ status: 'applied', applied_by: actor.id, applied_at: now, updated_at: now })
    .where('id', '=', row.id).returningAll().executeTakeFirstOrThrow()
  await record(trx, by, {
    action: 'deployment.applied', resourceId: row.id, place: targetOf(row), before: { status: row.status },
    after: toSummary(after, items)
  })
}
