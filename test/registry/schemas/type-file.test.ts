import http from 'node:http'
import t from 'tap'
import { topicsMax } from '../../../src/registry/schemas/active-schemas.ts'
import { build, listen } from '../../support/build.ts'
import { tenant, type Tenant } from '../../support/tenant.ts'
import { diagnosticsOf } from '../json-schema/typescript/assignable.ts'

t.setTimeout(300_000)

const { app } = await build(t)
const url = await listen(app)

async function withSchemas (schemas: Record<string, unknown>): Promise<Tenant> {
  const shop = await tenant(app)
  for (const [topic, schema] of Object.entries(schemas)) {
    await shop.topic(topic)
    if (schema === null) continue
    const { status, text } = await shop.request('POST', `/api/schemas/${topic}`, { schema })
    if (status !== 201) throw new Error(text)
  }
  return shop
}
const types = (shop: Tenant, headers?: Record<string, string>) =>
  shop.request('GET', '/api/schemas/types.ts', undefined, headers)

/** Adds topics with the schema of the given one. */
async function copy (shop: Tenant, topic: string, from: number, to: number): Promise<void> {
  await app.pool.query(
    'with t as (insert into topics select application_id, environment, name || v, description, owner, ' +
      'active_schema_version, created_at from topics, generate_series($3::int, $4::int) v where application_id = $1 ' +
      'and name = $2) insert into schemas select application_id, environment, topic || v, version, schema, ' +
      'compatibility_mode, policy, created_at from schemas, generate_series($3::int, $4::int) v where ' +
      'application_id = $1 and topic = $2', [shop.applicationId, topic, from, to]
  )
}

const order = {
  description: 'An order.', type: 'object', required: ['total'],
  properties: { total: { type: 'number' }, to: { $ref: '#/$defs/address' }, from: { $ref: '#/$defs/address' } },
  $defs: { address: { type: 'object', properties: { street: { type: 'string' } }, additionalProperties: false } }
}

t.test('the file has the type of every topic, sorted by name', async t => {
  const shop = await withSchemas({ 'session.status': null, 'order.placed': order, 'order.a': { type: 'string' } })
  const { status, text, headers } = await types(shop)
  t.equal(status, 200)
  t.equal(headers['content-type'], 'text/plain; charset=utf-8')
  t.equal(text, `/*
 * The payloads of all topics of the application ${shop.applicationId} in development, by topic.
 * Generated from the active schemas by GET /api/schemas/types.ts. Do not edit.
 */

export interface TopicMap {
  'order.a': string
  /** An order. */
  'order.placed': {
    total: number
    to?: OrderPlaced_Address
    from?: OrderPlaced_Address
  }
  /** No schema is active. */
  'session.status': unknown
}

type OrderPlaced_Address = {
  street?: string
}
`)
  t.same(diagnosticsOf(text), [])
  t.same(await types(shop).then(again => again.text), text, 'the same topics have the same file')
})

t.test('an environment without topics has an empty file that compiles', async t => {
  const { text } = await types(await tenant(app))
  t.match(text, 'export interface TopicMap {}')
  t.same(diagnosticsOf(text), [])
})

t.test('the entity tag changes with the topics and their active versions only', async t => {
  const shop = await withSchemas({ 'order.placed': order })
  const etag = String((await types(shop)).headers['etag'])
  const unchanged = await types(shop, { 'if-none-match': etag })
  t.match([unchanged.status, unchanged.text], [304, ''])
  await shop.request('POST', '/api/schemas/order.placed', { schema: order, compatibilityMode: 'none', activate: false })
  t.equal((await types(shop, { 'if-none-match': etag })).status, 304)
  await shop.request('PATCH', '/api/topics/order.placed', { activeSchemaVersion: null })
  const changed = await types(shop, { 'if-none-match': etag })
  t.match(changed.text, "'order.placed': unknown")
  await shop.topic('order.paid')
  t.equal((await types(shop, { 'if-none-match': String(changed.headers['etag']) })).status, 200)
  const other = await withSchemas({ 'order.placed': order })
  t.not((await types(other)).headers['etag'], etag, 'another application')
})

t.test('a topic may have the name of the file, and of the paths beside it', async t => {
  const shop = await withSchemas({ 'types.ts': order, 'asyncapi.json': order, latest: order })
  for (const topic of ['types.ts', 'asyncapi.json', 'latest']) {
    t.match(await shop.request('GET', `/api/schemas/${topic}/latest`), { status: 200, body: { topic, version: 1 } })
    t.match(await shop.request('GET', `/api/schemas/${topic}/versions`), { status: 200, body: [{ topic }] })
    t.match(await shop.request('POST', `/api/schemas/${topic}/validate`, { payload: { total: 1 } }), { status: 200 })
  }
  t.match((await types(shop)).text, "'types.ts': {")
})

t.test('a file of many pages is sent whole to many clients at once, and HEAD sends no body', async t => {
  const shop = await withSchemas({ 'order.p': { type: 'string', description: 'x'.repeat(900) } })
  await copy(shop, 'order.p', 1, 999)
  const files = await Promise.all(Array.from({ length: 15 }, async () => (await types(shop)).text))
  t.equal(new Set(files).size, 1)
  const [file = ''] = files
  t.equal(file.match(/^ {2}'order\.p\d*': string$/gm)?.length, 1_000)
  t.ok((file.match(/interface TopicMap/g) ?? []).length > 3, 'the interface is declared once for each page')
  t.same(diagnosticsOf(file), [])
  const head = await app.inject({
    method: 'HEAD', url: '/api/schemas/types.ts', headers: { authorization: `Bearer ${shop.token()}` }
  })
  t.match([head.statusCode, head.body, head.headers['etag']], [200, '', (await types(shop)).headers['etag']])
})

t.test('a client that leaves in the middle ends the work', async t => {
  const shop = await withSchemas({ 'order.p': { type: 'string', description: 'x'.repeat(100_000) } })
  await copy(shop, 'order.p', 1, 40)
  await new Promise<void>((resolve, reject) => {
    http.get(`${url}/api/schemas/types.ts`, { headers: { authorization: `Bearer ${shop.token()}` } }, response => {
      response.once('data', () => { response.destroy(); resolve() })
    }).on('error', reject)
  })
  t.equal((await types(shop)).status, 200, 'the server goes on')
})

t.test(`more than ${topicsMax} topics are refused, and the bulk list has them all`, async t => {
  const shop = await withSchemas({ 'order.p': true })
  await copy(shop, 'order.p', 1, topicsMax)
  t.match(await types(shop), { status: 409, body: { code: 'TOO_MANY_TOPICS', message: /active=true/ } })
  let count = 0
  for (let cursor = ''; cursor !== 'undefined';) {
    const page = await shop.request('GET', `/api/schemas?active=true&limit=1000${cursor && `&cursor=${cursor}`}`)
    count += page.body.length
    cursor = String(page.headers['x-next-cursor'])
  }
  t.equal(count, topicsMax + 1)
})

t.test('a schema that a thread cannot print leaves its topic without a type', async t => {
  const shop = await withSchemas({ 'order.placed': order })
  await app.pool.query("update schemas set schema = '{\"type\":\"text\"}' where application_id = $1", [
    shop.applicationId
  ])
  const { status, text } = await types(shop)
  t.equal(status, 200)
  t.match(text, "  /** The schema cannot be read. */\n  'order.placed': unknown")
})
