import type { IncomingHttpHeaders } from 'node:http'
import { UnauthorizedError } from '../../errors.ts'
import type { Principal } from '../access/principal.ts'
import { sessionPrefix, type Sessions } from './sessions.ts'
import type { Tokens } from './tokens.ts'

export type Authenticator = ReturnType<typeof createAuthenticator>

/** Who is it? The one answer for REST and every kind of socket. */
export function createAuthenticator (
  { tokens, sessions }: { tokens: Pick<Tokens, 'verify'>, sessions: Pick<Sessions, 'authenticate'> }
) {
  return {
    /**
     * Takes a credential as a header carries it: `Bearer <jwt>`, or a bare session token. Throws, or rejects with,
     * UnauthorizedError `CREDENTIAL_MISSING` or `CREDENTIAL_INVALID`. Answers at once for a token that was seen before.
     */
    authenticate (credential: string | undefined): Principal | Promise<Principal> {
      if (credential === undefined || credential === '') { throw new UnauthorizedError('CREDENTIAL_MISSING', 'A credential is needed: send an Authorization header') }
      const bare = withoutScheme(credential)
      if (bare === undefined) {
        throw new UnauthorizedError(
          'CREDENTIAL_INVALID',
          'The credential is neither `Bearer <token>` nor a session token'
        )
      }
      if (bare.startsWith(sessionPrefix)) return sessions.authenticate(bare)
      const verified = tokens.verify(bare)
      return verified instanceof Promise ? verified.then(({ principal }) => principal) : verified.principal
    }
  }
}

/** What of a request's headers is a credential. `Authorization` outranks `X-Session-Token`. */
export function credentialFromHeaders (headers: IncomingHttpHeaders): string | undefined {
  const given = headers.authorization ?? headers['x-session-token']
  return typeof given === 'string' && given !== '' ? given : undefined
}

const bearer = 'Bearer '
/** RFC 9110 §11.1: the scheme's case does not matter, and more than one space may follow it. */
const bearerForm = /^bearer +/i

/** The token itself, or undefined when it stands bare and is no session token, or behind another scheme. */
function withoutScheme (credential: string): string | undefined {
  if (credential.startsWith(bearer) && credential.charCodeAt(bearer.length) !== 0x20) { return credential.slice(bearer.length) }
  if (credential.startsWith(sessionPrefix)) return credential
  return bearerForm.test(credential) ? credential.replace(bearerForm, '') : undefined
}
