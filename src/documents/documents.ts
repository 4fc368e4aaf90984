import type pg from 'pg'
import { createKysely } from '../../db/connection.ts'
import { type DocumentKey, type Writer, idempotencyFor, type OwnKey } from '../events/intent.ts'
import { randomId } from '../foundation/ids.ts'
import { documentLimits, encodeJson } from '../foundation/json.ts'
import type {
  DocumentCreate, DocumentListQuery, DocumentMerge, DocumentMutate, DocumentReplace
} from '../../schemas/documents.ts'
import type { Scope } from '../../schemas/scope.ts'
import {
  createIntent, nameOf, notFound, removeIntent, toContent, updateIntent, type DocumentAnswer, type Preconditions
} from './document-intents.ts'
import { documentJson } from './document-json.ts'
import { DocumentLoader } from './document-loader.ts'
import { readDocumentPage } from './document-pages.ts'
import { etagOf, isNoneMatch } from './etag.ts'
import { mergePatch } from './merge-patch.ts'
import { applyMutations, checkMutations } from './mutations.ts'

export interface RetryOptions { idempotencyKey?: OwnKey | undefined }
export type WriteOptions = Pick<Preconditions, 'ifMatch'> & RetryOptions

/**
 * Reads and writes the documents of a scope. Returns JSON text, built from the stored text without parsing it. Every
 * write appends its event in the same transaction. Writes to one document are applied one after the other, each to the
 * result of the previous one: without `expectedRevision`, none is lost or refused.
 */
export function createDocuments (
  { pool, writer, now = Date.now }: { pool: pg.Pool, writer: Writer, now?: () => number }
) {
  const loader = new DocumentLoader({ pool, now })
  const db = createKysely(pool)
  return {
    /**
     * Creates a document. The id of a deleted document may be used again: its revisions continue. Throws ConflictError
     * `DOCUMENT_EXISTS`.
     */
    async create (
      scope: Scope, service: string, { id, data, expiresAt }: DocumentCreate, { idempotencyKey }: RetryOptions = {}
    ): Promise<DocumentAnswer> {
      return writer.submit(createIntent(scope, { service, id: id ?? randomId('doc') }, {
        data,
        dataText: encodeJson(data, '/data', documentLimits),
        expiresAt: expiresAt ?? null,
        idempotency: idempotencyFor(idempotencyKey, 'documents.create', service, { id, data, expiresAt })
      }))
    },

    /** Returns a document, without `json` if `ifNoneMatch` names its revision. */
    async get (
      scope: Scope, key: DocumentKey, { ifNoneMatch }: { ifNoneMatch?: string | undefined } = {}
    ): Promise<{ etag: string, json?: string }> {
      const document = await loader.load(scope, key)
      if (document === undefined) throw notFound(key)
      const etag = etagOf(document.revision)
      if (ifNoneMatch !== undefined && isNoneMatch(ifNoneMatch, document.revision)) return { etag }
      return { etag, json: documentJson(document) }
    },

    /** Returns a JSON array and the cursor of the next page. A service without documents has an empty list. */
    async list (
      scope: Scope, service: string, query: DocumentListQuery
    ): Promise<{ json: string, nextCursor: string | undefined }> {
      const { items, nextCursor } = await readDocumentPage(db, scope, { service, now: now() }, query)
      return { json: `[${items.join(',')}]`, nextCursor }
    },

    async replace (
      scope: Scope, key: DocumentKey, body: DocumentReplace, { ifMatch, idempotencyKey }: WriteOptions = {}
    ): Promise<DocumentAnswer> {
      const { data, expectedRevision } = body
      const dataText = encodeJson(data, '/data', documentLimits)
      return writer.submit(updateIntent(scope, key, {
        change: () => ({ data, dataText }),
        bytes: dataText.length,
        expectedRevision,
        ifMatch,
        idempotency: idempotencyFor(idempotencyKey, 'documents.replace', nameOf(key), body)
      }))
    },

    /** Applies RFC 7396: null removes a member, objects are merged, everything else is replaced. */
    async merge (
      scope: Scope, key: DocumentKey, body: DocumentMerge, { ifMatch, idempotencyKey }: WriteOptions = {}
    ): Promise<DocumentAnswer> {
      const { data, expectedRevision } = body
      return writer.submit(updateIntent(scope, key, {
        change: before => toContent(mergePatch(before, data)),
        bytes: encodeJson(data, '/data', documentLimits).length,
        expectedRevision,
        ifMatch,
        idempotency: idempotencyFor(idempotencyKey, 'documents.merge', nameOf(key), body)
      }))
    },

    async mutate (
      scope: Scope, key: DocumentKey, body: DocumentMutate, { ifMatch, idempotencyKey }: WriteOptions = {}
    ): Promise<DocumentAnswer> {
      const mutations = checkMutations(body.mutations)
      return writer.submit(updateIntent(scope, key, {
        change: before => toContent(applyMutations(before, mutations)),
        bytes: mutations.reduce((sum, mutation) => sum + mutation.bytes, 0),
        expectedRevision: body.expectedRevision,
        ifMatch,
        idempotency: idempotencyFor(idempotencyKey, 'documents.mutate', nameOf(key), body)
      }))
    },

    /** Deletes a document and returns its tombstone. */
    async remove (
      scope: Scope, key: DocumentKey, { ifMatch, idempotencyKey }: WriteOptions = {}
    ): Promise<DocumentAnswer> {
      // A retry must not delete a document that was created again under this id.
      const idempotency = idempotencyFor(idempotencyKey, 'documents.delete', nameOf(key), { ifMatch })
      return writer.submit(removeIntent(scope, key, { ifMatch, idempotency }))
    }
  }
}
export type Documents = ReturnType<typeof createDocuments>
