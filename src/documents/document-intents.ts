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

/** A document as it goes out. It survives JSON, so that a retried request gets the same. */
export interface DocumentAnswer { etag: string, json: string }

/** What a caller wants to be true of the document that is written to. */
export interface Preconditions {
  expectedRevision?: number | undefined
  /** The value of an `If-Match` header. */
  ifMatch?: string | undefined
}

/** New data, with its JSON text within the bounds of a document. */
export interface Content { data: Record<string, unknown>, dataText: string }

export interface CreateRequest extends Content { expiresAt: number | null, idempotency: Intent<unknown>['idempotency'] }

/** Creates the document. Its id may have had an earlier life, whose revisions go on. */
export function createIntent (
  scope: Scope, key: DocumentKey, { data, dataText, expiresAt, idempotency }: CreateRequest
): Intent<DocumentAnswer> {
  return {
    scope,
    document: key,
    topics: [documentTopic(key.service, 'created'), documentTopic(key.service, 'deleted')],
    bytes: dataText.length,
    idempotency,
    apply (batch, current): Effects {
      if (current !== undefined && isLive(current, batch.now)) {
        throw new ConflictError('DOCUMENT_EXISTS', `Document exists: ${nameOf(key)} (revision ${current.revision})`)
      }
      if (expiresAt !== null && expiresAt <= batch.now) throw invalid('/expiresAt', 'must be in the future')
      // One that has expired but is not swept up yet: its end is told before the new beginning.
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
  /** Of the request's JSON. */
  bytes: number
  idempotency?: Intent<unknown>['idempotency']
}

/** Changes the data of a live document. A change that leaves the data as it was counts a revision all the same. */
export function updateIntent (
  scope: Scope, key: DocumentKey, { change, bytes, idempotency, ...preconditions }: UpdateRequest
): Intent<DocumentAnswer> {
  return {
    scope,
    document: key,
    topics: [documentTopic(key.service, 'updated')],
    bytes,
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

export function removeIntent (scope: Scope, key: DocumentKey, preconditions: Preconditions): Intent<DocumentAnswer> {
  return {
    scope,
    document: key,
    topics: [],
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
 * Ends a document without being asked by its owner: when its time has come, or, by `isForced`, at once.
 * Answers whether it did; one that is gone already, or lives on, is left alone, so that several nodes may try.
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

/** Serialises the result of a change. It is as deep as its parts, which were checked; its size is its own. */
export function toContent (data: Record<string, unknown>): Content {
  const dataText = JSON.stringify(data)
  if (
    dataText.length > jsonBytesMax || (dataText.length > jsonBytesMax / 3 && Buffer.byteLength(dataText) > jsonBytesMax)
  ) {
    const message = `the document would be larger than ${jsonBytesMax} bytes of JSON`
    throw new ValidationError('VALIDATION_FAILED', `Not written: ${message}`, { details: [{ path: '/data', message }] })
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
  if (ifMatch !== undefined && !isMatch(ifMatch, current.revision)) {
    throw new PreconditionFailedError(
      'ETAG_MISMATCH',
      `If-Match does not hold: ${nameOf(current)} is at revision ${current.revision}`
    )
  }
  if (expectedRevision !== undefined && expectedRevision !== current.revision) {
    throw new ConflictError(
      'REVISION_MISMATCH',
      `Revision mismatch: expected ${expectedRevision}, but ${nameOf(current)} is at revision ${current.revision}`
    )
  }
}

const tombstoneOf = (document: DocumentState, now: number): DocumentState =>
  ({ ...document, revision: document.revision + 1, deleted: true, expiresAt: null, updatedAt: now })

function answerOf (document: DocumentState | undefined): DocumentAnswer {
  if (document === undefined) throw new Error('a document was written and is not there')
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

/** No schema may keep a document from being deleted: this is not checked. */
function deletedEvent (tombstone: DocumentState, reason: DeleteReason): EventDraft {
  return draftOf(tombstone, 'deleted', deletedDiffText, tombstone.revision - 1, reason)
}

/** The paths of a refusal are those of the payload, which for `data` are those of the request, too. */
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
