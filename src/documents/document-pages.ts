import type pg from 'pg'
import type { Scope } from '../../schemas/scope.ts'
import type { StoredDocument } from './document-json.ts'

/** Limits the data of a page, so that the response stays small even with a high `limit`. */
const pageBytesMax = 8 * 1024 * 1024

const pageSql = `
  select * from (
    select *,
      sum(octet_length("dataText"::text)) over (order by id) - octet_length("dataText"::text) as "bytesBefore",
      count(*) over ()::int as found
    from (
      select service, id, revision, data as "dataText", deleted, expires_at as "expiresAt",
        created_at as "createdAt", updated_at as "updatedAt"
      from documents
      where application_id = $1 and environment = $2 and service = $3 and id > $4
        and ($5::bigint is null or updated_at > $5) and ($6 or not deleted)
        and (deleted or expires_at is null or expires_at > $7)
      order by id limit $8
    ) candidates
  ) measured where "bytesBefore" < ${pageBytesMax} order by id`

export interface DocumentPageRequest {
  service: string
  /** The page starts after this id. */
  afterId: string
  updatedAfter: number | undefined
  includeDeleted: boolean
  limit: number
  now: number
}

/**
 * Returns documents sorted by id, and whether there are more. Omits an expired document until its tombstone is written.
 */
export async function readDocumentPage (
  pool: pg.Pool, scope: Scope, request: DocumentPageRequest
): Promise<{ documents: StoredDocument[], hasMore: boolean }> {
  const { service, afterId, updatedAfter = null, includeDeleted, limit, now } = request
  const { rows } = await pool.query<StoredDocument & { bytesBefore: number, found: number }>({
    name: 'documents_page',
    text: pageSql,
    values: [scope.applicationId, scope.environment, service, afterId, updatedAfter, includeDeleted, now, limit + 1]
  })
  const documents = rows.slice(0, limit)
  return { documents, hasMore: (rows[0]?.found ?? 0) > documents.length }
}
