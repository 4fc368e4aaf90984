import type { Scope } from '../../schemas/scope.ts'
import { authorize, authorizeTopic, permissionsAt } from '../identity/access/permissions.ts'
import type { Principal } from '../identity/access/principal.ts'
import { isDocumentChannel, mayReadChannel } from '../identity/access/reading.ts'
import type { ChannelMember, MemberQuery } from '../../schemas/channels.ts'
import type { Documents } from '../documents/documents.ts'
import type { DocumentKey } from '../events/intent.ts'
import type { Census, Counted } from './census.ts'

/** The topic whose permissions govern everything sent through channels. */
export const messageTopic = 'socket.message'

/** Throws ForbiddenError `PERMISSION_DENIED` unless the principal may receive what happens in channels. */
export const authorizeListening = (principal: Principal, scope: Scope): void =>
  authorizeTopic(principal, scope, 'subscribe', messageTopic)

/** Like `authorizeListening`; a document's channel also requires permission to read documents. */
export function authorizeMembership (principal: Principal, scope: Scope, channel: string): void {
  authorizeListening(principal, scope)
  if (isDocumentChannel(channel)) authorize(principal, scope, 'documents:read')
}

/** Returns whether `authorizeMembership` would pass. */
export const mayBeMember = (principal: Principal, scope: Scope, channel: string): boolean =>
  permissionsAt(principal, scope).subscribe.covers(messageTopic) && mayReadChannel(principal, scope, channel)

/** Throws ForbiddenError `PERMISSION_DENIED` unless the principal may send messages. */
export const authorizeSending = (principal: Principal, scope: Scope): void =>
  authorizeTopic(principal, scope, 'publish', messageTopic)

/** Returns the channel of a document. Service names have no colon, so no two documents share a channel. */
export const documentChannel = ({ service, id }: DocumentKey): string => `doc:${service}:${id}`

/** Creates the presence of documents: the members of a document's channel. */
export function createDocumentPresence ({ documents, census }: { documents: Documents, census: Census }) {
  return {
    /** Throws NotFoundError `DOCUMENT_NOT_FOUND`. */
    async members (scope: Scope, key: DocumentKey, query: MemberQuery): Promise<Counted<ChannelMember>> {
      await documents.get(scope, key)
      return census.members(scope, documentChannel(key), query)
    }
  }
}
export type DocumentPresence = ReturnType<typeof createDocumentPresence>
