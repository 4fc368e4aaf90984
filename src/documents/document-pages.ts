import { sql, type Kysely } from 'kysely'
import type { Database } from '../../db/tables.ts'
import { documentList, type DocumentListQuery } from '../../schemas/documents.ts'
import type { Scope } from '../../schemas/scope.ts'
import { List, number, text } from '../foundation/lists/list.ts'
import { readPage } from '../foundation/lists/read-page.ts'
import type { PageOf } from '../foundation/paging.ts'
import { documentJson } from './document-json.ts'

/** Limits the data of a page, so that the response stays small even with a high `limit`. */
const pageBytesMax = 8 * 1024 * 1024

const id = text('id')
const list = new List(documentList, {
  columns: { id, createdAt: number('created_at') }, identity: [id]
})

/** Returns documents as JSON texts. Omits an expired document until its tombstone is written. */
export async function readDocumentPage (
  db: Kysely<Database>,
  scope: Scope,
  { service, now }: { service: string, now: number },
  { updatedAfter, includeDeleted = false, ...query }: DocumentListQuery
): Promise<PageOf<string>> {
  return await readPage(db, list, query, {
    from: inService(db, scope, service, query.sort)
      .select([
        'service', 'id', 'revision', 'data as dataText', 'deleted', 'expires_at as expiresAt',
        'created_at as createdAt', 'updated_at as updatedAt'
      ]),
    filters: [
      updatedAfter === undefined ? undefined : sql<boolean>`updated_at > ${updatedAfter}`,
      includeDeleted ? undefined : sql<boolean>`not deleted`,
      sql<boolean>`(deleted or expires_at is null or expires_at > ${now})`
    ],
    size: { bytes: sql`octet_length("dataText"::text)`, max: pageBytesMax },
    toItem: documentJson
  })
}

/** Selects the documents of a service, by `createdAt` with the expression that the index in that order begins with. */
function inService (
  db: Kysely<Database>, { applicationId, environment }: Scope, service: string, sort: DocumentListQuery['sort']
) {
  const documents = db.selectFrom('documents')
  return sort === 'createdAt'
    ? documents.where(
      sql<string>`application_id || '/' || environment || '/' || service`, '=',
      `${applicationId}/${environment}/${service}`
    )
    : documents.where('application_id', '=', applicationId).where('environment', '=', environment)
      .where('service', '=', service)
}
