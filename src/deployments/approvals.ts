import type { Kysely } from 'kysely'
import type { Database } from '../../db/tables.ts'
import type { Deployment, DeploymentCheck } from '../../schemas/deployments.ts'
import { NotFoundError } from '../errors.ts'
import { grantsOf } from '../identity/auth/sessions.ts'
import { targetOf, type DeploymentRow } from './deployment-rows.ts'

export interface Approvals {
  list: Deployment['approvals']
  check: DeploymentCheck
}

/**
 * Judges the approvals of a deployment by its present digest. An approval counts while the target is as its user saw
 * it, and while the user may still change deployments of the application. With `lock`, the requirement cannot change
 * until the transaction ends.
 */
export async function readApprovals (
  db: Kysely<Database>, row: DeploymentRow, digest: string, { lock = false }: { lock?: boolean } = {}
): Promise<Approvals> {
  const { applicationId, environment } = targetOf(row)
  const application = db.selectFrom('applications').select('approval_environments').where('id', '=', applicationId)
  const found = await (lock ? application.forShare() : application).executeTakeFirst()
  if (found === undefined) throw new NotFoundError('APPLICATION_NOT_FOUND', `Application not found: ${applicationId}`)
  const rows = await db.selectFrom('deployment_approvals').selectAll().where('deployment_id', '=', row.id)
    .orderBy('created_at').orderBy('user_id').execute()
  const list: Approvals['list'] = []
  let hasLapsed = false
  for (const { user_id: userId, digest: approved, created_at: createdAt } of rows) {
    const grants = await grantsOf(db, userId)
    const held = grants?.byApplication.get(applicationId) ?? grants?.everywhere
    const isEntitled = held?.allows('deployments:update') === true && userId !== row.created_by
    if (isEntitled && approved !== digest) hasLapsed = true
    list.push({ userId, valid: isEntitled && approved === digest, createdAt })
  }
  const check = (ok: boolean, message: string): DeploymentCheck => ({ name: 'approval', ok, message })
  const counting = list.filter(({ valid }) => valid).map(({ userId }) => userId)
  const isRequired = found.approval_environments.includes(environment)
  if (!isRequired) return { list, check: check(true, `${environment} requires no approval`) }
  if (row.created_with === 'token') {
    return {
      list,
      check: check(false, `${environment} requires an approval by somebody other than the author, and the author of ` +
        'this deployment is unknown: it was created with a token. Create it with a session or an API key')
    }
  }
  if (counting.length > 0) return { list, check: check(true, `Approved by ${counting.join(', ')}`) }
  return {
    list,
    check: check(false, hasLapsed
      ? `${environment} has changed since the approval. Somebody other than the author must approve it again`
      : `${environment} requires an approval by somebody other than the author`)
  }
}
