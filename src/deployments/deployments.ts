import { sql, type Kysely } from 'kysely'
import type { Database } from '../../db/tables.ts'
import {
  deploymentList, type Deployment, type DeploymentCreate, type DeploymentQuery, type DeploymentSummary
} from '../../schemas/deployments.ts'
import type { Scope } from '../../schemas/scope.ts'
import type { MappingChanges } from '../cdc/administration/mapping-changes.ts'
import type { SourcePool } from '../cdc/threads/source-pool.ts'
import { List, number, text } from '../foundation/lists/list.ts'
import { readPage } from '../foundation/lists/read-page.ts'
import type { PageOf } from '../foundation/paging.ts'
import { authorize } from '../identity/access/permissions.ts'
import type { Principal } from '../identity/access/principal.ts'
import type { Origin } from '../identity/audit/origin.ts'
import type { SchemaVersions } from '../registry/schemas/versions.ts'
import { actorOf } from './actor.ts'
import { createApply } from './apply.ts'
import { createCreation } from './create-deployment.ts'
import { createDecisions } from './decisions.ts'
import {
  readDeployment, readItemNames, sourceOf, targetOf, toSummary, type DeploymentRow, type ItemName
} from './deployment-rows.ts'
import { createDeploymentView } from './deployment-view.ts'
import type { CountListeners } from './listener-count.ts'
import { requireDigest } from './refusals.ts'
import { createReview } from './review.ts'
import { authorizeReading } from './rights.ts'
import { createRollback } from './rollback.ts'

export interface DeploymentsOptions {
  db: Kysely<Database>
  changes: MappingChanges
  sources: SourcePool
  schemas: Pick<SchemaVersions, 'compatibilityOf'>
  countListeners: CountListeners
}

/** A deployment, and how many nodes did not report their subscriptions. */
export interface Answer { deployment: Deployment, missing: number }

/**
 * Manages deployments: sets of topics, schema versions and mappings that go from one environment to the next together.
 * They belong to an application, and a scope names only that.
 */
export function createDeployments (options: DeploymentsOptions) {
  const { db } = options
  const review = createReview(options)
  const create = createCreation(options)
  const apply = createApply({ ...options, review })
  const rollback = createRollback(options)
  const decisions = createDecisions({ db })
  const view = createDeploymentView({ ...options, review, rollback })

  async function read (principal: Principal, applicationId: string, id: string): Promise<Answer> {
    const deployment = await readDeployment(db, applicationId, id)
    authorizeReading(principal, deployment)
    return await view(deployment)
  }

  /** Changes a deployment that the principal may read, and returns what has become of it. */
  async function change (
    principal: Principal, { applicationId }: Scope, id: string, work: () => Promise<void>
  ): Promise<Answer> {
    const deployment = await readDeployment(db, applicationId, id)
    for (const scope of [sourceOf(deployment.row), targetOf(deployment.row)]) {
      authorize(principal, scope, 'deployments:update')
    }
    authorizeReading(principal, deployment)
    await work()
    return await read(principal, applicationId, id)
  }

  return {
    /** Returns a page of deployments, without diffs and checks. */
    async list (
      { applicationId }: Scope, { status, source, target, createdBy, ...query }: DeploymentQuery
    ): Promise<PageOf<DeploymentSummary>> {
      const equal = { status, source, target, created_by: createdBy }
      const { items: rows, nextCursor } = await readPage(db, list, query, {
        from: db.selectFrom('deployments').selectAll().where('application_id', '=', applicationId),
        filters: Object.entries(equal).map(([column, value]) =>
          value === undefined ? undefined : sql<boolean>`${sql.ref(column)} = ${value}`),
        toItem: (row: DeploymentRow) => row
      })
      const items = new Map<string, ItemName[]>(rows.map(({ id }) => [id, []]))
      for (const item of await readItemNames(db, [...items.keys()])) items.get(item.deployment_id)?.push(item)
      return { items: rows.map(row => toSummary(row, items.get(row.id) ?? [])), nextCursor }
    },

    get: async (principal: Principal, { applicationId }: Scope, id: string): Promise<Answer> =>
      await read(principal, applicationId, id),

    async create (
      principal: Principal, { applicationId }: Scope, input: DeploymentCreate, by: Origin
    ): Promise<Answer> {
      const id = await create(principal, await actorOf(db, principal), applicationId, input, by)
      return await read(principal, applicationId, id)
    },

    comment: async (principal: Principal, scope: Scope, id: string, comment: string, by: Origin): Promise<Answer> =>
      await change(principal, scope, id, async () =>
        await decisions.comment(await actorOf(db, principal), scope.applicationId, id, comment, by)),

    /** Approves the deployment as it would be applied now. */
    approve: async (
      principal: Principal, scope: Scope, id: string, expected: string | undefined, by: Origin
    ): Promise<Answer> =>
      await change(principal, scope, id, async () => {
        const { digest } = await review(await readDeployment(db, scope.applicationId, id), { checks: false })
        requireDigest(id, digest, expected)
        await decisions.approve(await actorOf(db, principal), scope.applicationId, id, digest, by)
      }),

    reject: async (principal: Principal, scope: Scope, id: string, reason: string, by: Origin): Promise<Answer> =>
      await change(principal, scope, id, async () =>
        await decisions.reject(await actorOf(db, principal), scope.applicationId, id, reason, by)),

    apply: async (
      principal: Principal, scope: Scope, id: string, digest: string | undefined, by: Origin
    ): Promise<Answer> =>
      await change(principal, scope, id, async () =>
        await apply(scope.applicationId, id, { principal, actor: await actorOf(db, principal), digest, by })),

    rollback: async (principal: Principal, scope: Scope, id: string, by: Origin): Promise<Answer> =>
      await change(principal, scope, id, async () =>
        await rollback.run(principal, await actorOf(db, principal), scope.applicationId, id, by))
  }
}
export type Deployments = ReturnType<typeof createDeployments>

const list = new List(deploymentList, {
  columns: {
    createdAt: number('created_at'), updatedAt: number('updated_at'), title: text('title'),
    description: text('description')
  },
  identity: [text('id')]
})
