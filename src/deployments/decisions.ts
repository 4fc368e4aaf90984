import type { Kysely, Transaction } from 'kysely'
import type { Database } from '../../db/tables.ts'
import { ConflictError, ForbiddenError } from '../errors.ts'
import { randomId } from '../foundation/ids.ts'
import type { Origin } from '../identity/audit/origin.ts'
import { record } from '../identity/audit/record.ts'
import type { Actor } from './actor.ts'
import { lockDeployment, requireStatus, targetOf, type DeploymentRow } from './deployment-rows.ts'

/** Comments of one deployment. All of them are in each answer. */
const commentsMax = 200

/** Stores what people say about a deployment: comments, approvals and rejections. */
export function createDecisions ({ db }: { db: Kysely<Database> }) {
  const locked = async <T>(
    applicationId: string, id: string, work: (trx: Transaction<Database>, row: DeploymentRow) => Promise<T>
  ) => await db.transaction().execute(async trx => await work(trx, await lockDeployment(trx, applicationId, id)))

  return {
    /** Throws ConflictError `DEPLOYMENT_LIMIT`. */
    async comment (actor: Actor, applicationId: string, id: string, text: string, by: Origin): Promise<void> {
      await locked(applicationId, id, async (trx, row) => {
        const { count } = await trx.selectFrom('deployment_comments')
          .select(({ fn }) => fn.countAll<number>().as('count')).where('deployment_id', '=', id)
          .executeTakeFirstOrThrow()
        if (count >= commentsMax) {
          throw new ConflictError('DEPLOYMENT_LIMIT', `The deployment ${id} has ${count} comments, which is the limit`)
        }
        const comment = { id: randomId('dco'), deployment_id: id, created_by: actor.id, text, created_at: Date.now() }
        await trx.insertInto('deployment_comments').values(comment).execute()
        await touch(trx, id, {})
        await record(trx, by, {
          action: 'deployment.commented', resourceId: id, place: targetOf(row), after: { commentId: comment.id, text }
        })
      })
    },

    /**
     * Approves what the digest identifies. A second approval by the same user renews the first. Throws ForbiddenError
     * `PERSON_REQUIRED` or `SELF_APPROVAL`, ConflictError `DEPLOYMENT_STATUS`.
     */
    async approve (actor: Actor, applicationId: string, id: string, digest: string, by: Origin): Promise<void> {
      if (actor.kind === 'token') {
        throw new ForbiddenError('PERSON_REQUIRED', 'A token cannot approve a deployment: it has no user')
      }
      await locked(applicationId, id, async (trx, row) => {
        requireStatus(row, ['open', 'approved'], 'approved')
        if (row.created_by === actor.id) {
          throw new ForbiddenError(
            'SELF_APPROVAL', `You have created the deployment ${id}: somebody else must approve it`
          )
        }
        const now = Date.now()
        await trx.insertInto('deployment_approvals')
          .values({ deployment_id: id, user_id: actor.id, digest, created_at: now })
          .onConflict(conflict =>
            conflict.columns(['deployment_id', 'user_id']).doUpdateSet({ digest, created_at: now })
          ).execute()
        await touch(trx, id, { status: 'approved' })
        await record(trx, by, {
          action: 'deployment.approved', resourceId: id, place: targetOf(row), before: { status: row.status },
          after: { status: 'approved', approvedBy: actor.id, digest }
        })
      })
    },

    /** Throws ConflictError `DEPLOYMENT_STATUS`. */
    async reject (actor: Actor, applicationId: string, id: string, reason: string, by: Origin): Promise<void> {
      await locked(applicationId, id, async (trx, row) => {
        requireStatus(row, ['open', 'approved'], 'rejected')
        await touch(trx, id, { status: 'rejected', rejected_by: actor.id, rejected_at: Date.now(), reason })
        await record(trx, by, {
          action: 'deployment.rejected', resourceId: id, place: targetOf(row), before: { status: row.status },
          after: { status: 'rejected', rejectedBy: actor.id, reason }
        })
      })
    }
  }
}

async function touch (
  trx: Transaction<Database>, id: string,
  set: Partial<Pick<DeploymentRow, 'status' | 'rejected_by' | 'rejected_at' | 'reason'>>
): Promise<void> {
  await trx.updateTable('deployments').set({ ...set, updated_at: Date.now() }).where('id', '=', id).execute()
}
