import { randomBytes } from 'node:crypto'
import jwt from '@fastify/jwt'
import fp from 'fastify-plugin'
import { createApiKeyAdmin, type ApiKeyAdmin } from '../src/identity/auth/api-key-admin.ts'
import { ApiKeys } from '../src/identity/auth/api-keys.ts'
import { createAuthenticator, type Authenticator } from '../src/identity/auth/authenticator.ts'
import { createTokenIssuer, type IssueToken } from '../src/identity/auth/issue-token.ts'
import { RefusalLimit } from '../src/identity/auth/refusal-limit.ts'
import { createSessions, type Sessions } from '../src/identity/auth/sessions.ts'
import { createTokens, type Jwt, type Tokens } from '../src/identity/auth/tokens.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** The sessions of users. */
    sessions: Sessions
    /** Signs and verifies tokens, without checking who issues them. */
    tokens: Tokens
    /** Issues a token on behalf of a principal. */
    issueToken: IssueToken
    /** Authenticates API keys. */
    apiKeys: ApiKeys
    /** Lists, creates and revokes API keys. */
    apiKeyAdmin: ApiKeyAdmin
    /** Returns the principal of a session, token or API key, for requests and sockets. */
    authenticator: Authenticator
    /** Counts refused credentials by address. */
    refusalLimit: RefusalLimit
  }
}

/** Adds the three kinds of credentials, sessions, tokens and API keys, and their authentication. */
export default fp(async (app) => {
  const { db, signingKeys: keys, applicationCache: applications, resolveScope, config: { auth, http } } = app
  // Each call passes the key of its token. This secret signs and verifies nothing.
  await app.register(jwt, { secret: randomBytes(32) })
  const sessions = createSessions({ db, ttlMs: auth.sessionTtlMs, now: app.clock.now })
  const tokens = createTokens({
    jwt: app.jwt as Jwt, keys, applications, issuer: auth.issuer, defaultTtlS: auth.tokenTtlS
  })
  const apiKeys = new ApiKeys({ db, log: app.log })
  app.decorate('sessions', sessions)
  app.decorate('tokens', tokens)
  app.decorate('issueToken', createTokenIssuer({ db, tokens, resolveScope }))
  app.decorate('apiKeys', apiKeys)
  app.decorate('apiKeyAdmin', createApiKeyAdmin({ db, keys: apiKeys }))
  app.addHook('onClose', async () => apiKeys.close())
  app.decorate('authenticator', createAuthenticator({ tokens, sessions, apiKeys }))
  app.decorate('refusalLimit', new RefusalLimit({ max: http.rateLimitUnauthorizedMax, metrics: app.instruments }))
}, { name: 'credentials', dependencies: ['config', 'database', 'metrics', 'signing-keys', 'tenancy'] })
