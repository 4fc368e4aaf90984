import type { Kysely } from 'kysely'
import type { Database } from '../../db/tables.ts'
import type { Deployment, DeploymentCheck, DeploymentItem } from '../../schemas/deployments.ts'
import { readApprovals } from './approvals.ts'
import { nameOf, targetOf, toSummary, type ItemRow, type StoredDeployment } from './deployment-rows.ts'
import { failingChecks } from './apply.ts'
import { actionOf, targetVersionOf } from './item-plan.ts'
import { readContents, topicsOf } from './item-contents.ts'
import type { CountListeners } from './listener-count.ts'
import { parseOutcome } from './outcome.ts'
import type { Review, ReviewDeployment } from './review.ts'
import type { Rollback } from './rollback.ts'

export interface ViewOptions {
  db: Kysely<Database>
  review: ReviewDeployment
  rollback: Pick<Rollback, 'plan'>
  countListeners: CountListeners
}

/** Items with their checks, and the checks of the whole. */
type Part = Pick<Deployment, 'items' | 'digest' | 'ready' | 'checks' | 'approvals'>

/** Returns deployments in the form of the API, with fresh checks. */
export function createDeploymentView ({ db, review, rollback, countListeners }: ViewOptions) {
  /** Returns the effect of applying it. A rejected one has no checks. */
  async function toBeApplied (deployment: StoredDeployment): Promise<Part> {
    const isOpen = deployment.row.status !== 'rejected'
    const reviewed = await review(deployment, { checks: isOpen })
    const { list, check } = await readApprovals(db, deployment.row, reviewed.digest)
    return {
      items: reviewed.plans.map(toItem),
      digest: reviewed.digest,
      ready: isOpen && failingChecks(reviewed, check).length === 0,
      checks: isOpen ? [check] : [],
      approvals: list
    }
  }

  /** Returns the effect that applying it has had, with the checks of undoing it. */
  async function applied (deployment: StoredDeployment): Promise<Part> {
    const { row, items } = deployment
    const undoings = row.status === 'applied' ? await rollback.plan(deployment) : []
    const approvals = await db.selectFrom('deployment_approvals').selectAll().where('deployment_id', '=', row.id)
      .orderBy('created_at').orderBy('user_id').execute()
    return {
      items: items.map(item => toAppliedItem(
        item, undoings.flatMap(undoing => undoing.item.position === item.position ? undoing.check : [])
      )),
      ready: row.status === 'applied' && undoings.every(({ check }) => check.ok),
      checks: [],
      approvals: approvals.map(({ user_id: userId, created_at: createdAt }) => ({ userId, valid: true, createdAt }))
    }
  }

  return async function view (deployment: StoredDeployment): Promise<{ deployment: Deployment, missing: number }> {
    const { row, items } = deployment
    const hasBeenApplied = row.status === 'applied' || row.status === 'rolled_back'
    const part = await (hasBeenApplied ? applied(deployment) : toBeApplied(deployment))
    const topics = topicsOf(await readContents(db, deployment))
    const { listeners, missing } = await countListeners.all(targetOf(row), topics)
    const comments = await db.selectFrom('deployment_comments').selectAll().where('deployment_id', '=', row.id)
      .orderBy('created_at').orderBy('id').execute()
    return {
      deployment: {
        ...toSummary(row, items),
        ...part,
        comments: comments.map(({ id, text, created_by: createdBy, created_at: createdAt }) =>
          ({ id, text, createdBy, createdAt })),
        listeners
      },
      missing
    }
  }
}

const toItem = (plan: Review['plans'][number]): DeploymentItem => ({
  kind: plan.content.kind,
  ...nameOf(plan.content.item),
  version: plan.content.item.version,
  action: actionOf(plan.outcome),
  targetVersion: targetVersionOf(plan),
  diff: plan.diff,
  checks: plan.checks,
  ...(plan.compatibility !== undefined && { compatibility: plan.compatibility })
})

function toAppliedItem (item: ItemRow, checks: DeploymentCheck[]): DeploymentItem {
  const outcome = item.outcome === null ? undefined : parseOutcome(item.outcome)
  return {
    kind: item.kind,
    ...nameOf(item),
    version: item.version,
    action: actionOf(outcome),
    targetVersion: outcome === undefined || outcome.kind === 'topic' ? null : outcome.after,
    diff: (outcome?.diff ?? []) as DeploymentItem['diff'],
    checks,
    ...(item.note !== null && { note: item.note })
  }
}
