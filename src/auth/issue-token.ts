import type { TokenAnswer, TokenRequest } from '../../schemas/auth.ts'
import type { ScopeResolver } from './scope.ts'
import { authorize, authorizeGrant } from './permissions.ts'
import type { Principal } from './principal.ts'
import type { Tokens } from './tokens.ts'

export type IssueToken = ReturnType<typeof createTokenIssuer>

/**
 * Tokens on behalf of somebody: never for more than they hold, nor beyond the environment that they are pinned to.
 * What a token issues does not outlive it, or a short-lived credential could make itself a long-lived one.
 */
export function createTokenIssuer ({ tokens, resolveScope }: { tokens: Tokens, resolveScope: ScopeResolver }) {
  /** Without a subject, the token stands for whoever asked for it. */
  return async function issueToken (principal: Principal, request: TokenRequest): Promise<TokenAnswer> {
    const { applicationId, permissions, subject, expiresIn } = request
    await resolveScope(principal, request)
    const environment = request.environment ?? (principal.kind === 'token' ? principal.environment : undefined)
    const place = { applicationId, ...(environment !== undefined && { environment }) }
    authorize(principal, place, 'tokens:create')
    authorizeGrant(principal, place, permissions)
    return tokens.mint({
      subject: subject ?? (principal.kind === 'token' ? principal.subject : principal.userId),
      applicationId,
      permissions,
      environment,
      expiresInS: expiresIn,
      ...(principal.kind === 'token' && { notAfter: principal.expiresAt })
    })
  }
}
