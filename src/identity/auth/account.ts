import { sessionList, type Me, type SessionInfo, type SessionQuery } from '../../../schemas/auth.ts'
import type { Origin } from '../audit/origin.ts'
import { ForbiddenError, NotFoundError } from '../../errors.ts'
import { pageOfItems } from '../../foundation/lists/item-page.ts'
import type { PageOf } from '../../foundation/paging.ts'
import { expiryOf, isApiKey, type Principal, type SessionPrincipal } from '../access/principal.ts'
import type { Sessions } from './sessions.ts'

export type Account = ReturnType<typeof createAccount>

/**
 * Describes a principal to itself, and lists and ends the sessions of its user. A token has no sessions: it is valid
 * until it expires or its key is revoked.
 */
export function createAccount ({ sessions }: { sessions: Sessions }) {
  return {
    me: toMe,

    /** Ends the session of the request. Throws ForbiddenError `SESSION_REQUIRED` for a token. */
    async logout (principal: Principal, by: Origin): Promise<void> {
      await sessions.end(sessionOf(principal), by)
    },

    async sessions (principal: Principal, query: SessionQuery): Promise<PageOf<SessionInfo>> {
      const { userId, sessionKey } = sessionOf(principal)
      return pageOfItems(await sessions.list(userId, sessionKey), sessionList, query, {
        valuesOf: session => session, idOf: ({ id }) => id
      })
    },

    /**
     * Ends a session of the user, by its id. Throws NotFoundError `SESSION_NOT_FOUND`, also for another user's session
     * and for a token.
     */
    async endSession (principal: Principal, id: string, by: Origin): Promise<void> {
      if (principal.kind === 'token') throw new NotFoundError('SESSION_NOT_FOUND', `Session not found: ${id}`)
      await sessions.endOne(sessionOf(principal).userId, id, by)
    }
  }
}

function sessionOf (principal: Principal): SessionPrincipal {
  if (principal.kind === 'session') return principal
  throw new ForbiddenError(
    'SESSION_REQUIRED', 'A token has no session. It is valid until it expires or its signing key is revoked'
  )
}

function toMe (principal: Principal): Me {
  const { kind } = principal
  const expiresAt = expiryOf(principal)
  if (principal.kind === 'token') {
    const { subject, applicationId, environment, permissions, held } = principal
    return {
      kind,
      subject,
      applicationId,
      ...(environment !== undefined && { environment }),
      permissions: isApiKey(principal) ? held.toStrings() : [...permissions],
      expiresAt
    }
  }
  return {
    kind,
    user: principal.user,
    roles: principal.roles.map(({ name, applicationId, permissions }) => ({
      name,
      applicationId,
      permissions: (applicationId === null ? permissions : permissions.withinApplication()).toStrings()
    })),
    permissions: principal.grants.everywhere.toStrings(),
    expiresAt
  }
}
