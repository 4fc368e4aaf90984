import type { DocumentState } from '../events/intent.ts'

/** A document as stored in its row. `data` stays text from the table to the wire. */
export type StoredDocument = Omit<DocumentState, 'data'>

/** Returns an open JSON object. Service names and ids contain no character that JSON escapes (schemas/documents.ts). */
const openFields = (document: StoredDocument): string =>
  `{"service":"${document.service}","id":"${document.id}","revision":${document.revision},` +
  `"data":${document.dataText},"createdAt":${document.createdAt},"updatedAt":${document.updatedAt}`

/** Returns the wire form, in the field order of the Document schema. */
export function documentJson (document: StoredDocument): string {
  const expiry = document.expiresAt === null ? '' : `,"expiresAt":${document.expiresAt}`
  return `${openFields(document)}${expiry}${document.deleted ? ',"deleted":true' : ''}}`
}

export type DeleteReason = 'deleted' | 'expired'

const ending = (reason: DeleteReason | undefined) =>
  reason === undefined ? '}' : `,"deleted":true,"reason":"${reason}"}`

/** Returns the payload for `returnMode: full`. With a reason, it is the last state of a deleted document. */
export const payloadJson = (document: StoredDocument, reason?: DeleteReason): string =>
  openFields(document) + ending(reason)

/** Returns the payload for `returnMode: diff`. `diff` is JSON text. */
export const diffPayloadJson = (
  document: StoredDocument, previousRevision: number, diff: string, reason?: DeleteReason
): string =>
  `{"service":"${document.service}","id":"${document.id}","revision":${document.revision},` +
  `"previousRevision":${previousRevision},"diff":${diff}${ending(reason)}`

export const metaJson = (document: StoredDocument): string =>
  `{"service":"${document.service}","documentId":"${document.id}","revision":${document.revision}}`

/** Returns the same as `payloadJson`, as a value for the schema check. */
export function payloadValue (
  { service, id, revision, data, createdAt, updatedAt }: DocumentState
): Record<string, unknown> {
  return { service, id, revision, data, createdAt, updatedAt }
}
