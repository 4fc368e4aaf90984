import { ConflictError, RealtimeError } from '@realtime-platform/client'
import {
  createAdminClient, paginate, unwrap, type AdminClientOptions, type components, type ListPath
} from '@realtime-platform/client/admin'
import { build as bundle } from 'esbuild'
import { expectTypeOf } from 'expect-type'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import t from 'tap'
import { build, listen } from '../support/build.ts'
import { startHttpProxy } from '../support/http-proxy.ts'
import { read, root } from '../support/repository.ts'
import { person } from '../support/people.ts'
import { tenant } from '../support/tenant.ts'

const { app } = await build(t)
const url = await listen(app)
const proxy = await startHttpProxy(t, url)
t.beforeEach(() => {
  proxy.behave({})
  proxy.requests.length = 0
})
const shop = await tenant(app)
const client = (options: Partial<AdminClientOptions> = {}) =>
  createAdminClient({ url: proxy.url, token: shop.token(), ...options })
const admin = client()
const topic = (name: string) => ({ name, description: 'A test', owner: 'tests' })

const body = (code: string) => JSON.stringify({ error: 'Error', message: 'A test', code })
/** Answers the first requests itself. */
const refuseFirst = (count: number, status: number, headers: Record<string, string> = {}) => {
  let left = count
  proxy.behave({
    answer: (_request, response) => {
      if (left-- <= 0) return false
      response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(body('OVERLOADED'))
      return true
    }
  })
}

t.test('the generated files match the documents of the server', async t => {
  const child = spawn(process.execPath, [join(root, 'scripts/generate-client-types.js'), '--check'], { stdio: 'pipe' })
  let errors = ''
  child.stderr.on('data', (text: Buffer) => { errors += text.toString() })
  const [code] = await once(child, 'close') as [number]
  t.equal(code, 0, errors)
})

t.test('calls resolve with the data, or with the error of the server', async t => {
  const { data: created, response } = await admin.POST('/api/topics', { body: topic('order.placed') })
  t.equal(response.status, 201)
  t.equal(created?.name, 'order.placed')
  const { data } = await admin.GET('/api/topics/{name}', { params: { path: { name: 'order.placed' } } })
  t.match(data, { name: 'order.placed', owner: 'tests' })
  const { data: none, error } = await admin.GET('/api/topics/{name}', { params: { path: { name: 'no.such' } } })
  t.equal(none, undefined)
  t.match(error, { code: 'TOPIC_NOT_FOUND' })
})

t.test('unwrap returns the data, or throws with the code of the server', async t => {
  const found = await unwrap(admin.GET('/api/topics/{name}', { params: { path: { name: 'order.placed' } } }))
  expectTypeOf(found).toEqualTypeOf<components['schemas']['Topic']>()
  t.equal(found.name, 'order.placed')
  await t.rejects(unwrap(admin.GET('/api/topics/{name}', { params: { path: { name: 'no.such' } } })), {
    name: 'RealtimeError', code: 'TOPIC_NOT_FOUND', status: 404, message: /no\.such/
  })
  const again = unwrap(admin.POST('/api/topics', { body: topic('order.placed') }))
  const taken = await again.catch((error: unknown) => error)
  t.ok(taken instanceof ConflictError)
  t.match(taken, { code: 'TOPIC_EXISTS', status: 409 })
  const invalid = { ...topic('Not A Topic') }
  await t.rejects(unwrap(admin.POST('/api/topics', { body: invalid })), {
    code: 'VALIDATION_FAILED', details: [{ path: '/name' }]
  })
  const { id } = await unwrap(admin.POST('/api/services', { body: { name: 'cart' } }))
  const emptied = await unwrap(admin.DELETE('/api/services/{id}', { params: { path: { id } } }))
  t.equal(emptied, undefined, 'a 204 has no data')
  refuseFirst(1, 418)
  t.match(await unwrap(admin.GET('/health')).catch((error: unknown) => error), { code: 'OVERLOADED', status: 418 })
  proxy.behave({
    answer: (_request, response) => {
      response.writeHead(403, { 'content-type': 'text/html' }).end('<h1>Forbidden</h1>')
      return true
    }
  })
  await t.rejects(unwrap(admin.GET('/health')), { code: 'ANSWER_INVALID', status: 403 })
})

t.test('the application and the environment may be chosen, also for one call', async t => {
  const { token } = await person(app, 'admin')
  const other = client({ token, applicationId: shop.applicationId, environment: 'staging' })
  await unwrap(other.POST('/api/topics', { body: topic('staged') }))
  t.equal(proxy.requests[0]?.headers['x-application-id'], shop.applicationId)
  t.equal(proxy.requests[0]?.headers['x-environment'], 'staging')
  await unwrap(other.GET('/api/topics', { params: { header: { 'x-environment': 'production' } } }))
  t.equal(proxy.requests[1]?.headers['x-environment'], 'production')
})

t.test('a platform behind a prefix is reached', async t => {
  const prefixed = client({
    url: `${proxy.url}/realtime/`, fetch: request => {
      t.match(request.url, /\/realtime\/health$/)
      return fetch(`${proxy.url}/health`)
    }
  })
  t.match(await unwrap(prefixed.GET('/health')), { status: 'ok' })
})

t.test('a list of more than 1,000 items is walked page by page, each item once', async t => {
  const large = await tenant(app)
  await app.pool.query(
    `insert into topics (application_id, environment, name, description, owner, created_at)
     select $1, 'development', 'topic.n' || lpad(n::text, 5, '0'), '', 'tests', 0 from generate_series(1, 1205) n`,
    [large.applicationId]
  )
  const admin = client({ token: large.token() })
  const names: string[] = []
  for await (const topic of paginate(admin, '/api/topics')) names.push(topic.name)
  t.equal(names.length, 1205)
  t.strictSame(names, [...new Set(names)].sort())
  t.equal(proxy.requests.length, 13)

  proxy.requests.length = 0
  const some: string[] = []
  const query = { q: 'n000', order: 'desc', limit: 40 } as const
  for await (const { name } of paginate(admin, '/api/topics', { params: { query } })) some.push(name)
  t.strictSame(some, names.filter(name => name.includes('n000')).reverse())
  t.equal(proxy.requests.length, 3)
})

t.test('a walk ends with its loop, with its signal and with an error', async t => {
  await shop.topic('walk.a')
  await shop.topic('walk.b')
  const options = { params: { query: { q: 'walk', limit: 1 } } }
  for await (const { name } of paginate(admin, '/api/topics', options)) if (name === 'walk.a') break
  t.equal(proxy.requests.length, 1, 'no page ahead')

  const controller = new AbortController()
  await t.rejects(async () => {
    for await (const { name } of paginate(admin, '/api/topics', { ...options, signal: controller.signal })) {
      controller.abort(new Error(`enough of ${name}`))
    }
  }, { message: 'enough of walk.a' })

  proxy.behave({ changeHeaders: headers => { headers['x-next-cursor'] = 'AAAA' } })
  await t.rejects(async () => {
    for await (const { name } of paginate(admin, '/api/topics', options)) t.equal(name, 'walk.a')
  }, { name: 'RealtimeError', code: 'VALIDATION_FAILED', status: 400 })
})

t.test('a cursor belongs to its query: walks that change theirs in the meantime do not mix', async t => {
  const options = { params: { query: { q: 'walk', limit: 1 } } }
  const names: string[] = []
  for await (const { name } of paginate(admin, '/api/topics', options)) {
    options.params.query.q = 'nothing'
    names.push(name)
  }
  t.strictSame(names, ['walk.a', 'walk.b'])
})

t.test('every list of the document can be walked', async t => {
  const document = JSON.parse(read('openapi.json')) as {
    paths: Record<string, { get?: { parameters?: { $ref?: string }[] } }>
  }
  const lists = Object.entries(document.paths)
    .filter(([, { get }]) => get?.parameters?.some(({ $ref }) => $ref === '#/components/parameters/Cursor'))
    .map(([path]) => path as ListPath)
  t.ok(lists.length > 20)
  await unwrap(admin.POST('/api/services', { body: { name: 'cart' } }))
  await unwrap(admin.POST('/api/topics/{name}/events', {
    params: { path: { name: 'walk.a' } }, body: { events: [1, 2, 3].map(payload => ({ payload })) }
  }))
  const walk = paginate as (admin: unknown, path: string, options: object) => AsyncGenerator<unknown>
  const session = client({ token: (await person(app, 'admin')).token, applicationId: shop.applicationId })
  for (const path of lists) {
    const items: unknown[] = []
    const all = { service: 'cart', id: 'doc_a', topic: 'walk.a', name: 'walk.a', channel: 'room' }
    const error = await (async () => {
      for await (const item of walk(session, path, { params: { path: all, query: { limit: 1 } } })) items.push(item)
    })().catch((error: unknown) => error)
    t.ok(error === undefined || (error instanceof RealtimeError && error.status === 404), `${path}: ${String(error)}`)
    t.ok(items.every(item => typeof item === 'object'))
  }
  const services: unknown[] = []
  for await (const service of paginate(session, '/api/services')) services.push(service.name)
  t.ok(services.includes('cart'))
  for (const order of ['asc', 'desc'] as const) {
    const payloads: unknown[] = []
    const params = { path: { name: 'walk.a' }, query: { order, limit: 2 } }
    for await (const event of paginate(session, '/api/topics/{name}/events', { params })) payloads.push(event.payload)
    t.strictSame(payloads, order === 'asc' ? [1, 2, 3] : [3, 2, 1])
  }
})

t.test('a GET request is repeated after 429, 502, 503 and 504, not before Retry-After', async t => {
  for (const status of [429, 502, 503, 504]) {
    for (const isDate of [false, true]) {
      proxy.requests.length = 0
      const notBefore = isDate ? Math.ceil(Date.now() / 1000) * 1000 + 1000 : Date.now() + 995
      refuseFirst(1, status, { 'retry-after': isDate ? new Date(notBefore).toUTCString() : '1' })
      t.match(await unwrap(admin.GET('/health')), { status: 'ok' })
      t.equal(proxy.requests.length, 2)
      t.ok(Date.now() >= notBefore, `${status} ${isDate ? 'with a date' : 'with seconds'}`)
    }
  }
})

t.test('repetitions end after `retries`, and a long Retry-After is not waited for', async t => {
  refuseFirst(Infinity, 503)
  t.equal((await client({ retries: 2 }).GET('/health')).response.status, 503)
  t.equal(proxy.requests.length, 3)
  refuseFirst(Infinity, 503, { 'retry-after': '3600' })
  await t.rejects(unwrap(admin.GET('/health')), { code: 'OVERLOADED', status: 503, retryAfterMs: 3_600_000 })
  t.equal(proxy.requests.length, 4)
  const controller = new AbortController()
  refuseFirst(Infinity, 503, { 'retry-after': '30' })
  const waiting = admin.GET('/health', { signal: controller.signal })
  controller.abort(new Error('enough'))
  await t.rejects(waiting, { message: 'enough' })
})

t.test('a write with an idempotency key is repeated and carried out once; the client adds the key', async t => {
  await shop.topic('order.paid')
  let lost = 0
  proxy.behave({ losesAnswer: ({ method }) => method === 'POST' && lost++ < 2 })
  const receipt = await unwrap(admin.POST('/api/topics/{name}/events', {
    params: { path: { name: 'order.paid' } }, body: { payload: { n: 1 } }
  }))
  t.match(receipt, { offset: 1 })
  t.equal(proxy.requests.length, 3)
  t.equal(new Set(proxy.requests.map(({ headers }) => headers['idempotency-key'])).size, 1)
  t.equal(new Set(proxy.requests.map(({ body }) => body)).size, 1)

  const mine = { path: { name: 'order.paid' }, header: { 'idempotency-key': 'mine' } }
  await unwrap(admin.POST('/api/topics/{name}/events', { params: mine, body: { payload: { n: 2 } } }))
  t.equal(proxy.requests.at(-1)?.headers['idempotency-key'], 'mine')
  const events = await unwrap(admin.GET('/api/topics/{name}/events', { params: { path: { name: 'order.paid' } } }))
  t.strictSame(events.map(({ payload }) => payload), [{ n: 1 }, { n: 2 }])
})

t.test('any other write is sent once, unless the server has refused it with 429', async t => {
  proxy.behave({ losesAnswer: () => true })
  await t.rejects(admin.POST('/api/topics', { body: topic('sent.once') }), { code: 'NETWORK', name: 'RealtimeError' })
  t.equal(proxy.requests.length, 1)
  t.equal(proxy.requests[0]?.headers['idempotency-key'], undefined)
  refuseFirst(1, 503, { 'retry-after': '0' })
  t.equal((await admin.POST('/api/topics', { body: topic('sent.twice') })).response.status, 503)
  t.equal(proxy.requests.length, 2)
  refuseFirst(1, 429, { 'retry-after': '0' })
  t.equal((await admin.POST('/api/topics', { body: topic('sent.twice') })).response.status, 201)
  refuseFirst(1, 429)
  t.equal((await admin.POST('/api/topics', { body: topic('sent.thrice') })).response.status, 429)
})

t.test('a server that cannot be reached is a NETWORK error', async t => {
  await t.rejects(client({ url: 'http://127.0.0.1:1', retries: 0 }).GET('/health'), {
    name: 'RealtimeError', code: 'NETWORK', message: 'GET /health failed: the server cannot be reached'
  })
})

t.test('after a 401 a fresh token is fetched once for all calls', async t => {
  const tokens = ['expired.token.x', shop.token()]
  let fetched = 0
  const admin = client({ token: async () => tokens[Math.min(fetched++, 1)] ?? '' })
  const answers = await Promise.all([1, 2, 3].map(() => admin.GET('/api/topics')))
  t.ok(answers.every(({ response }) => response.status === 200))
  t.equal(fetched, 2)

  let others = 0
  const bad = client({ token: () => { others++; return 'never.valid.x' } })
  await t.rejects(unwrap(bad.GET('/api/topics')), { code: 'CREDENTIAL_INVALID', status: 401 })
  t.equal(others, 2)
  const login = { email: 'nobody@example.com', password: 'a wrong pass phrase' }
  proxy.requests.length = 0
  await t.rejects(unwrap(bad.POST('/api/auth/login', { body: login })), { code: 'LOGIN_FAILED', status: 401 })
  t.equal(proxy.requests.length, 1, 'a wrong password is sent once')
  const broken = client({ token: () => { throw new Error('no backend') } })
  await t.rejects(broken.GET('/api/topics'), { code: 'TOKEN_UNAVAILABLE', message: /no backend/ })
  await t.rejects(unwrap(client({ token: 'never.valid.x' }).GET('/api/topics')), { code: 'CREDENTIAL_INVALID' })
})

t.test('paths, parameters, bodies and items are checked by the compiler', async () => {
  // Never called: it has to compile.
  const unused = async () => {
    // @ts-expect-error -- no such path
    await admin.GET('/api/nothing')
    // @ts-expect-error -- the name is missing
    await admin.GET('/api/topics/{name}')
    // @ts-expect-error -- not a field to sort by
    await admin.GET('/api/webhooks', { params: { query: { sort: 'nothing' } } })
    // @ts-expect-error -- not a method of this path
    await admin.PUT('/api/topics')
    // @ts-expect-error -- the url is missing
    await admin.POST('/api/webhooks', { body: { events: ['*'] } })
    // @ts-expect-error -- not a list
    paginate(admin, '/health')
    // @ts-expect-error -- the walk has the cursor
    paginate(admin, '/api/webhooks', { params: { query: { cursor: 'x' } } })
    // @ts-expect-error -- the topic is missing
    paginate(admin, '/api/schemas/{topic}/versions')
    // @ts-expect-error -- not an environment
    createAdminClient({ url, token: '', environment: 'test' })
    expectTypeOf(paginate(admin, '/api/webhooks'))
      .toEqualTypeOf<AsyncGenerator<components['schemas']['Webhook'], void, undefined>>()
    expectTypeOf(paginate(admin, '/api/services'))
      .toEqualTypeOf<AsyncGenerator<components['schemas']['Service'], void, undefined>>()
    const { data, error } = await admin.GET('/api/webhooks')
    expectTypeOf(data).toEqualTypeOf<components['schemas']['Webhook'][] | undefined>()
    if (error !== undefined) expectTypeOf(error.code).toBeString()
  }
  void unused
})

t.test('at run time the entry costs little more than openapi-fetch', async t => {
  const size = async (contents: string) => {
    const { outputFiles: [output] } = await bundle({
      stdin: { contents, resolveDir: fileURLToPath(new URL('.', import.meta.url)) }, bundle: true, minify: true,
      format: 'esm', platform: 'browser', write: false
    })
    return gzipSync(output?.contents ?? '').length
  }
  const openapiFetch = await size('export { default } from "openapi-fetch"')
  const entry = await size('export * from "@realtime-platform/client/admin"')
  t.ok(entry - openapiFetch <= 2560, `${entry} bytes, of which openapi-fetch has ${openapiFetch}`)
  t.comment(`admin: ${entry} bytes gzip, openapi-fetch: ${openapiFetch}`)
})
