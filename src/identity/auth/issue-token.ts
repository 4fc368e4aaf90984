import type { Kysely } from 'kysely'
import type { Database } from '../../../db/tables.ts'
import type { TokenAnswer, TokenRequest } from '../../../schemas/auth.ts'
import type { Origin } from '../audit/origin.ts'
import { record } from '../audit/record.ts'
import type { ScopeResolver } from '../access/scope.ts'
import { authorize, authorizeGrant } from '../access/permissions.ts'
import { isApiKey, type Principal } from '../access/principal.ts'
import type { Tokens } from './tokens.ts'

/** The longest life of a token that is issued with an API key, because the token outlives a revocation of the key. */
const issuedByApiKeyMs = 24 * 3_600_000

export type IssueToken = ReturnType<typeof createTokenIssuer>

/**
 * Issues tokens on behalf of a principal, limited to the permissions and the environment of the principal. A token that
 * is issued with a token expires no later, otherwise a short-lived credential could renew itself forever. One that is
 * issued with an API key lasts at most a day.
 */
export function createTokenIssuer (
  { db, tokens, resolveScope }: { db: Kysely<Database>, tokens: Tokens, resolveScope: ScopeResolver }
) {
  /** Without a subject, the token gets the subject of the principal. */
  return async function issueToken (principal: Principal, request: TokenRequest, by: Origin): Promise<TokenAnswer> {
    const { applicationId, permissions, subject, expiresIn } = request
    await resolveScope(principal, request)
    const environment = request.environment ?? (principal.kind === 'token' ? principal.environment : undefined)
    const place = { applicationId, ...(environment !== undefined && { environment }) }
    authorize(principal, place, 'tokens:create')
    authorizeGrant(principal, place, permissions)
    const holder = subject ?? (principal.kind === 'token' ? principal.subject : principal.userId)
    const { token, expiresAt, id, keyId } = tokens.mint({
      subject: holder,
      applicationId,
      permissions,
      environment,
      expiresInS: expiresIn,
      ...latestExpiry(principal)
    })
    await record(db, by, {
      action: 'token.issued', resourceId: id, place, after: { subject: holder, permissions },
      details: { keyId, expiresAt }
    })
    return { token, expiresAt }
  }
}

function latestExpiry (principal: Principal): { notAfter?: number } {
  if (principal.kind === 'session') return {}
  const { expiresAt } = principal
  return { notAfter: isApiKey(principal) ? Math.min(expiresAt, Date.now() + issuedByApiKeyMs) : expiresAt }
}
