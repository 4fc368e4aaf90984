import { createHmac, createPublicKey, sign, verify, type JsonWebKey } from 'node:crypto'
import t from 'tap'
import { build, listen } from '../../support/build.ts'
import { connectSocketIo, connectWs } from '../../support/clients.ts'
import { createDatabase } from '../../support/database.ts'
import { person, requests } from '../../support/people.ts'
import { tenant } from '../../support/tenant.ts'
import { eventually } from '../../support/waiting.ts'

t.setTimeout(600_000)

const databaseUrl = await createDatabase(t)
const { app } = await build(t, { databaseUrl })
const { app: otherNode } = await build(t, { databaseUrl })
const root = await person(app, 'super_admin')
const shop = await tenant(app)
const outcome = ({ status, body }: { status: number, body?: { code?: string } }) =>
  body?.code === undefined ? String(status) : `${status} ${body.code}`
const encoded = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
const headerOf = (token: string) => JSON.parse(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString())
const me = async (token: string, node = app) => (await requests(node, `Bearer ${token}`).get('/api/auth/me')).status
const nowS = () => Math.floor(Date.now() / 1000)
const claims = (change: object = {}) => ({
  sub: 'me',
  aud: shop.applicationId,
  iss: 'realtime-platform',
  iat: nowS(),
  exp: nowS() + 60,
  permissions: ['client'],
  ...change
})
const jwks = async () => (await requests(app).get('/.well-known/jwks.json'))

for (const algorithm of ['HS256', 'ES256', 'EdDSA'] as const) {
  await t.test(`${algorithm}: a new key signs, all nodes accept its tokens, and its secret is shown once`, async t => {
    const created = await root.post('/api/admin/keys', { algorithm })
    t.equal(created.status, 201)
    t.match(created.body, { keyId: /^key_/, algorithm, active: true, createdAt: Number })
    t.equal(created.body.secret !== undefined, algorithm === 'HS256')
    t.equal(created.body.publicKey !== undefined, algorithm !== 'HS256')
    t.notMatch(created.text, /PRIVATE|"d":/)
    const list = await root.get('/api/admin/keys')
    t.match(list.body[0], { keyId: created.body.keyId, algorithm, active: true })
    t.notMatch(list.text, /secret|PRIVATE|"d":/)
    const token = shop.token(['client'])
    t.match(headerOf(token), { alg: algorithm, kid: created.body.keyId })
    t.equal(await me(token), 200)
    t.equal(await me(token, otherNode), 200)
    const row = await app.db.selectFrom('signing_keys').selectAll().where('id', '=', created.body.keyId)
      .executeTakeFirstOrThrow()
    t.match(row.secret_sealed, /^v2\./)

    const [head = '', body = '', signature = ''] = token.split('.')
    if (algorithm === 'HS256') {
      const mac = createHmac('sha256', Buffer.from(created.body.secret, 'base64url')).update(`${head}.${body}`).digest(
        'base64url'
      )
      t.equal(mac, signature, 'the secret can verify and sign')
      t.notOk((await jwks()).text.includes(created.body.keyId), 'it is not in the key set')
    } else {
      const answer = await jwks()
      t.match(answer.headers['cache-control'], /max-age=\d+/)
      const jwk = answer.body.keys.find(({ kid }: { kid: string }) => kid === created.body.keyId) as JsonWebKey
      t.match(jwk, { alg: algorithm, use: 'sig' })
      t.notOk('d' in jwk)
      const key = createPublicKey({ key: jwk, format: 'jwk' })
      t.ok(
        verify(algorithm === 'ES256' ? 'sha256' : null, Buffer.from(`${head}.${body}`), {
          key,
          dsaEncoding: 'ieee-p1363'
        }, Buffer.from(signature, 'base64url')),
        'the key set can verify'
      )
      const pem = key.export({ type: 'spki', format: 'pem' }).toString()
      // The public key must not be accepted as a shared secret.
      for (const secret of [pem, pem.trim(), JSON.stringify(jwk), key.export({ type: 'spki', format: 'der' })]) {
        for (const alg of ['HS256', algorithm]) {
          const input = `${encoded({ alg, typ: 'JWT', kid: created.body.keyId })}.${
            encoded(claims({ permissions: ['admin'] }))
          }`
          t.equal(
            await me(`${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`),
            401,
            `confusion of HS256 and ${alg}`
          )
        }
      }
      t.equal(await me(`${encoded({ alg: 'none', kid: created.body.keyId })}.${encoded(claims())}.`), 401)
      const own = app.signingKeys.active?.signing as string
      const forged = (header: object, payload: object) => {
        const input = `${encoded({ alg: algorithm, typ: 'JWT', kid: created.body.keyId, ...header })}.${
          encoded(payload)
        }`
        return `${input}.${
          sign(algorithm === 'ES256' ? 'sha256' : null, Buffer.from(input), { key: own, dsaEncoding: 'ieee-p1363' })
            .toString('base64url')
        }`
      }
      t.equal(await me(forged({}, claims())), 200, 'the next tokens are refused for their claims')
      const others = ['HS256', 'RS256', 'ES384', 'ES256', 'EdDSA', 'PS256', 'none'].filter(alg => alg !== algorithm)
      for (const alg of others) t.equal(await me(forged({ alg }, claims())), 401, alg)
      t.equal(await me(forged({}, claims({ aud: [shop.applicationId] }))), 200, 'an audience may be a list of one')
      const refused = [
        { exp: nowS() - 1 }, { nbf: nowS() + 60 }, { iss: 'x' }, { aud: 'app_x' },
        { aud: [shop.applicationId, 'app_x'] }
      ]
      for (const change of refused) t.equal(await me(forged({}, claims(change))), 401, JSON.stringify(change))
    }
  })
}

await t.test('a token with a repeated member name is refused', async t => {
  const { body: { keyId, secret } } = await root.post('/api/admin/keys')
  const signed = (header: string, payload: string) => {
    const input = `${Buffer.from(header).toString('base64url')}.${Buffer.from(payload).toString('base64url')}`
    return `${input}.${createHmac('sha256', Buffer.from(secret, 'base64url')).update(input).digest('base64url')}`
  }
  const header = `{"alg":"HS256","kid":"${keyId}"}`
  const payload = JSON.stringify(claims())
  t.equal(await me(signed(header, payload)), 200)
  for (
    const twice of [
      '"permissions":["admin"]', '"sub":"root"', '"aud":"app_x"', '"exp":9999999999', '"\\u0073ub":"root"',
      '"x":{"a":1,"a":2}'
    ]
  ) {
    t.equal(await me(signed(header, `${payload.slice(0, -1)},${twice}}`)), 401, twice)
  }
  t.equal(await me(signed(`{"alg":"none","alg":"HS256","kid":"${keyId}"}`, payload)), 401)
  t.equal(await me(signed(`{"alg":"HS256","kid":"key_x","kid":"${keyId}"}`, payload)), 401)
  t.equal(
    await me(signed(header, `${payload.slice(0, -1)},"x":["a","a",{"sub":1},{"sub":1}],"y":"sub\\":1,\\"sub"}`)),
    200,
    'the same word elsewhere is not a repeated name'
  )
})

await t.test('rotate: another key signs, and existing tokens stay valid', async t => {
  const { body: old } = await root.post('/api/admin/keys', { algorithm: 'EdDSA' })
  const token = shop.token(['client'])
  const { status, body } = await root.post(`/api/admin/keys/${old.keyId}/rotate`)
  t.equal(status, 201)
  t.match(body, { algorithm: 'EdDSA', active: true })
  t.not(body.keyId, old.keyId)
  t.equal(headerOf(shop.token(['client'])).kid, body.keyId)
  t.equal(await me(token), 200)
  t.match((await root.get('/api/admin/keys')).body.find(({ keyId }: { keyId: string }) => keyId === old.keyId), {
    active: false, deactivatedAt: Number
  })
  t.equal(outcome(await root.post(`/api/admin/keys/${old.keyId}/rotate`)), '409 SIGNING_KEY_INACTIVE')
  t.equal(outcome(await root.post(`/api/admin/keys/${old.keyId}/deactivate`)), '200', 'deactivated again')
  t.ok((await jwks()).text.includes(old.keyId), 'a key with valid tokens is in the key set')
  await eventually(() => otherNode.signingKeys.active?.id === body.keyId)
})

await t.test('one key is always active, also after concurrent deactivations', async t => {
  const active = async () =>
    (await root.get('/api/admin/keys')).body.filter((key: { active: boolean }) => key.active).map((
      { keyId }: { keyId: string }
    ) => keyId) as string[]
  const keys = await active()
  t.ok(keys.length > 2)
  const answers = await Promise.all(
    keys.map((id, i) => requests(i % 2 === 0 ? app : otherNode, root.token).post(`/api/admin/keys/${id}/deactivate`))
  )
  t.equal(answers.filter(answer => outcome(answer) === '409 LAST_SIGNING_KEY').length, 1)
  const [last = '', ...others] = await active()
  t.same(others, [])
  await app.signingKeys.refresh()
  const token = shop.token(['client'])
  t.equal((await root.post(`/api/admin/keys/${last}/revoke`)).status, 200)
  t.equal((await active()).length, 1, 'a replacement is created for the last one')
  t.equal(await me(token), 401)
  t.equal(await me(shop.token(['client'])), 200)
  t.equal((await root.get('/api/auth/me')).status, 200, 'sessions do not depend on keys')
})

await t.test('revoke: its tokens are invalid and their sockets closed on every node, and no others', async t => {
  const [here, there] = [await listen(app), await listen(otherNode)]
  await root.post('/api/admin/keys', { algorithm: 'HS256' })
  const other = shop.token(['client'], { subject: 'other' })
  const { body: doomed } = await root.post('/api/admin/keys', { algorithm: 'ES256' })
  const token = shop.token(['client'])
  t.equal(await me(token, otherNode), 200, 'the token is cached there')
  const sockets = [
    await connectWs(here, { token }), await connectWs(there, { token }), await connectSocketIo(there, { token })
  ]
  const bystander = await connectWs(there, { token: other })
  t.equal((await root.post(`/api/admin/keys/${doomed.keyId}/revoke`)).status, 200)
  t.equal(await me(token), 401, 'at once here')
  for (const socket of sockets) t.match(await socket.closed, { code: 4403, reason: 'CREDENTIAL_REVOKED' })
  t.equal(await me(token, otherNode), 401, 'on the other node as well')
  t.equal(await me(other, otherNode), 200)
  t.match(await bystander.request('join', { channel: 'x' }), { ok: true }, 'sockets with another key stay open')
  bystander.close()
  t.notOk((await jwks()).text.includes(doomed.keyId))
  for (const what of ['revoke', 'rotate', 'deactivate']) {
    t.equal(outcome(await root.post(`/api/admin/keys/${doomed.keyId}/${what}`)), '404 SIGNING_KEY_NOT_FOUND')
  }
  t.equal(outcome(await root.post('/api/admin/keys', { algorithm: 'none' })), '400 VALIDATION_FAILED')
})

await t.test('a caller who may only create keys does not see the secret', async t => {
  const { body: role } = await root.post('/api/roles', {
    name: 'key-maker', permissions: ['create', 'read', 'update'].map(action => ({ resource: 'keys', action }))
  })
  for (
    const maker of [
      await person(app, role.id), await person(app, role.id, 'admin', ['super_admin', shop.applicationId])
    ]
  ) {
    const created = await maker.post('/api/admin/keys', { algorithm: 'HS256' })
    t.equal(created.status, 201)
    t.notOk('secret' in created.body)
    const rotated = await maker.post(`/api/admin/keys/${created.body.keyId}/rotate`)
    t.equal(rotated.status, 201)
    t.notOk('secret' in rotated.body)
  }
})

await t.test('only sessions can list and change keys, whatever permissions a token has', async t => {
  const { body: key } = await root.post('/api/admin/keys')
  const before = (await root.get('/api/admin/keys')).body
  const { body: role } = await root.post('/api/roles', {
    name: 'key-reader', permissions: [{ resource: 'keys', action: 'read' }]
  })
  t.equal((await (await person(app, role.id)).get('/api/admin/keys')).status, 200)
  const every = ['keys:create', 'keys:read', 'keys:update', 'keys:delete']
  for (const permissions of [['admin'], every]) {
    const asks = requests(app, `Bearer ${shop.token(permissions)}`)
    t.equal(outcome(await asks.get('/api/admin/keys')), '403 SESSION_REQUIRED')
    for (const algorithm of ['HS256', 'ES256', 'EdDSA']) {
      t.equal(outcome(await asks.post('/api/admin/keys', { algorithm })), '403 SESSION_REQUIRED')
    }
    for (const what of ['rotate', 'deactivate', 'revoke']) {
      t.equal(outcome(await asks.post(`/api/admin/keys/${key.keyId}/${what}`)), '403 SESSION_REQUIRED')
    }
  }
  t.equal(
    outcome(await requests(app, `Bearer ${shop.token(['service'])}`).get('/api/admin/keys')),
    '403 PERMISSION_DENIED'
  )
  t.same((await root.get('/api/admin/keys')).body, before)
})

await t.test('the number of keys is limited, also for concurrent requests on several nodes', async t => {
  const list = async () => (await root.get('/api/admin/keys')).body as { keyId: string, active: boolean }[]
  const room = 50 - (await list()).length
  const answers = await Promise.all(
    Array.from({ length: room + 5 }, (_, i) =>
      requests(i % 2 === 0 ? app : otherNode, root.token).post('/api/admin/keys', {
        algorithm: i % 3 === 0 ? 'EdDSA' : 'HS256'
      }))
  )
  t.equal(answers.filter(({ status }) => status === 201).length, room)
  t.equal(answers.filter(answer => outcome(answer) === '409 SIGNING_KEY_LIMIT').length, 5)
  const [newest, second, ...others] = await list()
  t.equal(outcome(await root.post(`/api/admin/keys/${newest?.keyId ?? ''}/rotate`)), '409 SIGNING_KEY_LIMIT')
  t.equal(outcome(await root.post(`/api/admin/keys/${second?.keyId ?? ''}/deactivate`)), '200')
  t.equal(
    outcome(await root.post('/api/admin/keys')), '409 SIGNING_KEY_LIMIT',
    'an inactive key counts, because its tokens are valid'
  )
  for (const { keyId } of others) await root.post(`/api/admin/keys/${keyId}/revoke`)
  t.equal(outcome(await root.post(`/api/admin/keys/${newest?.keyId ?? ''}/rotate`)), '201')
  t.equal((await list()).length, 3)

  const revoked = () =>
    app.db.selectFrom('signing_keys').select('id').where('revoked_at', 'is not', null).orderBy('revoked_at', 'desc')
      .execute()
  await app.db.insertInto('signing_keys').values(Array.from({ length: 200 }, (_, i) => ({
    id: `key_old_${i}`,
    algorithm: 'HS256',
    secret_sealed: 'x',
    active: false,
    created_at: i,
    deactivated_at: i,
    revoked_at: i
  }))).execute()
  const { body: last } = await root.post('/api/admin/keys')
  await root.post(`/api/admin/keys/${last.keyId}/revoke`)
  const kept = await revoked()
  t.equal(kept.length, 100, 'the number of revoked keys that are kept is limited')
  t.equal(kept[0]?.id, last.keyId)
})
