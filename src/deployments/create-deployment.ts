import type { Kysely, Transaction } from 'kysely'
import type { Database } from '../../db/tables.ts'
import type { DeploymentCreate } from '../../schemas/deployments.ts'
import { environments, type Scope } from '../../schemas/scope.ts'
import type { MappingChanges } from '../cdc/administration/mapping-changes.ts'
import { ConflictError, NotFoundError } from '../errors.ts'
import { randomId } from '../foundation/ids.ts'
import { invalid } from '../foundation/json.ts'
import type { Principal } from '../identity/access/principal.ts'
import type { Origin } from '../identity/audit/origin.ts'
import { record } from '../identity/audit/record.ts'
import type { Actor } from './actor.ts'
import { toSummary } from './deployment-rows.ts'
import { freeze, namesOfItems } from './frozen-items.ts'
import { authorizeReading } from './rights.ts'

/** Open deployments of one application. */
export const openMax = 100
/** Closed deployments that an application keeps. The oldest are deleted when new ones are created. */
const closedKept = 1000
const openStatuses = ['open', 'approved'] as const

export interface CreateOptions { db: Kysely<Database>, changes: MappingChanges }

/** Creates deployments: fixes their contents, so that nothing that happens in the source later is applied with them. */
export function createCreation ({ db, changes }: CreateOptions) {
  /**
   * Returns the id. Throws ValidationError, NotFoundError for what the source does not have, and ConflictError
   * `DEPLOYMENT_LIMIT`.
   */
  return async function create (
    principal: Principal, actor: Actor, applicationId: string, input: DeploymentCreate, by: Origin
  ): Promise<string> {
    const { title, description = '', source, items } = input
    const target = environments[environments.indexOf(source) + 1]
    if (target === undefined) throw invalid('/source', `must not be ${source}: no environment comes after it`)
    namesOfItems(items)
    const from: Scope = { applicationId, environment: source }
    const to: Scope = { applicationId, environment: target }
    const now = Date.now()
    const row = {
      id: randomId('dep'), application_id: applicationId, title, description, source, target,
      status: 'open' as const, created_by: actor.id, created_with: actor.kind, created_at: now, updated_at: now,
      applied_by: null, applied_at: null, rolled_back_by: null, rolled_back_at: null, rejected_by: null,
      rejected_at: null, reason: null
    }
    authorizeReading(principal, { row, items })
    const work = async (trx: Transaction<Database>): Promise<void> => {
      await requireRoom(trx, applicationId)
      const frozen = await freeze({ trx, principal, from, to, by }, items)
      await trx.insertInto('deployments').values(row).execute()
      const rows = frozen.map((item, position) => ({
        deployment_id: row.id, position, ...item, outcome: null, note: null
      }))
      await trx.insertInto('deployment_items').values(rows).execute()
      await record(trx, by, {
        action: 'deployment.created', resourceId: row.id, place: to, after: toSummary(row, rows)
      })
    }
    // A mapping may get a new version, which other changes of the source's mappings must not interfere with.
    const make = items.some(({ kind }) => kind === 'mapping')
      ? async () => await changes.make(from, work)
      : async () => await db.transaction().execute(work)
    await make().catch((error: unknown) => {
      // foreign_key_violation: the application was deleted meanwhile.
      throw (error as { code?: unknown }).code === '23503' ? applicationNotFound(applicationId) : error
    })
    return row.id
  }
}

/** Locks the application, so that concurrent requests cannot exceed the limit. */
async function requireRoom (trx: Transaction<Database>, applicationId: string): Promise<void> {
  const application = await trx.selectFrom('applications').select('id').where('id', '=', applicationId)
    .forNoKeyUpdate().executeTakeFirst()
  if (application === undefined) throw applicationNotFound(applicationId)
  const { count } = await trx.selectFrom('deployments').select(({ fn }) => fn.countAll<number>().as('count'))
    .where('application_id', '=', applicationId).where('status', 'in', openStatuses).executeTakeFirstOrThrow()
  if (count >= openMax) {
    throw new ConflictError(
      'DEPLOYMENT_LIMIT',
      `The application has ${count} open deployments, and at most ${openMax} are allowed. Apply or reject one first`
    )
  }
  await trx.deleteFrom('deployments').where('id', 'in', old =>
    old.selectFrom('deployments').select('id').where('application_id', '=', applicationId)
      .where('status', 'not in', openStatuses).orderBy('created_at', 'desc').orderBy('id', 'desc').offset(closedKept)
  ).execute()
}

const applicationNotFound = (id: string) =>
  new NotFoundError('APPLICATION_NOT_FOUND', `Application not found: ${id}`)
