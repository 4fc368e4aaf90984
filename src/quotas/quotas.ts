import { sql, type Kysely } from 'kysely'
import type { Database } from '../../db/tables.ts'
import { quotaNames, type Quotas, type QuotasChange } from '../../schemas/quotas.ts'
import type { Invalidations } from '../cluster/invalidations.ts'
import { ForbiddenError, NotFoundError } from '../errors.ts'
import { PermissionSet } from '../identity/access/permission-set.ts'
import { authorize, coversAt, reachesApplication } from '../identity/access/permissions.ts'
import type { Principal } from '../identity/access/principal.ts'
import type { Origin } from '../identity/audit/origin.ts'
import { record } from '../identity/audit/record.ts'
import { quotaColumns, toQuotas, unlimited, type QuotaLimits } from './quota-limits.ts'

const mayUpdate = PermissionSet.of(['applications:update'])

export interface QuotasOptions {
  db: Kysely<Database>
  limits: QuotaLimits
  invalidations: Pick<Invalidations, 'announce'>
  /** Called when this node has changed the quotas of an application. */
  onChanged (applicationId: string): void
}

/** Reads and changes the quotas of applications. */
export function createQuotas ({ db, limits, invalidations, onChanged }: QuotasOptions) {
  return {
    /** Returns the quotas in effect. */
    async get (principal: Principal, applicationId: string): Promise<Quotas> {
      await requireReadable(db, principal, applicationId)
      const row = await db.selectFrom('application_quotas').selectAll().where('application_id', '=', applicationId)
        .executeTakeFirst()
      return toQuotas(row, limits.defaults)
    },

    /**
     * Replaces the quotas. Requires `applications:update` for all applications: a tenant must not lift its own quotas.
     */
    async put (principal: Principal, applicationId: string, change: QuotasChange, by: Origin): Promise<Quotas> {
      if (!reachesApplication(principal, applicationId)) throw notFound(applicationId)
      if (!coversAt(principal, null, mayUpdate)) {
        throw new ForbiddenError('PERMISSION_DENIED', 'Permission required for all applications: applications:update')
      }
      const row = await db.transaction().execute(async trx => {
        const application = await trx.selectFrom('applications').select('id').where('id', '=', applicationId)
          .forKeyShare().executeTakeFirst()
        if (application === undefined) throw notFound(applicationId)
        const before = await trx.selectFrom('application_quotas').selectAll()
          .where('application_id', '=', applicationId).forUpdate().executeTakeFirst()
        const values = Object.fromEntries(quotaNames.map(name => {
          const value = change[name]
          return [quotaColumns[name], value === undefined ? null : value ?? unlimited]
        }))
        const row = await trx.insertInto('application_quotas')
          .values({ application_id: applicationId, ...values })
          .onConflict(conflict =>
            conflict.column('application_id').doUpdateSet({ ...values, changed_at: sql<Date>`clock_timestamp()` })
          )
          .returningAll().executeTakeFirstOrThrow()
        await record(trx, by, {
          action: 'application.quotas_updated', resourceId: applicationId, place: { applicationId },
          before: toQuotas(before, limits.defaults), after: toQuotas(row, limits.defaults)
        })
        return row
      })
      limits.set(row)
      onChanged(applicationId)
      invalidations.announce('quotas', applicationId)
      return toQuotas(row, limits.defaults)
    }
  }
}
export type QuotaAdministration = ReturnType<typeof createQuotas>

/** Throws unless the principal may read the application and it exists. */
export async function requireReadable (
  db: Kysely<Database>, principal: Principal, applicationId: string
): Promise<void> {
  if (!reachesApplication(principal, applicationId)) throw notFound(applicationId)
  authorize(principal, { applicationId }, 'applications:read')
  const row = await db.selectFrom('applications').select('id').where('id', '=', applicationId).executeTakeFirst()
  if (row === undefined) throw notFound(applicationId)
}

const notFound = (id: string) => new NotFoundError('APPLICATION_NOT_FOUND', `Application not found: ${id}`)
