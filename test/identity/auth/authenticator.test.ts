import t from 'tap'
import { createAuthenticator, credentialFromHeaders } from '../../../src/identity/auth/authenticator.ts'
import type { ApiKeyPrincipal } from '../../../src/identity/access/principal.ts'
import { sessionPrincipal, tokenPrincipal } from '../../support/principals.ts'
import { codeOf } from '../../support/refusal.ts'

const session = sessionPrincipal('viewer')
const token = tokenPrincipal(['client'])
const claims = { sub: 'a', aud: 'app_a', iss: 'realtime-platform', exp: 2, iat: 1, permissions: ['client'] }
const { keyId: _, tokenKey: __, ...bearer } = token
const apiKey: ApiKeyPrincipal = { ...bearer, credential: 'api-key', apiKeyId: 'apk_1', name: 'A key' }
const asked: string[] = []
const known = new Set<string>()
const { peek, authenticate } = createAuthenticator({
  sessions: { authenticate: async (text: string) => { asked.push(text); return session } },
  apiKeys: {
    peek: (text: string) => known.has(text) ? apiKey : undefined,
    authenticate: async (text: string) => { asked.push(text); return apiKey }
  },
  tokens: {
    peek: (text: string) => known.has(text) ? { claims, principal: token } : undefined,
    verify: async (text: string) => { asked.push(text); return { claims, principal: token } }
  }
})
const fromHeaders = (headers: Record<string, string>) => authenticate(credentialFromHeaders(headers))

t.test('a credential is accepted in four forms', async t => {
  t.equal(await fromHeaders({ authorization: 'Bearer a.b.c' }), token)
  t.equal(await fromHeaders({ authorization: 'bearer   a.b.c' }), token)
  t.equal(await fromHeaders({ authorization: 'sess_x' }), session)
  t.equal(await fromHeaders({ 'x-session-token': 'sess_x' }), session)
  t.equal(await fromHeaders({ authorization: 'Bearer sess_x' }), session)
  const both = { authorization: 'Bearer a.b.c', 'x-session-token': 'sess_x' }
  t.equal(await fromHeaders(both), token, 'Authorization wins')
  t.equal(await fromHeaders({ authorization: 'Bearer rtk_x' }), apiKey)
  t.same(asked, ['a.b.c', 'a.b.c', 'sess_x', 'sess_x', 'sess_x', 'a.b.c', 'rtk_x'])
})

t.test('known tokens and keys are found without waiting, and nothing else is', async t => {
  const credentials = [
    'Bearer a.b.c', 'bearer  a.b.c', 'Bearer rtk_x', 'sess_x', 'Bearer sess_x', 'a.b.c', '', undefined
  ]
  for (const credential of credentials) t.equal(peek(credential), undefined, credential ?? 'none')
  for (const text of ['a.b.c', 'rtk_x', 'sess_x', '']) known.add(text)
  t.same(credentials.map(credential => peek(credential)?.credential), [
    'jwt', 'jwt', 'api-key', undefined, undefined, undefined, undefined, undefined
  ])
})

t.test('anything else is refused', async t => {
  t.equal(await codeOf(() => fromHeaders({})), 'CREDENTIAL_MISSING')
  t.equal(await codeOf(() => fromHeaders({ authorization: '' })), 'CREDENTIAL_MISSING')
  for (const authorization of ['Basic YTpi', 'a.b.c', 'Bearer', 'token sess_x', 'Bearersess_x', 'rtk_x']) {
    t.equal(await codeOf(() => fromHeaders({ authorization })), 'CREDENTIAL_INVALID', authorization)
  }
})
