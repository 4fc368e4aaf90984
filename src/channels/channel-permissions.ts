import type { Scope } from '../../schemas/scope.ts'
import { authorize, authorizeTopic, permissionsAt } from '../identity/access/permissions.ts'
import type { Principal } from '../identity/access/principal.ts'
import { isDocumentChannel, mayReadChannel } from '../identity/access/reading.ts'

/** Under whose permissions everything stands that goes through channels. */
export const messageTopic = 'socket.message'

/** Throws ForbiddenError `PERMISSION_DENIED` unless the principal may hear of what happens in channels. */
export const authorizeListening = (principal: Principal, scope: Scope): void => authorizeTopic(principal, scope, 'subscribe', messageTopic)

/** As `authorizeListening`, and documents must be readable to whoever is in their channels. */
export function authorizeMembership (principal: Principal, scope: Scope, channel: string): void {
  authorizeListening(principal, scope)
  if (isDocumentChannel(channel)) authorize(principal, scope, 'sync:read')
}

/** Whether `authorizeMembership` would pass. */
export const mayBeMember = (principal: Principal, scope: Scope, channel: string): boolean =>
  permissionsAt(principal, scope).subscribe.covers(messageTopic) && mayReadChannel(principal, scope, channel)

/** Throws ForbiddenError `PERMISSION_DENIED` unless the principal may send messages. */
export const authorizeSending = (principal: Principal, scope: Scope): void => authorizeTopic(principal, scope, 'publish', messageTopic)
