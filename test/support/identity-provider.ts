import { createSign, generateKeyPairSync } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import Provider from 'oidc-provider'
import type { Teardown } from './teardown.ts'

/** Where the users of the tests reach the platform. Requests to it go to the app without a network. */
export const publicUrl = 'https://realtime.example.com'
export const clientId = 'realtime'
export const clientSecret = 'the secret of the client at the provider'

type Json = Record<string, unknown>

interface ProviderSession { accountId: string, grantIdFor (client: string): string | undefined }

/** A real OpenID Connect provider on loopback, whose users log in without a form. `platform` is the platform's URL. */
export async function identityProvider (t: Teardown, platform = publicUrl) {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const jwk = { ...privateKey.export({ format: 'jwk' }), kid: 'test', use: 'sig', alg: 'RS256' }
  const users = new Map<string, Json>()
  const state = {
    /** Who is at the keyboard; undefined refuses the sign-in. */
    user: undefined as string | undefined,
    /** Changes an answer before it is sent. */
    tamper: undefined as ((path: string, answer: Json) => Json) | undefined,
    /** Answers by itself instead of the provider if it returns true. */
    intercept: undefined as ((request: IncomingMessage, response: ServerResponse) => boolean) | undefined
  }
  /** Paths of requests, with the bodies of those to the token endpoint. */
  const requests: string[] = []
  let handle: (request: IncomingMessage, response: ServerResponse) => void = () => {}
  const server = createServer((request, response) => {
    requests.push(`${request.method} ${new URL(request.url ?? '', 'http://x').pathname}`)
    if (state.intercept?.(request, response) === true) return
    handle(request, response)
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const scope = 'openid email profile'
  const provider: Provider = new Provider(issuer, {
    clients: [{
      client_id: clientId, client_secret: clientSecret, redirect_uris: [`${platform}/api/auth/oidc/callback`],
      grant_types: ['authorization_code'], response_types: ['code']
    }],
    jwks: { keys: [jwk] },
    cookies: { keys: ['a key of the cookies'] },
    claims: { email: ['email', 'email_verified'], profile: ['name', 'groups', 'realm_access'] },
    ttl: { AccessToken: 600, AuthorizationCode: 60, Grant: 600, IdToken: 600, Interaction: 600, Session: 600 },
    pkce: { required: () => true },
    features: { devInteractions: { enabled: false } },
    interactions: { url: (_context: unknown, { uid }: { uid: string }) => `/interaction/${uid}` },
    findAccount: (_context: unknown, id: string) =>
      users.has(id) ? { accountId: id, claims: () => ({ sub: id, ...users.get(id) }) } : undefined,
    loadExistingGrant: async ({ oidc: { session } }: { oidc: { session: ProviderSession } }) => {
      const known = session.grantIdFor(clientId)
      if (known !== undefined) return await provider.Grant.find(known)
      const grant = new provider.Grant({ clientId, accountId: session.accountId })
      grant.addOIDCScope(scope)
      await grant.save()
      return grant
    }
  })
  const answer = provider.callback()
  handle = (request, response) => {
    const { pathname } = new URL(request.url ?? '', issuer)
    if (pathname.startsWith('/interaction/')) {
      const result = state.user === undefined
        ? { error: 'access_denied', error_description: 'The user cancelled' }
        : { login: { accountId: state.user } }
      provider.interactionFinished(request, response, result, { mergeWithLastSubmission: false }).catch(() => {
        response.writeHead(500).end()
      })
      return
    }
    if (state.tamper !== undefined) tampering(response, body => state.tamper?.(pathname, body) ?? body)
    answer(request, response)
  }
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  /** Signs a token as the provider does. */
  function sign (claims: Json, { header = {}, key = privateKey } = {}): string {
    const text = [{ alg: 'RS256', kid: 'test', ...header }, claims]
      .map(part => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.')
    return `${text}.${createSign('sha256').update(text).sign(key, 'base64url')}`
  }
  return {
    issuer,
    users,
    state,
    requests,
    sign,
    /** Changes the claims of ID tokens, and signs them again. */
    claim (change: (claims: Json) => Json, options?: Parameters<typeof sign>[1]) {
      state.tamper = (path, body) =>
        path === '/token' ? { ...body, id_token: sign(change(claimsIn(String(body['id_token']))), options) } : body
    },
    variables: {
      PUBLIC_URL: platform,
      OIDC_ISSUER: issuer,
      OIDC_CLIENT_ID: clientId,
      OIDC_CLIENT_SECRET: clientSecret,
      OIDC_ROLE_MAP: JSON.stringify({ admins: { role: 'super_admin' }, viewers: { role: 'viewer' } })
    }
  }
}
export type IdentityProvider = Awaited<ReturnType<typeof identityProvider>>

export const claimsIn = (token: string): Json =>
  JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as Json

/** Replaces the JSON body of a response. */
function tampering (response: ServerResponse, change: (body: Json) => Json): void {
  const end = response.end
  response.end = function (this: ServerResponse, body?: unknown) {
    if (!String(this.getHeader('content-type')).startsWith('application/json')) {
      return (end as (...args: unknown[]) => ServerResponse).call(this, body)
    }
    const changed = JSON.stringify(change(JSON.parse(String(body)) as Json))
    this.setHeader('content-length', Buffer.byteLength(changed))
    return (end as (...args: unknown[]) => ServerResponse).call(this, changed)
  } as typeof end
}
