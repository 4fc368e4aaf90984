import { Parser } from '@asyncapi/parser'
import t from 'tap'
import { topicsMax } from '../../../src/registry/schemas/active-schemas.ts'
import { build } from '../../support/build.ts'
import { tenant, type Tenant } from '../../support/tenant.ts'

/* The AsyncAPI document of a scope, read by the parser of AsyncAPI itself. */

t.setTimeout(600_000)

const { app } = await build(t)

interface AsyncApi {
  asyncapi: string
  info: { title: string }
  channels: Record<string, { address: string, servers: unknown[], messages: Record<string, { payload: unknown }> }>
  operations: Record<string, { action: string }>
  components: { schemas: Record<string, unknown>, securitySchemes: object }
}

async function withSchemas (schemas: Record<string, unknown>): Promise<Tenant> {
  const shop = await tenant(app)
  for (const [topic, schema] of Object.entries(schemas)) {
    await shop.topic(topic)
    if (schema !== null) await shop.request('POST', `/api/schemas/${topic}`, { schema })
  }
  return shop
}

async function read (shop: Tenant): Promise<AsyncApi> {
  const { status, text } = await shop.request('GET', '/api/asyncapi.json')
  if (status !== 200) throw new Error(text)
  return JSON.parse(text) as AsyncApi
}

/** Returns the problems that the parser reports, apart from hints. */
async function problems (document: AsyncApi): Promise<string[]> {
  const { document: parsed, diagnostics } = await new Parser().parse(JSON.stringify(document))
  const found = diagnostics.filter(({ severity }) => severity < 2)
    .map(({ message, path }) => `${path.join('/')} ${message}`)
  return parsed === undefined ? [...found, 'not parsed'] : found
}

const order = {
  type: 'object', description: 'An order.', required: ['total'],
  properties: {
    total: { type: 'number' }, to: { $ref: '#/$defs/address' }, from: { $ref: 'https://example.com/address' }
  },
  $defs: { address: { $id: 'https://example.com/address', type: 'object', properties: { street: { type: 'string' } } } }
}

t.test('the document has a channel for each topic, with the active schema in its message', async t => {
  const shop = await withSchemas({ 'order.placed': order, 'session.status': null })
  const document = await read(shop)
  t.same(await problems(document), [])
  t.match(document, {
    asyncapi: '3.0.0',
    info: { title: `Realtime Platform: ${shop.applicationId}, development` },
    channels: {
      socketIo: { address: '/' }, webSocket: { address: '/ws' },
      'order.placed': {
        address: 'order.placed', servers: [{ $ref: '#/servers/socketIo' }, { $ref: '#/servers/webSocket' }]
      }
    },
    operations: {
      'order.placed.event': { action: 'send' }, 'order.placed.append': { action: 'receive' },
      'socketIo.subscribeRequest': { action: 'receive' }
    }
  })
  t.match(document.channels['order.placed']?.messages['append']?.payload, {
    allOf: [{ $ref: '#/components/schemas/AppendRequest' }],
    properties: { payload: { $ref: '#/components/schemas/order.placed' } }
  })
  t.same(document.channels['order.placed']?.messages['event']?.payload, {
    allOf: [{ $ref: '#/components/schemas/SocketEvent' }], type: 'object',
    properties: { topic: { const: 'order.placed' }, payload: { $ref: '#/components/schemas/order.placed' } }
  })
  t.match(document.components.schemas['order.placed'], {
    description: 'An order.', properties: { to: { $ref: '#/components/schemas/order.placed/definitions/address.0' } }
  })
  t.same(document.channels['session.status']?.messages['event']?.payload, {
    allOf: [{ $ref: '#/components/schemas/SocketEvent' }], type: 'object',
    properties: { topic: { const: 'session.status' } }
  })
})

t.test('the parser of AsyncAPI accepts schemas of every draft and shape', async t => {
  const draft = (name: string) => ({ $schema: `http://json-schema.org/${name}/schema#` })
  const schemas: Record<string, unknown> = {
    'draft.4': {
      ...draft('draft-04'), id: 'http://example.com/x', type: 'integer', minimum: 1, exclusiveMinimum: true
    },
    'draft.6': { ...draft('draft-06'), type: 'array', items: [{ const: 1 }], additionalItems: false },
    'draft.7': {
      ...draft('draft-07'), definitions: { a: { $id: '#a', type: 'string' } }, properties: { x: { $ref: '#a' } }
    },
    'always.valid': true,
    'never.valid': false,
    tuple: { type: 'array', prefixItems: [{ type: 'string' }, true], items: false },
    tree: { type: 'object', properties: { children: { type: 'array', items: { $ref: '#' } } } },
    'two.trees': {
      $ref: '#/$defs/a',
      $defs: { a: { type: 'object', properties: { b: { $ref: '#/$defs/b' } } }, b: { anyOf: [{ $ref: '#/$defs/a' }] } }
    },
    dynamic: { $dynamicAnchor: 'node', type: 'object', properties: { next: { $dynamicRef: '#node' } } },
    names: {
      properties: { $ref: { type: 'string' }, 'a/b~c': { type: 'null' }, 'x%y': {}, constructor: {}, '': {} },
      dependentRequired: { $ref: ['a'] }, required: ['$ref']
    },
    references: { enum: [{ $ref: 'http://127.0.0.1:1/' }, 1, 1], properties: { a: { const: { $ref: '#/nowhere' } } } },
    closed: { type: 'object', properties: { a: {} }, anyOf: [{ properties: { b: {} } }], unevaluatedProperties: false },
    'types.ts': {
      type: ['string', 'null'], description: '*/ `x` <script>', pattern: '^[a-z]\\p{L}$', format: 'made-up'
    }
  }
  const document = await read(await withSchemas(schemas))
  t.same(await problems(document), [])
  t.same(Object.keys(schemas).filter(name => !Object.hasOwn(document.components.schemas, name)), [])
})

t.test('every reference leads to a part of the document', async t => {
  const document = await read(await withSchemas({ 'order.placed': order, tree: { items: { $ref: '#' } } }))
  const lost: string[] = []
  const follow = (part: unknown): void => {
    if (typeof part !== 'object' || part === null) return
    if ('$ref' in part && typeof part.$ref === 'string') {
      const target = part.$ref.slice(2).split('/')
        .reduce<unknown>((value, name) => (value as Record<string, unknown> | undefined)?.[name], document)
      if (target === undefined) lost.push(part.$ref)
    }
    for (const [key, value] of Object.entries(part)) if (key !== 'examples') follow(value)
  }
  follow(document)
  t.same(lost, [])
})

t.test('only the platform publishes to its own topics', async t => {
  const shop = await tenant(app)
  await shop.request('POST', '/api/schemas/sync.cart.updated', { schema: { type: 'object' } })
  const document = await read(shop)
  t.same(Object.keys(document.operations).filter(name => name.startsWith('sync.')), ['sync.cart.updated.event'])
  t.same(await problems(document), [])
})

t.test('an environment without topics has the document of the protocol alone', async t => {
  const document = await read(await tenant(app))
  t.same(Object.keys(document.channels), ['socketIo', 'webSocket'])
  t.same(await problems(document), [])
})

t.test('a tag tells whether the document has changed, and too many topics are refused', async t => {
  const shop = await withSchemas({ 'order.placed': order })
  const get = (headers?: Record<string, string>) => shop.request('GET', '/api/asyncapi.json', undefined, headers)
  const { headers: { etag } } = await get()
  t.match(await get({ 'if-none-match': String(etag) }), { status: 304, text: '' })
  await shop.request('PATCH', '/api/topics/order.placed', { description: 'Changed' })
  t.match(await get({ 'if-none-match': String(etag) }), { status: 200 })
  await app.pool.query(
    "insert into topics select application_id, environment, 'order.p' || v, '', '', null, 0 from topics, " +
      'generate_series(1, $2::int) v where application_id = $1', [shop.applicationId, topicsMax]
  )
  t.match(await get(), { status: 409, body: { code: 'TOO_MANY_TOPICS' } })
})
