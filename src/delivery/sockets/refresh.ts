import type { Authenticator } from '../../identity/auth/authenticator.ts'
import { permissionsAt, reachesApplication } from '../../identity/access/permissions.ts'
import { expiryOf, type Principal } from '../../identity/access/principal.ts'
import { ForbiddenError } from '../../errors.ts'
import { PatternSubscription } from '../patterns/pattern-subscription.ts'
import type { ResyncReason } from '../subscriber.ts'
import type { Connection } from './connection.ts'
import { socketRequest, type SocketRequest } from './protocol.ts'

/**
 * Handles `auth`: gives a connection a fresh credential for the same subject and scope before the old one expires. Ends
 * subscriptions that the fresh credential does not cover with `resync`. Removes uncovered topics from patterns and
 * lists them in the answer, which is sent once patterns include newly covered topics.
 */
export const refreshRequest = (authenticator: Authenticator): SocketRequest<'auth'> =>
  socketRequest('auth', async (connection, { token }, respond) => {
    const principal = await authenticator.authenticate(token.startsWith('sess_') ? token : `Bearer ${token}`)
    if (principal.id !== connection.principal.id || !reaches(principal, connection)) {
      throw new ForbiddenError(
        'PERMISSION_DENIED', 'A fresh token must be for the same subject, application and environment'
      )
    }
    const lost = await adopt(connection, principal)
    respond({ expiresAt: expiryOf(principal), ...(lost.length > 0 && { lost }) })
  })

/**
 * Replaces the principal by another one of the same subject, which may have fewer permissions. Resolves, once patterns
 * include the topics that it covers, to the topics that they have lost.
 */
export async function adopt (
  connection: Connection, principal: Principal
): Promise<{ subscriptionId: string, topic: string }[]> {
  const before = connection.principal
  connection.principal = principal
  // Events that matched before are sent before the subscriptions end.
  connection.flush()
  const { subscribe } = permissionsAt(principal, connection.scope)
  for (const subscription of connection.subscriptions) {
    const isCovered = subscription instanceof PatternSubscription
      ? subscribe.meets(subscription.topic)
      : subscribe.covers(subscription.topic)
    if (!isCovered) connection.resync(subscription, notCovered)
  }
  // Compared once for all patterns, because a principal and a connection may each have a thousand.
  const was = permissionsAt(before, connection.scope).subscribe
  const change = { was, is: subscribe, isWider: !subscribe.patterns.every(pattern => was.covers(pattern)) }
  const changes = connection.subscriptions.flatMap(subscription =>
    subscription instanceof PatternSubscription
      ? [{ subscriptionId: subscription.id, ...subscription.refreshed(change) }]
      : []
  )
  connection.refreshed()
  for (const { widened } of changes) await widened
  return changes.flatMap(({ subscriptionId, lost }) => lost.map(topic => ({ subscriptionId, topic })))
}

const notCovered: ResyncReason = {
  code: 'PERMISSION_DENIED', message: 'The fresh credential does not permit this subscription, which has ended'
}

const reaches = (principal: Connection['principal'], { scope }: Connection) =>
  principal.kind === 'session'
    ? reachesApplication(principal, scope.applicationId)
    : (principal.applicationId === scope.applicationId &&
      (principal.environment ?? scope.environment) === scope.environment)
