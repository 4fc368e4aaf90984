import { sql, type Kysely, type Selectable } from 'kysely'
import type { ApplicationsTable, Database } from '../../../db/tables.ts'
import {
  applicationList, type Application, type ApplicationCreate, type ApplicationQuery, type ApplicationUpdate
} from '../../../schemas/applications.ts'
import { environments, type Environment } from '../../../schemas/scope.ts'
import type { Origin } from '../audit/origin.ts'
import { record } from '../audit/record.ts'
import { applicationsWith, authorize, reachesApplication } from '../access/permissions.ts'
import type { Principal } from '../access/principal.ts'
import type { Invalidations } from '../../cluster/invalidations.ts'
import { ConflictError, NotFoundError } from '../../errors.ts'
import { randomId } from '../../foundation/ids.ts'
import { List, foldedText, number, text } from '../../foundation/lists/list.ts'
import { readPage } from '../../foundation/lists/read-page.ts'
import type { PageOf } from '../../foundation/paging.ts'
import { takeWith } from '../people/roles.ts'
import type { GracePeriods } from './grace-periods.ts'
import type { ApplicationCache } from '../auth/application-cache.ts'
import type { OwnedData } from './owned-data.ts'
import { removeApplication } from './removal.ts'

export interface ApplicationsOptions {
  db: Kysely<Database>
  cache: ApplicationCache
  gracePeriods: GracePeriods
  invalidations: Pick<Invalidations, 'announce'>
  log: { warn (fields: object, message: string): void }
}

const id = text('id')
const list = new List(applicationList, {
  columns: {
    id, createdAt: number('created_at'), name: foldedText('name'), updatedAt: number('updated_at'),
    description: text('description')
  },
  identity: [id]
})

export type Applications = ReturnType<typeof createApplications>

/**
 * Lists and changes applications. A principal sees the applications that it has access to: a token its own, a session
 * those of its roles. Any other application is `APPLICATION_NOT_FOUND`, like one that does not exist.
 */
export function createApplications ({ db, cache, gracePeriods, invalidations, log }: ApplicationsOptions) {
  const deletedListeners: ((id: string) => unknown)[] = []
  const owned: OwnedData[] = []

  function gone (id: string): void {
    cache.set(id, false)
    for (const listener of deletedListeners) {
      new Promise(resolve => resolve(listener(id))).catch((err: unknown) =>
        log.warn({ err, applicationId: id }, 'application.deletion_listener_failed')
      )
    }
  }

  return {
    async list (principal: Principal, query: ApplicationQuery): Promise<PageOf<Application>> {
      const visible = applicationsWith(principal, 'applications:read')
      return await readPage(db, list, query, {
        from: db.selectFrom('applications').selectAll(),
        where: [visible === 'all' ? undefined : sql<boolean>`id = any(${visible})`],
        toItem: toApplication
      })
    },

    async get (principal: Principal, id: string): Promise<Application> {
      requireReach(principal, id)
      authorize(principal, { applicationId: id }, 'applications:read')
      const row = await db.selectFrom('applications').selectAll().where('id', '=', id).executeTakeFirst()
      if (row === undefined) throw notFound(id)
      return toApplication(row)
    },

    async create (
      principal: Principal, { name, description = '', presenceGraceMs }: ApplicationCreate, by: Origin
    ): Promise<Application> {
      authorize(principal, null, 'applications:create')
      const now = Date.now()
      const row = await db.transaction().execute(async trx => {
        const row = await trx.insertInto('applications')
          .values({
            id: randomId('app'),
            name,
            description,
            created_at: now,
            updated_at: now,
            ...(presenceGraceMs !== undefined && { presence_grace_ms: presenceGraceMs })
          }).returningAll().executeTakeFirstOrThrow()
        await record(trx, by, {
          action: 'application.created', resourceId: row.id, place: { applicationId: row.id }, after: toApplication(row)
        })
        return row
      })
      cache.set(row.id, true)
      return toApplication(row)
    },

    async update (
      principal: Principal, id: string, { name, description, presenceGraceMs, requireApproval }: ApplicationUpdate,
      by: Origin
    ): Promise<Application> {
      requireReach(principal, id)
      authorize(principal, { applicationId: id }, 'applications:update')
      const row = await db.transaction().execute(async trx => {
        const before = await trx.selectFrom('applications').selectAll().where('id', '=', id).forNoKeyUpdate()
          .executeTakeFirst()
        if (before === undefined) throw notFound(id)
        const row = await trx.updateTable('applications')
          .set({
            ...(name !== undefined && { name }),
            ...(description !== undefined && { description }),
            ...(presenceGraceMs !== undefined && { presence_grace_ms: presenceGraceMs }),
            ...(requireApproval !== undefined && {
              approval_environments: environments.filter(one => {
                const { [one]: isRequired = before.approval_environments.includes(one) } =
                  requireApproval as Partial<Record<Environment, boolean>>
                return isRequired
              })
            }),
            updated_at: Date.now()
          })
          .where('id', '=', id).returningAll().executeTakeFirstOrThrow()
        await record(trx, by, {
          action: 'application.updated', resourceId: id, place: { applicationId: id }, before: toApplication(before),
          after: toApplication(row)
        })
        return row
      })
      gracePeriods.set(id, row.presence_grace_ms)
      if (presenceGraceMs !== undefined) invalidations.announce('grace', id)
      return toApplication(row)
    },

    /**
     * Deletes an application. Throws ConflictError `APPLICATION_NOT_EMPTY` if it owns topics, services, webhooks or
     * events, unless forced.
     */
    async remove (
      principal: Principal, id: string, { force = false }: { force?: boolean | undefined }, by: Origin
    ): Promise<void> {
      requireReach(principal, id)
      authorize(principal, { applicationId: id }, 'applications:delete')
      const outcome = await removeApplication(db, id, {
        force,
        owned,
        log,
        onRemove: async (trx, row) => {
          await takeWith(trx, by, { applicationId: id })
          await record(trx, by, {
            action: 'application.deleted', resourceId: id, place: { applicationId: id },
            before: { ...toApplication(row), force }
          })
        },
        onRemoved: () => {
          gone(id)
          invalidations.announce('application', id)
        }
      })
      if (outcome === 'missing') throw notFound(id)
      if (outcome === 'not_empty') {
        throw new ConflictError(
          'APPLICATION_NOT_EMPTY',
          `The application ${id} still owns data. Delete it with ?force=true to delete the data as well`
        )
      }
    },

    /** Registers a kind of data that applications own. A deletion deletes the kinds in the order of registration. */
    registerData (data: OwnedData): void {
      owned.push(data)
    },

    /** Call when another node has deleted an application. */
    goneElsewhere: gone,

    /**
     * Calls back once a deletion is committed, on any node, so that sockets are closed and caches cleared. Logs an
     * error that the listener throws or rejects with. The call is lost if the deleting node dies or loses its
     * connection at the commit, so a listener must also find the deletion by its own queries, within about two seconds.
     */
    onDeleted (listener: (id: string) => unknown): void {
      deletedListeners.push(listener)
    }
  }
}

function requireReach (principal: Principal, id: string): void {
  if (!reachesApplication(principal, id)) throw notFound(id)
}

const notFound = (id: string) => new NotFoundError('APPLICATION_NOT_FOUND', `Application not found: ${id}`)

const toApplication = (row: Selectable<ApplicationsTable>): Application => ({
  id: row.id,
  name: row.name,
  description: row.description,
  presenceGraceMs: row.presence_grace_ms,
  requireApproval: {
    staging: row.approval_environments.includes('staging'),
    production: row.approval_environments.includes('production')
  },
  createdAt: row.created_at,
  updatedAt: row.updated_at
})
