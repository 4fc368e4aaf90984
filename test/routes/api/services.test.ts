import { randomUUID } from 'node:crypto'
import t from 'tap'
import { build } from '../../support/build.ts'
import { tenant } from '../../support/tenant.ts'

const { app } = await build(t)
const mine = await tenant(app)
const others = await tenant(app)
const { request } = mine

await t.test('a service is created, listed, read, changed and deleted', async t => {
  const created = await request('POST', '/api/services', { name: 'session', description: 'Live sessions' })
  t.equal(created.status, 201)
  t.match(created.body, {
    id: /^[0-9a-f]{8}-/,
    name: 'session',
    description: 'Live sessions',
    applicationId: mine.applicationId,
    createdAt: /^\d{4}-.*\.\d{3}Z$/,
    updatedAt: created.body.createdAt
  })
  const url = `/api/services/${created.body.id}`
  t.strictSame((await request('GET', url)).body, created.body)
  t.strictSame(
    (await request('GET', url, undefined, { 'x-environment': 'production' })).body, created.body,
    'a service belongs to all environments'
  )
  t.strictSame((await request('GET', '/api/services')).body, { services: [created.body] })
  t.match(await request('POST', '/api/services', { name: 'session' }), {
    status: 409, body: { error: 'ConflictError', code: 'SERVICE_EXISTS' }
  })
  t.match(await request('PATCH', url, { description: null }), {
    status: 200, body: { id: created.body.id, description: null }
  })
  const deleted = await request('DELETE', url)
  t.strictSame([deleted.status, deleted.text], [204, ''])
  for (const [method, body] of [['GET', undefined], ['PATCH', { description: 'x' }], ['DELETE', undefined]] as const) {
    t.match(await request(method, url, body), {
      status: 404, body: { error: 'NotFoundError', code: 'SERVICE_NOT_FOUND' }
    })
  }
})

await t.test('lists come in pages', async t => {
  for (const name of ['a', 'b', 'c']) await request('POST', '/api/services', { name })
  const first = await request('GET', '/api/services?limit=2')
  const second = await request('GET', `/api/services?limit=2&cursor=${String(first.headers['x-next-cursor'])}`)
  t.match([first.body, second.body], [{ services: [{ name: 'a' }, { name: 'b' }] }, { services: [{ name: 'c' }] }])
  t.equal(second.headers['x-next-cursor'], undefined)
})

await t.test('a service with documents is deleted only with force', async t => {
  await request('POST', '/api/sync/kept/documents', { id: 'd', data: { a: 1 } }, { 'x-environment': 'staging' })
  const { id } = (await request('GET', '/api/services')).body.services.find(({ name }: { name: string }) =>
    name === 'kept'
  )
  t.match(await request('DELETE', `/api/services/${id}`), { status: 409, body: { code: 'SERVICE_NOT_EMPTY' } })
  t.match(await request('DELETE', `/api/services/${id}?force=false`), { status: 409 })
  t.equal((await request('DELETE', `/api/services/${id}?force=true`)).status, 204)
  t.equal((await request('GET', '/api/sync/kept/documents/d', undefined, { 'x-environment': 'staging' })).status, 404)
  t.match(
    (await request('GET', '/api/topics/sync.kept.deleted/events', undefined, { 'x-environment': 'staging' })).body,
    [{ type: 'document.deleted', payload: { data: { a: 1 }, deleted: true, reason: 'deleted' } }]
  )
  t.equal(
    (await request('POST', '/api/sync/kept/documents', { id: 'd', data: {} })).status, 201,
    'the next document creates it again'
  )
})

await t.test('a service of another application is 404', async t => {
  const { body: { id } } = await request('POST', '/api/services', { name: 'private' })
  for (const [method, body] of [['GET', undefined], ['PATCH', { description: 'x' }], ['DELETE', undefined]] as const) {
    t.equal((await others.request(method, `/api/services/${id}`, body)).status, 404)
  }
  t.strictSame((await others.request('GET', '/api/services')).body, { services: [] })
  t.equal((await others.request('POST', '/api/services', { name: 'private' })).status, 201)
})

await t.test('a request without credentials or permission is refused', async t => {
  t.equal((await app.inject('/api/services')).statusCode, 401)
  const client = { authorization: `Bearer ${mine.token(['client'])}` }
  const id = randomUUID()
  for (
    const [method, path, body] of [
      ['GET', '', undefined],
      ['POST', '', { name: 'x' }],
      ['GET', `/${id}`, undefined],
      ['PATCH', `/${id}`, { description: 'x' }],
      ['DELETE', `/${id}`, undefined]
    ] as const
  ) {
    t.match(await request(method, `/api/services${path}`, body, client), {
      status: 403,
      body: { code: 'PERMISSION_DENIED' }
    })
  }
})

await t.test('a malformed request is refused with the path of the error', async t => {
  const { body: { id } } = await request('POST', '/api/services', { name: 'checked' })
  const cases: [Parameters<typeof request>[0], string, unknown, RegExp][] = [
    ['POST', '', {}, /name/],
    ['POST', '', undefined, /body/],
    ['POST', '', { name: 'Bad' }, /\/name/],
    ['POST', '', { name: '1bad' }, /\/name/],
    ['POST', '', { name: 'b.d' }, /\/name/],
    ['POST', '', { name: 'nul\0' }, /\/name/],
    ['POST', '', { name: 'x'.repeat(10_000) }, /\/name/],
    ['POST', '', { name: 7 }, /\/name/],
    ['POST', '', { name: 'x', description: '' }, /\/description/],
    ['POST', '', { name: 'x', description: 'nul\0' }, /\/description/],
    ['POST', '', { name: 'x', id: 'mine' }, /\/id/],
    ['POST', '', '{"name":"x","__proto__":{}}', /__proto__/],
    ['PATCH', `/${id}`, {}, /description/],
    ['PATCH', `/${id}`, { name: 'other' }, /name|description/],
    ['PATCH', `/${id}`, { description: 7 }, /\/description/],
    ['GET', '/not-a-uuid', undefined, /\/id/],
    ['GET', `/${id}x`, undefined, /\/id/],
    ['GET', `/${'a'.repeat(10_000)}`, undefined, /\/id/],
    ['DELETE', `/${id}?force=perhaps`, undefined, /\/force/],
    ['DELETE', `/${id}?fource=true`, undefined, /\/fource/],
    ['GET', '?limit=-1', undefined, /\/limit/],
    ['GET', '?cursor=abc', undefined, /cursor/]
  ]
  for (const [method, path, body, message] of cases) {
    const answer = await request(method, `/api/services${path}`, body)
    const name = `${method} ${path.slice(0, 60)} ${JSON.stringify(body)?.slice(0, 60)}`
    t.equal(answer.status, 400, name)
    t.match(answer.body, { error: 'ValidationError', message, code: String }, name)
  }
  t.equal(
    (await request('GET', `/api/services/urn:uuid:${id}`)).status,
    404,
    'the format admits it, the database does not'
  )
})
