import { ConflictError, NotFoundError, PreconditionFailedError, ValidationError } from '../errors.ts'
import type { EventDraft } from '../events/envelope.ts'
import type { Batch, DocumentKey, DocumentState, Effects, Intent } from '../events/intent.ts'
import { invalid, jsonBytesMax } from '../foundation/json.ts'
import { documentTopic } from '../registry/topics/topic-names.ts'
import type { Scope } from '../../schemas/scope.ts'
import { createdDiffText, deletedDiffText, diffText } from './diff.ts'
import {
  diffPayloadJson, documentJson, metaJson, payloadJson, payloadValue, type DeleteReason
} from './document-json.ts'
import { etagOf, isMatch } from './etag.ts'

/** A document as sent to the client. It survives JSON, so that a retried request gets the same answer. */
export interface DocumentAnswer { etag: string, json: string }

/** Conditions that the document must meet before a write. */
export interface Preconditions {
  expectedRevision?: number | undefined
  /** The value of an `If-Match` header. */
  ifMatch?: string | undefined
}

/** New data with its JSON text, within the limits of a document. */
export interface Content { data: Record<string, unknown>, dataText: string }

export interface CreateRequest extends Content { expiresAt: number | null, idempotency: Intent<unknown>['idempotency'] }

/** Returns an intent that creates a document. If its id belonged to a deleted document, the revisions continue. */
export function createIntent (
  scope: Scope, key: DocumentKey, { data, dataText, expiresAt, idempotency }: CreateRequest
): Intent<DocumentAnswer> {
  return {
    scope,
    document: key,
    topics: [documentTopic(key.service, 'created'), documentTopic(key.service, 'deleted')],
    bytes: dataText.length,
    charge: { events: 1, documents: 1 },
    idempotency,
    apply (batch, current): Effects {
      if (current !== undefined && isLive(current, batch.now)) {
        const { revision } = current
        throw new ConflictError('DOCUMENT_EXISTS', `Document already exists: ${nameOf(key)} (revision ${revision})`, {
          details: [{ path: '/id', message: 'belongs to a document', revision }]
        })
      }
      if (expiresAt !== null && expiresAt <= batch.now) throw invalid('/expiresAt', 'must be in the future')
      // A document that has expired but is not deleted yet: its deletion is published before the creation.
      const gone = current === undefined || current.deleted ? current : tombstoneOf(current, batch.now)
      const revision = (gone?.revision ?? 0) + 1
      const created: DocumentState = {
        ...key, revision, data, dataText, deleted: false, expiresAt, createdAt: batch.now, updatedAt: batch.now
      }
      const events = [createdEvent(batch, created)]
      if (gone !== undefined && gone !== current) events.unshift(deletedEvent(gone, 'expired'))
      return { document: created, events }
    },
    answer: (_events, document) => answerOf(document)
  }
}

export interface UpdateRequest extends Preconditions {
  /** Pure. Throws a PublicError to refuse. */
  change (data: Record<string, unknown>): Content
  /** The length of the request's JSON. */
  bytes: number
  idempotency?: Intent<unknown>['idempotency']
}

/** Returns an intent that changes the data of a live document. Even an unchanged result raises the revision. */
export function updateIntent (
  scope: Scope, key: DocumentKey, { change, bytes, idempotency, ...preconditions }: UpdateRequest
): Intent<DocumentAnswer> {
  return {
    scope,
    document: key,
    topics: [documentTopic(key.service, 'updated')],
    bytes,
    charge: { events: 1 },
    idempotency,
    apply (batch, current): Effects {
      const before = requireLive(key, current, batch.now)
      checkPreconditions(before, preconditions)
      const after: DocumentState = {
        ...before,
        ...change(before.data),
        revision: before.revision + 1,
        updatedAt: batch.now
      }
      return { document: after, events: [updatedEvent(batch, before, after)] }
    },
    answer: (_events, document) => answerOf(document)
  }
}

export interface RemoveRequest extends Preconditions { idempotency?: Intent<unknown>['idempotency'] }

export function removeIntent (
  scope: Scope, key: DocumentKey, { idempotency, ...preconditions }: RemoveRequest
): Intent<DocumentAnswer> {
  return {
    scope,
    document: key,
    topics: [],
    charge: { events: 1, isDeletion: true },
    idempotency,
    apply (batch, current): Effects {
      const before = requireLive(key, current, batch.now)
      checkPreconditions(before, preconditions)
      const tombstone = tombstoneOf(before, batch.now)
      return { document: tombstone, events: [deletedEvent(tombstone, 'deleted')] }
    },
    answer: (_events, document) => answerOf(document)
  }
}

/**
 * Returns an intent that deletes an expired document, or with `isForced` any document. Its answer is whether it deleted
 * the document. It leaves deleted and live documents alone, so that several nodes may submit it.
 */
export function endIntent (
  scope: Scope, key: DocumentKey, { isForced, bytes }: { isForced: boolean, bytes: number }
): Intent<boolean> {
  return {
    scope,
    document: key,
    topics: [],
    bytes,
    apply (batch, current): Effects {
      if (current === undefined || current.deleted) return { events: [] }
      const isExpired = !isLive(current, batch.now)
      if (!isExpired && !isForced) return { events: [] }
      const tombstone = tombstoneOf(current, batch.now)
      return { document: tombstone, events: [deletedEvent(tombstone, isExpired ? 'expired' : 'deleted')] }
    },
    answer: events => events.length > 0
  }
}

/** Serialises the result of a change and checks its size. The depth was checked with the parts of the change. */
export function toContent (data: Record<string, unknown>): Content {
  const dataText = JSON.stringify(data)
  if (
    dataText.length > jsonBytesMax || (dataText.length > jsonBytesMax / 3 && Buffer.byteLength(dataText) > jsonBytesMax)
  ) {
    const message = `would be larger than ${jsonBytesMax} bytes of JSON`
    throw new ValidationError('VALIDATION_FAILED', `The document ${message}`, { details: [{ path: '/data', message }] })
  }
  return { data, dataText }
}

export const nameOf = ({ service, id }: DocumentKey): string => `${service}/${id}`

export const notFound = (key: DocumentKey): NotFoundError =>
  new NotFoundError('DOCUMENT_NOT_FOUND', `Document not found: ${nameOf(key)}`)

const isLive = (document: DocumentState, now: number): boolean =>
  !document.deleted && (document.expiresAt === null || document.expiresAt > now)

function requireLive (key: DocumentKey, current: DocumentState | undefined, now: number): DocumentState {
  if (current === undefined || !isLive(current, now)) throw notFound(key)
  return current
}

function checkPreconditions (current: DocumentState, { expectedRevision, ifMatch }: Preconditions): void {
  const { revision } = current
  const isAt = `${nameOf(current)} is at revision ${revision}`
  if (ifMatch !== undefined && !isMatch(ifMatch, revision)) {
    throw new PreconditionFailedError('ETAG_MISMATCH', `If-Match does not match: ${isAt}`, {
      details: [{ path: '/if-match', message: `must match "${revision}"`, revision }]
    })
  }
  if (expectedRevision !== undefined && expectedRevision !== revision) {
    throw new ConflictError('REVISION_MISMATCH', `Revision mismatch: expected ${expectedRevision}, but ${isAt}`, {
      details: [{ path: '/expectedRevision', message: `must be ${revision}`, revision }]
    })
  }
}

const tombstoneOf = (document: DocumentState, now: number): DocumentState =>
  ({ ...document, revision: document.revision + 1, deleted: true, expiresAt: null, updatedAt: now })

function answerOf (document: DocumentState | undefined): DocumentAnswer {
  if (document === undefined) throw new Error('a write returned no document')
  return { etag: etagOf(document.revision), json: documentJson(document) }
}

function createdEvent (batch: Batch, created: DocumentState): EventDraft {
  return {
    ...draftOf(created, 'created', createdDiffText(created.dataText), created.revision - 1),
    schemaVersion: checked(batch, created, 'created')
  }
}

function updatedEvent (batch: Batch, before: DocumentState, after: DocumentState): EventDraft {
  const diff = diffText(before.data, after.data, after.dataText)
  return { ...draftOf(after, 'updated', diff, before.revision), schemaVersion: checked(batch, after, 'updated') }
}

/** Not checked against a schema: a schema must not prevent a deletion. */
function deletedEvent (tombstone: DocumentState, reason: DeleteReason): EventDraft {
  return draftOf(tombstone, 'deleted', deletedDiffText, tombstone.revision - 1, reason)
}

/** Checks the payload. The paths of a refusal are those of the payload, which for `data` equal those of the request. */
const checked = (batch: Batch, document: DocumentState, change: 'created' | 'updated') =>
  batch.check(documentTopic(document.service, change), payloadValue(document), '')

function draftOf (
  document: DocumentState, change: 'created' | 'updated' | 'deleted', diff: string, previousRevision: number,
  reason?: DeleteReason
): EventDraft {
  return {
    topic: documentTopic(document.service, change),
    type: `document.${change}`,
    source: 'sync',
    key: document.id,
    payload: payloadJson(document, reason),
    diff: diffPayloadJson(document, previousRevision, diff, reason),
    meta: metaJson(document),
    schemaVersion: null
  }
}
