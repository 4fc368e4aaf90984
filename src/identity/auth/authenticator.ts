import type { IncomingHttpHeaders } from 'node:http'
import { UnauthorizedError } from '../../errors.ts'
import type { Principal, TokenPrincipal } from '../access/principal.ts'
import { apiKeyPrefix } from './api-key-text.ts'
import type { ApiKeys } from './api-keys.ts'
import { sessionPrefix, type Sessions } from './sessions.ts'
import type { Tokens } from './tokens.ts'

export type Authenticator = ReturnType<typeof createAuthenticator>

/** Authenticates a credential. REST and all sockets use the same function. */
export function createAuthenticator (
  { tokens, sessions, apiKeys }: {
    tokens: Pick<Tokens, 'peek' | 'verify'>
    sessions: Pick<Sessions, 'authenticate'>
    apiKeys: Pick<ApiKeys, 'peek' | 'authenticate'>
  }
) {
  return {
    /** Returns the principal of a valid token or API key, if this node knows it already. */
    peek (credential: string | undefined): TokenPrincipal | undefined {
      const bare = withoutScheme(credential ?? '')
      if (bare === undefined || bare.startsWith(sessionPrefix)) return undefined
      return bare.startsWith(apiKeyPrefix) ? apiKeys.peek(bare) : tokens.peek(bare)?.principal
    },

    /**
     * Returns the principal of a credential in the form of a header: `Bearer <jwt>`, `Bearer <API key>`, or a bare
     * session token. Rejects with UnauthorizedError `CREDENTIAL_MISSING` or `CREDENTIAL_INVALID`.
     */
    async authenticate (credential: string | undefined): Promise<Principal> {
      if (credential === undefined || credential === '') {
        throw new UnauthorizedError('CREDENTIAL_MISSING', 'No credential was sent. Send it in the Authorization header')
      }
      const bare = withoutScheme(credential)
      if (bare === undefined) {
        throw new UnauthorizedError(
          'CREDENTIAL_INVALID',
          'The credential is neither `Bearer <token>` nor a session token'
        )
      }
      if (bare.startsWith(sessionPrefix)) return await sessions.authenticate(bare)
      if (bare.startsWith(apiKeyPrefix)) return await apiKeys.authenticate(bare)
      return (await tokens.verify(bare)).principal
    }
  }
}

/** Returns the credential in a request's headers. `Authorization` takes precedence over `X-Session-Token`. */
export function credentialFromHeaders (headers: IncomingHttpHeaders): string | undefined {
  const given = headers.authorization ?? headers['x-session-token']
  return typeof given === 'string' && given !== '' ? given : undefined
}

const bearer = 'Bearer '
/** RFC 9110 §11.1: the scheme's case does not matter, and more than one space may follow it. */
const bearerForm = /^bearer +/i

/** Returns the token without its scheme, or undefined for another scheme, or for no scheme and no session token. */
function withoutScheme (credential: string): string | undefined {
  if (credential.startsWith(bearer) && credential.charCodeAt(bearer.length) !== 0x20) {
    return credential.slice(bearer.length)
  }
  if (credential.startsWith(sessionPrefix)) return credential
  return bearerForm.test(credential) ? credential.replace(bearerForm, '') : undefined
}
