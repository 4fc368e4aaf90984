import { createHmac } from 'node:crypto'
import { once } from 'node:events'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import { WebSocket } from 'ws'
import { randomId } from '../../../src/foundation/ids.ts'
import { build, listen } from '../../support/build.ts'
import { connectSocketIo } from '../../support/clients.ts'
import { codeOf } from '../../support/refusal.ts'
import { tenant } from '../../support/tenant.ts'
import { until } from '../../support/waiting.ts'

const encoded = (value: unknown) =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')

/** Forges a token with a given secret. */
function forged (header: unknown, claims: unknown, secret: Buffer | string): string {
  const input = `${encoded(header)}.${encoded(claims)}`
  return `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`
}

function activeKey (app: FastifyInstance) {
  const key = app.signingKeys.active
  if (key === undefined) throw new Error('no key')
  return key
}

const nowS = () => Math.floor(Date.now() / 1000)

t.test('a foreign or invalid token is 401 everywhere', async t => {
  const { app } = await build(t)
  const { applicationId, token } = await tenant(app)
  const key = activeKey(app)
  const header = { alg: 'HS256', typ: 'JWT', kid: key.id }
  const claims = {
    sub: 'me', aud: applicationId, iss: 'realtime-platform', iat: nowS(), exp: nowS() + 60, permissions: ['admin']
  }
  const signed = (change: object, changedHeader: object = {}) =>
    forged({ ...header, ...changedHeader }, { ...claims, ...change }, key.signing)
  const good = token()
  const [head = '', body = '', signature = ''] = good.split('.')
  const lastBitsChanged = signature.slice(0, -1) +
    'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'[
      'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'.indexOf(signature.at(-1) ?? '') ^ 1
    ]

  const attacks: Record<string, string> = {
    'no algorithm': `${encoded({ ...header, alg: 'none' })}.${encoded(claims)}.`,
    'no algorithm, our signature': `${encoded({ ...header, alg: 'none' })}.${encoded(claims)}.${signature}`,
    'no signature': `${head}.${body}.`,
    'another algorithm of the same family': signed({}, { alg: 'HS512' }),
    'an asymmetric algorithm': signed({}, { alg: 'RS256' }),
    'a critical header': signed({}, { crit: ['exp'] }),
    'no kid': forged({ alg: 'HS256', typ: 'JWT' }, claims, key.signing),
    'a kid that is no string': forged({ ...header, kid: 1 }, claims, key.signing),
    'a foreign kid': forged({ ...header, kid: randomId('key') }, claims, key.signing),
    'a kid that is a path': forged({ ...header, kid: '../../../../dev/null' }, claims, ''),
    'a kid that is SQL': forged({ ...header, kid: 'key_\' or 1=1 --' }, claims, key.signing),
    'a kid that is a property': forged({ ...header, kid: '__proto__' }, claims, ''),
    'a header that is no object': `${encoded([])}.${body}.${signature}`,
    'a key of their own': forged(header, claims, 'guessed'),
    'an empty key': forged(header, claims, ''),
    expired: signed({ exp: nowS() - 1 }),
    'expiring now': signed({ exp: nowS() }),
    'not yet valid': signed({ nbf: nowS() + 60 }),
    'an expiry that is text': signed({ exp: String(nowS() + 60) }),
    'an expiry beyond time': signed({ exp: 1e300 }),
    'a negative expiry': signed({ exp: -1 }),
    'no expiry': signed({ exp: undefined }),
    'no iat': signed({ iat: undefined }),
    'no subject': signed({ sub: undefined }),
    'an empty subject': signed({ sub: '' }),
    'a subject that is an object': signed({ sub: { toString: 'me' } }),
    'no audience': signed({ aud: undefined }),
    'several audiences': signed({ aud: [applicationId, 'app_other'] }),
    'an empty list of audiences': signed({ aud: [] }),
    'a list in a list of audiences': signed({ aud: [[applicationId]] }),
    'an audience that is a number': signed({ aud: 7 }),
    'an audience with NUL': signed({ aud: `${applicationId}\0` }),
    'another issuer': signed({ iss: 'somebody' }),
    'no issuer': signed({ iss: undefined }),
    'permissions that are text': signed({ permissions: 'admin' }),
    'permissions that are no text': signed({ permissions: ['admin', 7] }),
    'no permissions': signed({ permissions: undefined }),
    'an environment that does not exist': signed({ environment: 'moon' }),
    oversized: signed({ sub: 'me', extra: 'x'.repeat(9000) }),
    'claims that are no object': forged(header, '"admin"', key.signing),
    'tampered claims': `${head}.${encoded({ ...claims, permissions: ['admin'], sub: 'root' })}.${signature}`,
    'tampered signature': `${head}.${body}.${signature.startsWith('A') ? 'B' : 'A'}${signature.slice(1)}`,
    'another spelling of the signature': `${head}.${body}.${lastBitsChanged}`,
    padded: `${good}=`,
    'with a space': `${good} `,
    'four parts': `${good}.${signature}`,
    'two parts': `${head}.${body}`,
    nonsense: 'nonsense',
    'an application that never existed': signed({ aud: randomId('app') }),
    'an invalid application': signed({ aud: 'shop' })
  }
  for (const [name, attack] of Object.entries(attacks)) {
    const verdict = await app.inject({ method: 'POST', url: '/auth/verify', payload: { token: attack } })
    t.equal(verdict.statusCode, 401, `${name}: ${verdict.body}`)
    t.match(verdict.json(), { error: 'UnauthorizedError', code: 'CREDENTIAL_INVALID' }, name)
    t.notMatch(verdict.body, /FAST_JWT|FST_|secret/)
    const access = await app.inject({ url: '/api/auth/me', headers: { authorization: `Bearer ${attack}` } })
    t.equal(access.statusCode, 401, name)
  }
  t.equal(
    (await app.inject({ url: '/api/auth/me', headers: { authorization: `Bearer ${signed({})}` } })).statusCode,
    200,
    'the same token without the fault is accepted'
  )
  t.equal((await app.inject({ url: '/api/auth/me', headers: { authorization: `Bearer ${good}` } })).statusCode, 200)
})

t.test('times may have a fraction, audiences may be lists of one, and a refusal names the claim', async t => {
  const { app } = await build(t)
  const url = await listen(app)
  const { applicationId } = await tenant(app)
  const key = activeKey(app)
  const claims = {
    sub: 'me', aud: applicationId, iss: 'realtime-platform', iat: nowS(), exp: nowS() + 60, permissions: ['client']
  }
  const signed = (change: object) =>
    forged({ alg: 'HS256', typ: 'JWT', kid: key.id }, { ...claims, ...change }, key.signing)
  const me = (token: string) => app.inject({ url: '/api/auth/me', headers: { authorization: `Bearer ${token}` } })
  const overSocketIo = async (token: string) => {
    try {
      (await connectSocketIo(url, { token })).socket.disconnect()
      return 'welcome'
    } catch (error) {
      return (error as Error).message
    }
  }
  const overWs = async (token: string) => {
    const socket = new WebSocket(`${url.replace('http', 'ws')}/ws`)
    await once(socket, 'open')
    socket.send(JSON.stringify({ type: 'auth', token }))
    const [frame] = await once(socket, 'message') as [Buffer]
    socket.terminate()
    return frame.toString()
  }

  const exp = nowS() + 60.75
  for (
    const change of [{ exp }, { iat: nowS() - 0.25 }, { nbf: nowS() - 0.5 }, { exp: 1e10 + 0.5 }, {
      aud: [applicationId]
    }, { aud: [applicationId], exp, iat: nowS() - 10.5, nbf: 0.5 }]
  ) {
    const token = signed(change)
    t.equal((await me(token)).statusCode, 200, JSON.stringify(change))
    t.match((await app.inject({ method: 'POST', url: '/auth/verify', payload: { token } })).json(), {
      valid: true, claims: { aud: applicationId, ...('exp' in change && { exp: change.exp }) }
    })
  }
  t.equal(
    (await app.tokens.verify(signed({ exp }))).principal.expiresAt, Math.floor(exp * 1000), 'in whole milliseconds'
  )
  t.equal(await overSocketIo(signed({ exp, aud: [applicationId] })), 'welcome')
  t.match(await overWs(signed({ exp, aud: [applicationId] })), '"authenticated"')

  const refused: [object, RegExp][] = [
    [{ exp: nowS() - 0.5 }, /expired \(exp\)/],
    [{ exp: nowS() - 60 }, /expired \(exp\)/],
    [{ exp: 'soon' }, /claim exp must be a number/],
    [{ exp: undefined }, /claim exp is missing/],
    [{ exp: 1e300 }, /claim exp/],
    [{ iat: -0.5 }, /claim iat/],
    [{ iat: undefined }, /claim iat is missing/],
    [{ nbf: nowS() + 60.5 }, /not valid yet \(nbf\)/],
    [{ nbf: 'later' }, /claim nbf/],
    [{ aud: [applicationId, applicationId] }, /claim aud/],
    [{ aud: [] }, /claim aud/],
    [{ aud: undefined }, /claim aud is missing/],
    [{ aud: 'app_nowhere' }, /claim aud/],
    [{ iss: 'somebody' }, /claim iss names another issuer/],
    [{ iss: 7 }, /claim iss/],
    [{ sub: '' }, /claim sub/],
    [{ jti: 7 }, /claim jti/],
    [{ permissions: 'all' }, /claim permissions/],
    [{ permissions: [7] }, /claim permissions/],
    [{ environment: 'moon' }, /claim environment must be development, staging or production/]
  ]
  for (const [i, [change, named]] of refused.entries()) {
    const token = signed(change)
    const { statusCode, body } = await me(token)
    t.match({ statusCode, body }, { statusCode: 401, body: named }, JSON.stringify(change))
    t.match((await app.inject({ method: 'POST', url: '/auth/verify', payload: { token } })).json(), { message: named })
    if (i % 4 !== 0) continue
    t.match(await overWs(token), named)
    t.match(await overSocketIo(token), named)
  }
  const foreign = forged({ alg: 'HS256', typ: 'JWT', kid: key.id }, { ...claims, iss: 'somebody' }, 'guessed')
  t.notMatch((await me(foreign)).body, /issuer/, 'the refusal of a foreign token reveals no claims')
})

t.test('a token of a deleted application is 401, cached or not', async t => {
  const { app } = await build(t)
  const { applicationId, token, request } = await tenant(app)
  const [seen, unseen] = [token(), token()]
  const me = async (token: string) =>
    (await app.inject({ url: '/api/auth/me', headers: { authorization: `Bearer ${token}` } })).statusCode
  t.equal(await me(seen), 200)
  t.equal((await request('DELETE', `/api/applications/${applicationId}`)).status, 204)
  t.equal(await me(seen), 401)
  t.equal(await me(unseen), 401)
})

t.test('a cached token is verified synchronously, until it expires or its key is revoked', async t => {
  const { app } = await build(t)
  const { applicationId } = await tenant(app)
  const { tokens, signingKeys: keys } = app
  const mint = (expiresInS: number) =>
    tokens.mint({ subject: 'me', applicationId, permissions: ['client'], environment: 'staging', expiresInS }).token

  const token = mint(60)
  const { principal, claims } = await tokens.verify(token)
  t.match(principal, {
    kind: 'token',
    id: `${applicationId}/me`,
    subject: 'me',
    applicationId,
    environment: 'staging',
    permissions: ['client'],
    keyId: activeKey(app).id
  })
  t.equal(principal.expiresAt, claims.exp * 1000)
  t.equal(tokens.peek(token)?.principal, principal)
  t.equal((await tokens.verify(token)).principal, principal)

  const short = mint(3)
  const { claims: soon } = await tokens.verify(short)
  await until(() => Date.now() > soon.exp * 1000 + 100, 'its expiry')
  t.equal(tokens.peek(short), undefined)
  t.equal(await codeOf(() => tokens.verify(short)), 'CREDENTIAL_INVALID', 'expired while cached')

  const revoked: string[] = []
  keys.onRevoked(id => revoked.push(id))
  await app.db.updateTable('signing_keys').set({ revoked_at: Date.now(), active: false }).execute()
  await keys.refresh()
  t.equal(revoked.length, 1)
  t.equal(tokens.peek(token), undefined)
  t.equal(await codeOf(() => tokens.verify(token)), 'CREDENTIAL_INVALID')
})

t.test('a token that would be too long to verify is not issued', async t => {
  const { app } = await build(t)
  const { applicationId } = await tenant(app)
  const permissions = Array.from({ length: 100 }, (_, i) => `subscribe:${'long'.repeat(20)}.${i}`)
  t.equal(
    await codeOf(() =>
      app.tokens.mint({ subject: 'me', applicationId, permissions, environment: undefined, expiresInS: 60 })
    ),
    'VALIDATION_FAILED'
  )
})
