import type { Kysely, Selectable } from 'kysely'
import type {
  Database, DeploymentApprovalsTable, DeploymentCommentsTable, DeploymentItemsTable, DeploymentsTable
} from '../../db/tables.ts'
import type { DeploymentSummary } from '../../schemas/deployments.ts'
import type { Scope } from '../../schemas/scope.ts'
import { ConflictError, NotFoundError } from '../errors.ts'

export type DeploymentRow = Selectable<DeploymentsTable>
export type ItemRow = Selectable<DeploymentItemsTable>
export type ApprovalRow = Selectable<DeploymentApprovalsTable>
export type CommentRow = Selectable<DeploymentCommentsTable>

/** A deployment with its items, in the order of the request. */
export interface StoredDeployment { row: DeploymentRow, items: ItemRow[] }

/** Reads a deployment of the application. Throws NotFoundError `DEPLOYMENT_NOT_FOUND`. */
export async function readDeployment (
  db: Kysely<Database>, applicationId: string, id: string
): Promise<StoredDeployment> {
  const row = await db.selectFrom('deployments').selectAll().where('id', '=', id)
    .where('application_id', '=', applicationId).executeTakeFirst()
  if (row === undefined) throw notFound(id)
  return { row, items: await readItems(db, id) }
}

/** Locks a deployment until the transaction ends, and returns its row. Throws NotFoundError `DEPLOYMENT_NOT_FOUND`. */
export async function lockDeployment (
  trx: Kysely<Database>, applicationId: string, id: string
): Promise<DeploymentRow> {
  const row = await trx.selectFrom('deployments').selectAll().where('id', '=', id)
    .where('application_id', '=', applicationId).forUpdate().executeTakeFirst()
  if (row === undefined) throw notFound(id)
  return row
}

const readItems = async (db: Kysely<Database>, id: string): Promise<ItemRow[]> =>
  await db.selectFrom('deployment_items').selectAll().where('deployment_id', '=', id).orderBy('position').execute()

/** Throws ConflictError `DEPLOYMENT_STATUS` unless the deployment has one of the statuses. */
export function requireStatus (row: DeploymentRow, statuses: readonly DeploymentRow['status'][], verb: string): void {
  if (statuses.includes(row.status)) return
  const [by, at] = row.status === 'applied'
    ? [row.applied_by, row.applied_at]
    : row.status === 'rolled_back' ? [row.rolled_back_by, row.rolled_back_at] : [row.rejected_by, row.rejected_at]
  const since = by === null || at === null ? '' : `, since ${new Date(at).toISOString()} by ${by}`
  throw new ConflictError(
    'DEPLOYMENT_STATUS',
    `The deployment ${row.id} cannot be ${verb}: it is ${row.status.replace('_', ' ')}${since}`
  )
}

export const sourceOf = (row: DeploymentRow): Scope => ({ applicationId: row.application_id, environment: row.source })
export const targetOf = (row: DeploymentRow): Scope => ({ applicationId: row.application_id, environment: row.target })

/** An item without its content and outcome, which can have megabytes. */
export type ItemName = Pick<ItemRow, 'deployment_id' | 'kind' | 'name' | 'version'>

export const readItemNames = async (db: Kysely<Database>, ids: readonly string[]): Promise<ItemName[]> =>
  ids.length === 0
    ? []
    : await db.selectFrom('deployment_items').select(['deployment_id', 'kind', 'name', 'version'])
      .where('deployment_id', 'in', ids).orderBy('deployment_id').orderBy('position').execute()

/** Returns the name of an item in the form of the API: topics have names, mappings ids. */
export const nameOf = ({ kind, name }: Pick<ItemRow, 'kind' | 'name'>): { name: string } | { id: string } =>
  kind === 'mapping' ? { id: name } : { name }

export const toSummary = (
  row: DeploymentRow, items: readonly Omit<ItemName, 'deployment_id'>[]
): DeploymentSummary => ({
  id: row.id,
  title: row.title,
  description: row.description,
  source: row.source,
  target: row.target,
  status: row.status,
  applicationId: row.application_id,
  createdBy: row.created_by,
  createdWith: row.created_with,
  createdAt: row.created_at,
  updatedAt: row.updated_at,
  appliedBy: row.applied_by,
  appliedAt: row.applied_at,
  rolledBackBy: row.rolled_back_by,
  rolledBackAt: row.rolled_back_at,
  rejectedBy: row.rejected_by,
  rejectedAt: row.rejected_at,
  reason: row.reason,
  items: items.map(item => ({ kind: item.kind, ...nameOf(item), version: item.version }))
})

const notFound = (id: string) => new NotFoundError('DEPLOYMENT_NOT_FOUND', `Deployment not found: ${id}`)
