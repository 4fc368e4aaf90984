import { sql, type Kysely, type Selectable, type Transaction } from 'kysely'
import type { Database, ServicesTable } from '../../db/tables.ts'
import { environments, type Environment, type Scope } from '../../schemas/scope.ts'
import {
  serviceList, type Service, type ServiceCreate, type ServiceQuery, type ServiceUpdate
} from '../../schemas/services.ts'
import { endDocuments, endPageSize, type DoomedDocument } from '../documents/end-documents.ts'
import type { Origin } from '../identity/audit/origin.ts'
import { record } from '../identity/audit/record.ts'
import { ConflictError, NotFoundError } from '../errors.ts'
import type { Writer } from '../events/intent.ts'
import { List, number, text, nullableText } from '../foundation/lists/list.ts'
import { readPage } from '../foundation/lists/read-page.ts'
import type { PageOf } from '../foundation/paging.ts'

/** The number of attempts of a deletion. It starts again if documents were written meanwhile. */
const removeAttemptsMax = 10

/** The UUID form that we return, which PostgreSQL accepts. The `uuid` format of JSON Schema accepts more forms. */
const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i

export interface ServicesOptions {
  db: Kysely<Database>
  /** The writer caches which services exist; `forgetService` removes one from the cache. */
  writer: Writer & { forgetService (applicationId: string, name: string): void }
}

/** Manages the services of an application, which all its environments share. */
export function createServices ({ db, writer }: ServicesOptions) {
  async function find (scope: Scope, id: string): Promise<Selectable<ServicesTable>> {
    const row = uuid.test(id)
      ? await db.selectFrom('services').selectAll().where('id', '=', id).where(
        'application_id', '=', scope.applicationId
      ).executeTakeFirst()
      : undefined
    if (row === undefined) throw serviceNotFound(id)
    return row
  }

  return {
    /** Creates a service. Throws ConflictError `SERVICE_EXISTS`. */
    async create (scope: Scope, { name, description }: ServiceCreate, by: Origin): Promise<Service> {
      const now = Date.now()
      const created = await db.transaction().execute(async trx => {
        const row = await trx.insertInto('services')
          .columns(['application_id', 'name', 'description', 'created_at', 'updated_at'])
          // Selects from the application's row and locks it, so that the application cannot be deleted meanwhile.
          .expression(eb =>
            eb.selectFrom('applications').where('id', '=', scope.applicationId).forKeyShare().select([
              'id', eb.val(name).as('name'), eb.val(description ?? null).as('description'),
              eb.cast<number>(eb.val(now), 'bigint').as('created_at'),
              eb.cast<number>(eb.val(now), 'bigint').as('updated_at')
            ])
          )
          .onConflict(conflict => conflict.doNothing())
          .returningAll().executeTakeFirst()
        if (row !== undefined) {
          await record(trx, by, {
            action: 'service.created', resourceId: row.id, place: placeOf(scope), after: toService(row)
          })
        }
        return row
      })
      if (created !== undefined) return toService(created)
      const application = await db.selectFrom('applications').select('id').where('id', '=', scope.applicationId)
        .executeTakeFirst()
      if (application === undefined) {
        throw new NotFoundError('APPLICATION_NOT_FOUND', `Application not found: ${scope.applicationId}`)
      }
      throw new ConflictError('SERVICE_EXISTS', `Service already exists: ${name}`)
    },

    list: async (scope: Scope, query: ServiceQuery): Promise<PageOf<Service>> =>
      await readPage(db, list, query, {
        from: db.selectFrom('services').selectAll().where('application_id', '=', scope.applicationId),
        toItem: toService
      }),

    async get (scope: Scope, id: string): Promise<Service> {
      return toService(await find(scope, id))
    },

    async update (scope: Scope, id: string, { description }: ServiceUpdate, by: Origin): Promise<Service> {
      const before = await find(scope, id)
      return await db.transaction().execute(async trx => {
        const row = await trx.updateTable('services').set({ description, updated_at: Date.now() })
          .where('id', '=', before.id).where('application_id', '=', scope.applicationId).returningAll()
          .executeTakeFirst()
        if (row === undefined) throw serviceNotFound(id)
        await record(trx, by, {
          action: 'service.updated', resourceId: row.id, place: placeOf(scope), before: toService(before),
          after: toService(row)
        })
        return toService(row)
      })
    },

    /**
     * Deletes a service. Throws ConflictError `SERVICE_NOT_EMPTY` if it has documents in any environment; with `force`,
     * deletes each of them first, with its event. A document that is written meanwhile is either deleted as well or
     * creates the service again. Revisions of its ids start at 1 again.
     */
    async remove (
      scope: Scope, id: string, { force = false }: { force?: boolean | undefined }, by: Origin
    ): Promise<void> {
      const service = await find(scope, id)
      for (let attempt = 0; attempt < removeAttemptsMax; attempt++) {
        if (!force) await refuseDocuments(db, service)
        await endAll(db, writer, service, force)
        if (await removeWithTombstones(db, service, by)) return writer.forgetService(scope.applicationId, service.name)
      }
      throw notEmpty(service.name)
    }
  }
}
export type Services = ReturnType<typeof createServices>

const name = text('name')
const list = new List(serviceList, {
  columns: {
    name, createdAt: number('created_at'), updatedAt: number('updated_at'), description: nullableText('description')
  },
  identity: [name]
})

/** Returns the place of audit entries: services belong to the application, not to an environment. */
const placeOf = ({ applicationId }: Scope) => ({ applicationId })

type ServiceKey = Pick<Selectable<ServicesTable>, 'id' | 'application_id' | 'name'>

const serviceNotFound = (id: string) => new NotFoundError('SERVICE_NOT_FOUND', `Service not found: ${id}`)
const notEmpty = (name: string) =>
  new ConflictError(
    'SERVICE_NOT_EMPTY', `The service has documents: ${name}. To delete them with the service, use force=true`
  )

/** Environments in the writer's lock order. */
const sortedEnvironments = environments.toSorted()
/** The number of tombstones that one statement deletes, so that it stays within the statement timeout. */
const tombstonesPageSize = 10_000

const documentsOf = (db: Kysely<Database>, { application_id: applicationId, name }: ServiceKey) =>
  db.selectFrom('documents').where('application_id', '=', applicationId).where('environment', 'in', environments).where(
    'service', '=', name
  )

async function refuseDocuments (db: Kysely<Database>, service: ServiceKey): Promise<void> {
  const live = await documentsOf(db, service).select('id').where('deleted', '=', false)
    .where(eb => eb.or([eb('expires_at', 'is', null), eb('expires_at', '>', Date.now())])).limit(1).executeTakeFirst()
  if (live !== undefined) throw notEmpty(service.name)
}

/** Deletes documents through the writer, so that each has its event. Without force, deletes only expired documents. */
async function endAll (db: Kysely<Database>, writer: Writer, service: ServiceKey, isForced: boolean): Promise<void> {
  for (const environment of sortedEnvironments) {
    let page: DoomedDocument[]
    let after = ''
    do {
      page = await documentsOf(db, service).where('environment', '=', environment).where('id', '>', after).where(
        'deleted', '=', false
      )
        .select(['application_id', 'environment', 'service', 'id', sql<number>`octet_length(data::text)`.as('bytes')])
        .orderBy('id').limit(endPageSize).execute()
      const { failure } = await endDocuments(writer, page, { isForced })
      if (failure !== undefined) throw failure
      after = page.at(-1)?.id ?? after
    } while (page.length === endPageSize)
  }
}

class WrittenMeanwhile extends Error {}
const deadlockDetected = '40P01'

/** Deletes a service and its tombstones. Returns false without any change if a document was written meanwhile. */
async function removeWithTombstones (
  db: Kysely<Database>, service: Selectable<ServicesTable>, by: Origin
): Promise<boolean> {
  try {
    await db.transaction().execute(async transaction => {
      await removeEmpty(transaction, service)
      await record(transaction, by, {
        action: 'service.deleted', resourceId: service.id, place: { applicationId: service.application_id },
        before: toService(service)
      })
    })
    return true
  } catch (error) {
    if (error instanceof WrittenMeanwhile || (error as { code?: string }).code === deadlockDetected) return false
    throw error
  }
}

/**
 * Locks in the writer's order: documents, then their service. After that, no document of the service can be created.
 */
async function removeEmpty (db: Transaction<Database>, service: ServiceKey): Promise<void> {
  for (const environment of sortedEnvironments) {
    let page: { last: string | null, count: number } | undefined
    do page = await deleteTombstones(db, service, environment, page?.last ?? '')
    while (page.count === tombstonesPageSize)
  }
  await db.selectFrom('services').select('id').where('id', '=', service.id).forUpdate().execute()
  if (await documentsOf(db, service).select('id').limit(1).executeTakeFirst() !== undefined) {
    throw new WrittenMeanwhile()
  }
  await db.deleteFrom('services').where('id', '=', service.id).execute()
}

/** Deletes a page of tombstones by ctid. A join could get a bad plan while the table has no statistics. */
async function deleteTombstones (
  db: Transaction<Database>, { application_id: applicationId, name }: ServiceKey, environment: Environment,
  after: string
) {
  const { rows: [page] } = await sql<{ last: string | null, count: number }>`
    with page as (
      select id, ctid as place from documents
      where application_id = ${applicationId} and environment = ${environment} and service = ${name}
        and id > ${after} and deleted
      order by id limit ${tombstonesPageSize} for update
    ), gone as (
      delete from documents where ctid = any (array(select place from page))
    )
    select max(id) as last, count(*)::int as count from page`.execute(db)
  return page as { last: string | null, count: number }
}

function toService (row: Selectable<ServicesTable>): Service {
  return {
    id: row.id,
    name: row.name,
    description: row.description,
    applicationId: row.application_id,
    createdAt: new Date(row.created_at).toISOString(),
    updatedAt: new Date(row.updated_at).toISOString()
  }
}
