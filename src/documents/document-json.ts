import type { DocumentState } from '../events/intent.ts'

/** A document as its row has it: `data` stays text, from the table to the wire. */
export type StoredDocument = Omit<DocumentState, 'data'>

/** Service names and ids have no character that JSON would escape (see schemas/documents.ts). */
const openFields = (document: StoredDocument): string =>
  `{"service":"${document.service}","id":"${document.id}","revision":${document.revision},"data":${document.dataText},` +
  `"createdAt":${document.createdAt},"updatedAt":${document.updatedAt}`

/** The wire form, in the field order of the Document schema. */
export function documentJson (document: StoredDocument): string {
  const expiry = document.expiresAt === null ? '' : `,"expiresAt":${document.expiresAt}`
  return `${openFields(document)}${expiry}${document.deleted ? ',"deleted":true' : ''}}`
}

export type DeleteReason = 'deleted' | 'expired'

const ending = (reason: DeleteReason | undefined) =>
  reason === undefined ? '}' : `,"deleted":true,"reason":"${reason}"}`

/** What a subscriber gets with `returnMode: full`. With a reason, it is the last state of a document that is gone. */
export const payloadJson = (document: StoredDocument, reason?: DeleteReason): string =>
  openFields(document) + ending(reason)

/** What a subscriber gets with `returnMode: diff`; `diff` is JSON text. */
export const diffPayloadJson = (
  document: StoredDocument, previousRevision: number, diff: string, reason?: DeleteReason
): string =>
  `{"service":"${document.service}","id":"${document.id}","revision":${document.revision},"previousRevision":${previousRevision},` +
  `"diff":${diff}${ending(reason)}`

export const metaJson = (document: StoredDocument): string =>
  `{"service":"${document.service}","documentId":"${document.id}","revision":${document.revision}}`

/** The same as `payloadJson`, as a value for the schema check. */
export function payloadValue (
  { service, id, revision, data, createdAt, updatedAt }: DocumentState
): Record<string, unknown> {
  return { service, id, revision, data, createdAt, updatedAt }
}
