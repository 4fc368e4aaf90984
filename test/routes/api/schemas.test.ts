import { monitorEventLoopDelay } from 'node:perf_hooks'
import t from 'tap'
import { build, listen } from '../../support/build.ts'
import { connectSocketIo } from '../../support/clients.ts'
import { partsOf, plansOf } from '../../support/list-plans.ts'
import { tenant, type Tenant } from '../../support/tenant.ts'

const { app } = await build(t)

const status = (type: unknown, more: object = {}) => ({
  type: 'object',
  properties: { status: { type } },
  required: ['status'],
  ...more
})

async function withTopic (): Promise<
  { shop: Tenant, topic: string, register: (body: object) => ReturnType<Tenant['request']> }
> {
  const shop = await tenant(app)
  const topic = await shop.topic('session.status')
  return { shop, topic, register: body => shop.request('POST', `/api/schemas/${topic}`, body) }
}

t.test('versions are numbered per topic and read back unchanged', async t => {
  const { shop, topic, register } = await withTopic()
  t.same((await shop.request('GET', `/api/schemas/${topic}/versions`)).body, [])
  t.match(await shop.request('GET', `/api/schemas/${topic}/latest`), {
    status: 404,
    body: { code: 'SCHEMA_NOT_FOUND' }
  })
  const first = await register({ schema: status('string') })
  t.match(first, {
    status: 201,
    body: {
      topic, version: 1, schema: status('string'), compatibilityMode: 'backward', policy: 'lenient', createdAt: Number
    }
  })
  const second = await register({ schema: status(['string', 'null']), compatibilityMode: 'none', policy: 'strict' })
  t.match(second, { status: 201, body: { version: 2, compatibilityMode: 'none', policy: 'strict' } })
  t.same((await shop.request('GET', `/api/schemas/${topic}/versions`)).body, [first.body, second.body])
  t.same((await shop.request('GET', `/api/schemas/${topic}/versions/1`)).body, first.body)
  t.same((await shop.request('GET', `/api/schemas/${topic}/latest`)).body, second.body)
  t.match(await shop.request('GET', `/api/schemas/${topic}/versions/3`), {
    status: 404,
    body: { code: 'SCHEMA_VERSION_NOT_FOUND' }
  })
  const page = await shop.request('GET', `/api/schemas/${topic}/versions?limit=1`)
  t.same(
    (await shop.request(
      'GET',
      `/api/schemas/${topic}/versions?limit=1&cursor=${String(page.headers['x-next-cursor'])}`
    )).body,
    [second.body]
  )
})

t.test('a page of large schemas ends early, and a transitive mode compares with all of them', async t => {
  const { shop, topic, register } = await withTopic()
  await register({ schema: status('string', { description: 'x'.repeat(250_000) }) })
  await app.pool.query(
    'insert into schemas select application_id, environment, topic, v, schema, compatibility_mode, policy, ' +
      'created_at from schemas, generate_series(2, 10) v where topic = $1 and application_id = $2',
    [topic, shop.applicationId]
  )
  const versions: number[][] = []
  for (let cursor = ''; cursor !== 'undefined';) {
    const page = await shop.request('GET', `/api/schemas/${topic}/versions?limit=7${cursor && `&cursor=${cursor}`}`)
    versions.push((page.body as { version: number }[]).map(({ version }) => version))
    cursor = String(page.headers['x-next-cursor'])
  }
  t.same(versions, [[1, 2, 3, 4, 5], [6, 7, 8, 9, 10]])
  const dryRun = await shop.request('POST', `/api/schemas/${topic}/compatibility`, {
    schema: status('string'),
    compatibilityMode: 'full_transitive'
  })
  t.match(dryRun, { status: 200, body: { compatible: true, comparedWith: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10] } })
  t.match(await register({ schema: status('string'), compatibilityMode: 'full_transitive' }), {
    status: 201, body: { version: 11 }
  })
})

t.test('the list of all topics has every version, or the active ones, or the others', async t => {
  const shop = await tenant(app)
  for (const topic of ['order.placed', 'order.a', 'quiet']) await shop.topic(topic)
  for (const topic of ['order.placed', 'order.a', 'order.placed']) {
    await shop.request('POST', `/api/schemas/${topic}`, { schema: status('string') })
  }
  await shop.request('POST', '/api/schemas/quiet', { schema: true, activate: false })
  const list = async (query = '') => {
    const { body } = await shop.request('GET', `/api/schemas${query}`)
    return (body as { topic: string, version: number }[]).map(({ topic, version }) => `${topic} ${version}`)
  }
  t.same(await list(), ['order.a 1', 'order.placed 1', 'order.placed 2', 'quiet 1'])
  t.same(await list('?active=true'), ['order.a 1', 'order.placed 1'])
  t.same(await list('?active=false'), ['order.placed 2', 'quiet 1'])
  t.match((await shop.request('GET', '/api/schemas?active=true')).body, [
    { topic: 'order.a', version: 1, schema: status('string'), compatibilityMode: 'backward', createdAt: Number }, {}
  ])
  const paged: string[][] = []
  for (let cursor = ''; cursor !== 'undefined';) {
    const page = await shop.request('GET', `/api/schemas?limit=3${cursor && `&cursor=${cursor}`}`)
    paged.push((page.body as { topic: string, version: number }[]).map(one => `${one.topic} ${one.version}`))
    cursor = String(page.headers['x-next-cursor'])
  }
  t.same(paged, [['order.a 1', 'order.placed 1', 'order.placed 2'], ['quiet 1']])
  await shop.request('PATCH', '/api/topics/order.placed', { activeSchemaVersion: 2 })
  t.same(await list('?active=true'), ['order.a 1', 'order.placed 2'])
  await shop.request('DELETE', '/api/topics/order.a')
  t.same(await list('?active=true'), ['order.placed 2'])
  t.same(await list(), ['order.a 1', 'order.placed 1', 'order.placed 2', 'quiet 1'])
})

t.test('a sample is valid under the active schema, or the refusal has the reason', async t => {
  const { shop, topic, register } = await withTopic()
  const sample = () => shop.request('GET', `/api/topics/${topic}/sample`)
  t.match(await sample(), { status: 404, body: { code: 'SCHEMA_NOT_ACTIVE' } })
  await register({ schema: status('string') })
  t.match(await sample(), { status: 200, body: { payload: { status: 'text' }, version: 1 } })
  const { payload } = (await sample()).body
  t.match(await shop.request('POST', `/api/topics/${topic}/events`, { payload }), {
    status: 201, body: { schemaVersion: 1 }
  })
  await register({ schema: status('string', { examples: [{ status: 'ended' }] }), activate: true })
  t.same((await sample()).body, { payload: { status: 'ended' }, version: 2 })
  await register({ schema: { not: {} }, compatibilityMode: 'none', activate: true })
  t.match(await sample(), { status: 404, body: { code: 'SAMPLE_NOT_FOUND', message: /version 3/ } })
  await register({ schema: { const: null }, compatibilityMode: 'none', activate: true })
  t.same((await sample()).body, { payload: null, version: 4 })
  t.match(await shop.request('GET', '/api/topics/other/sample'), { status: 404, body: { code: 'TOPIC_NOT_FOUND' } })
  t.match(await shop.request('GET', '/api/topics/sync.session.updated/sample'), {
    status: 404, body: { code: 'SCHEMA_NOT_ACTIVE' }
  })
  const stranger = await tenant(app)
  t.match(await stranger.request('GET', `/api/topics/${topic}/sample`), {
    status: 404, body: { code: 'TOPIC_NOT_FOUND' }
  })
  await shop.request('DELETE', `/api/topics/${topic}`)
  t.match(await sample(), { status: 404, body: { code: 'TOPIC_NOT_FOUND' } })
})

t.test('hostile schemas do not delay other requests while their documents are made', async t => {
  const shop = await tenant(app)
  const list = <T>(length: number, make: (i: number) => T): T[] => Array.from({ length }, (_, i) => make(i))
  const chain = (make: (next: object, i: number) => object) => ({
    $ref: '#/$defs/p0',
    $defs: Object.fromEntries(list(300, i => [`p${i}`, i === 299 ? {} : make({ $ref: `#/$defs/p${i + 1}` }, i)]))
  })
  const schemas = {
    wide: chain(next => ({ type: 'object', properties: { a: next, b: next }, required: ['a', 'b'] })),
    branches: chain((next, i) => ({ anyOf: [next, { allOf: [next, { required: [`a${i}`] }] }] })),
    huge: { enum: list(15_000, i => `value ${i}`) },
    nested: chain(next => ({ type: 'array', items: next, minItems: 20 })),
    named: { type: 'object', required: ['__proto__'], properties: { "*/`': any": { description: '*/ evil()' } } }
  }
  for (const [name, schema] of Object.entries(schemas)) {
    await shop.topic(name)
    t.match(await shop.request('POST', `/api/schemas/${name}`, { schema }), { status: 201 }, name)
  }
  const delay = monitorEventLoopDelay({ resolution: 5 })
  delay.enable()
  const answers = await Promise.all([
    ...Object.keys(schemas).map(name => shop.request('GET', `/api/topics/${name}/sample`)),
    shop.request('GET', '/api/schemas/types.ts'), shop.request('GET', '/api/asyncapi.json'),
    shop.request('GET', '/api/schemas?active=true')
  ])
  delay.disable()
  t.comment(`longest stretch ${(delay.max / 1e6).toFixed(0)} ms`)
  for (const { status, text } of answers) t.ok(status === 200 || text.includes('SAMPLE_NOT_FOUND'), text.slice(0, 100))
})

t.test('the list refuses bad queries, and cursors of another query', async t => {
  const shop = await tenant(app)
  for (const topic of ['a', 'b', 'c']) {
    await shop.topic(topic)
    await shop.request('POST', `/api/schemas/${topic}`, { schema: true })
  }
  const cursorOf = async (query: string) =>
    String((await shop.request('GET', `/api/schemas?limit=1${query}`)).headers['x-next-cursor'])
  const refused = [
    'active=maybe', 'limit=0', 'limit=1001', 'cursor=x', 'unknown=1', `cursor=${await cursorOf('&active=true')}`,
    `active=true&cursor=${await cursorOf('')}`, `active=false&cursor=${await cursorOf('&active=true')}`,
    `cursor=${Buffer.from('["a",1]').toString('base64url')}`
  ]
  for (const query of refused) {
    t.match(await shop.request('GET', `/api/schemas?${query}`), {
      status: 400, body: { code: 'VALIDATION_FAILED' }
    }, query)
  }
})

t.test('pages of the list end early where schemas are large', async t => {
  const shop = await tenant(app)
  await shop.topic('large')
  await shop.request('POST', '/api/schemas/large', { schema: { description: 'x'.repeat(250_000) } })
  await app.pool.query(
    'with t as (insert into topics select application_id, environment, name || v, description, owner, ' +
      'active_schema_version, created_at from topics, generate_series(1, 6) v where application_id = $1) ' +
      'insert into schemas select application_id, environment, topic || v, version, schema, compatibility_mode, ' +
      'policy, created_at from schemas, generate_series(1, 6) v where application_id = $1', [shop.applicationId]
  )
  const sizes: number[] = []
  for (let cursor = ''; cursor !== 'undefined';) {
    const page = await shop.request('GET', `/api/schemas?active=true${cursor && `&cursor=${cursor}`}`)
    sizes.push(page.body.length)
    cursor = String(page.headers['x-next-cursor'])
  }
  t.same(sizes, [5, 2])
})

t.test('the list reads only the rows of its page, however many others there are', async t => {
  const shop = await tenant(app)
  const other = await tenant(app)
  await app.pool.query(
    "insert into topics select $1, 'development', 'noise.' || v, '', '', 1, 0 from generate_series(1, 50000) v",
    [other.applicationId]
  )
  await app.pool.query(
    "insert into schemas select $1, 'development', 'noise.' || v, n, '{}', 'none', 'strict', 0 " +
      'from generate_series(1, 50000) v, generate_series(1, 2) n', [other.applicationId]
  )
  await app.pool.query(
    "insert into topics select $1, 'development', 'own.' || v, '', '', 1, 0 from generate_series(1, 3000) v",
    [shop.applicationId]
  )
  await app.pool.query(
    "insert into schemas select $1, 'development', 'own.' || v, 1, '{}', 'none', 'strict', 0 " +
      'from generate_series(1, 3000) v', [shop.applicationId]
  )
  await app.pool.query('analyze topics, schemas')
  for (const choice of ['', '&active=true', '&active=false']) {
    const first = await shop.request('GET', `/api/schemas?limit=100${choice}`)
    const cursor = first.headers['x-next-cursor']
    const next = cursor === undefined ? '' : `&cursor=${String(cursor)}`
    const plans = await plansOf(app.pool, () => shop.request('GET', `/api/schemas?limit=100${choice}${next}`))
    t.equal(plans.length, 1)
    const parts = plans.flatMap(partsOf)
    const sorted = parts.filter(part => part['Node Type'].includes('Sort')).map(part => part['Actual Rows'])
    // Every version of the scope is active, so a page of the others has to examine all of them.
    const rowsMax = choice === '&active=false' ? 3000 : 101
    t.ok(sorted.every(rows => rows !== undefined && rows <= rowsMax), `${choice}: no other rows are sorted`)
    t.ok(parts.every(part => part['Node Type'] !== 'Seq Scan'), choice)
    t.ok(parts.some(part => part['Index Name'] === 'schemas_pkey'), choice)
  }
})

t.test('the first version is activated automatically, later ones on request', async t => {
  const { shop, topic, register } = await withTopic()
  const active = async () => (await shop.request('GET', `/api/topics/${topic}`)).body.activeSchemaVersion
  t.equal(await active(), null)
  await register({ schema: status('string') })
  t.equal(await active(), 1)
  await register({ schema: status(['string', 'null']) })
  t.equal(await active(), 1)
  await register({ schema: status(['string', 'null', 'number']), activate: true })
  t.equal(await active(), 3)
  t.match(await shop.request('PATCH', `/api/topics/${topic}`, { activeSchemaVersion: 2 }), {
    status: 200,
    body: { activeSchemaVersion: 2 }
  })
  t.match(await shop.request('PATCH', `/api/topics/${topic}`, { activeSchemaVersion: 9 }), {
    status: 404,
    body: { code: 'SCHEMA_VERSION_NOT_FOUND' }
  })
  t.match(await shop.request('PATCH', `/api/topics/${topic}`, { activeSchemaVersion: null }), {
    status: 200,
    body: { activeSchemaVersion: null }
  })

  const quiet = await shop.topic('quiet.topic')
  await shop.request('POST', `/api/schemas/${quiet}`, { schema: status('string'), activate: false })
  t.equal((await shop.request('GET', `/api/topics/${quiet}`)).body.activeSchemaVersion, null)
})

t.test('events are checked against the active version, not the latest', async t => {
  const { shop, topic, register } = await withTopic()
  const publish = (body: object) => shop.request('POST', `/api/topics/${topic}/events`, body)
  t.match(await publish({ payload: { status: 1 } }), { status: 201, body: { schemaVersion: null } })
  await register({ schema: status('string') })
  await register({ schema: status(['string', 'number']) })
  t.match(await publish({ payload: { status: 'x' } }), { status: 201, body: { schemaVersion: 1 } })
  t.match(await publish({ payload: { status: 1 } }), {
    status: 400,
    body: {
      error: 'ValidationError', code: 'SCHEMA_VIOLATED',
      details: [{ path: '/payload/status', message: /string/, keyword: 'type' }]
    }
  })
  t.match(await publish({ events: [{ payload: { status: 'a' } }, { payload: {} }] }), {
    status: 400, body: { details: [{ path: '/events/1/payload' }] }
  })
  t.equal(
    (await shop.request('GET', `/api/topics/${topic}/events`)).body.length,
    2,
    'nothing of the refused was stored'
  )
  await shop.request('PATCH', `/api/topics/${topic}`, { activeSchemaVersion: 2 })
  t.match(await publish({ payload: { status: 1 } }), { status: 201, body: { schemaVersion: 2 } })
  t.match(await app.instruments.registry.metrics(), /realtime_schema_violations_total\{topic="session.status"\} 2/)
})

t.test('a schema of a document topic refuses invalid writes with the path of the error', async t => {
  const shop = await tenant(app)
  const schema = {
    type: 'object', properties: { data: { type: 'object', properties: { n: { type: 'integer', maximum: 3 } } } }
  }
  for (const change of ['created', 'updated']) {
    t.equal((await shop.request('POST', `/api/schemas/sync.counter.${change}`, { schema })).status, 201)
  }
  t.match(await shop.request('POST', '/api/schemas/sync.counter.vanished', { schema }), { status: 404 })
  t.match(await shop.request('POST', '/api/sync/counter/documents', { id: 'a', data: { n: 4 } }), {
    status: 400, body: { code: 'SCHEMA_VIOLATED', details: [{ path: '/data/n' }] }
  })
  t.equal((await shop.request('POST', '/api/sync/counter/documents', { id: 'a', data: { n: 3 } })).status, 201)
  t.match(
    await shop.request('POST', '/api/sync/counter/documents/a/mutate', {
      mutations: [{ op: 'increment', path: '/n' }]
    }),
    { status: 400, body: { code: 'SCHEMA_VIOLATED' } }
  )
  t.match(await shop.request('PATCH', '/api/topics/sync.counter.updated', { activeSchemaVersion: null }), {
    status: 200
  })
  t.equal(
    (await shop.request('POST', '/api/sync/counter/documents/a/mutate', {
      mutations: [{ op: 'increment', path: '/n' }]
    })).status,
    200
  )
  t.equal((await shop.request('DELETE', '/api/sync/counter/documents/a')).status, 200)
})

t.test('an incompatible schema is refused with every incompatible change and its witness', async t => {
  const { shop, topic, register } = await withTopic()
  await register({
    schema: {
      type: 'object', properties: { status: { type: ['string', 'null'] }, n: { type: 'integer', maximum: 10 } }
    }
  })
  const next = { type: 'object', properties: { status: { type: 'string' }, n: { type: 'integer', maximum: 5 } } }
  const refused = await register({ schema: next })
  t.match(refused, {
    status: 409,
    body: {
      error: 'IncompatibleSchemaError', code: 'SCHEMA_INCOMPATIBLE', message: /backward.*version 1 of session\.status/
    }
  })
  t.ok(refused.body.details.length >= 2, 'both changes are listed')
  for (const change of refused.body.details) {
    t.match(change, {
      path: /^\/properties\/(status|n)/, rule: String, message: String, direction: 'backward', comparedWith: 1,
      compatible: false
    })
  }
  t.ok(refused.body.details.every((change: object) => 'witness' in change))
  const dryRun = await shop.request('POST', `/api/schemas/${topic}/compatibility`, { schema: next })
  t.match(dryRun, {
    status: 200,
    body: {
      compatible: false, compatibilityMode: 'backward', policy: 'lenient', comparedWith: [1],
      changes: refused.body.details
    }
  })
  t.match(
    await shop.request('POST', `/api/schemas/${topic}/compatibility`, { schema: next, compatibilityMode: 'forward' }),
    { status: 200, body: { compatible: true } }
  )
  t.match(
    await shop.request('POST', `/api/schemas/${topic}/compatibility`, { schema: next, compatibilityMode: 'none' }),
    { status: 200, body: { compatible: true, comparedWith: [] } }
  )
  t.match(await register({ schema: next, compatibilityMode: 'forward' }), { status: 201, body: { version: 2 } })
  t.match(
    await register({
      schema: { type: 'object', properties: { status: { type: 'string' } } }, compatibilityMode: 'backward_transitive'
    }),
    { status: 409, body: { details: [{ comparedWith: 1 }] } }
  )
})

t.test('a schema that cannot be used is 400 with the reason', async t => {
  const { register } = await withTopic()
  const cases: [unknown, RegExp][] = [
    [{ type: 'strin' }, /type/],
    [{ $ref: 'https://example.com/other.json' }, /outside/],
    [{ $ref: '#/$defs/none' }, /none/],
    [{ pattern: '(' }, /pattern/],
    [{ $schema: 'https://example.com/my-own' }, /my-own|\$schema/],
    [{ minimum: '3' }, /minimum/]
  ]
  for (const [schema, reason] of cases) {
    t.match(await register({ schema }), {
      status: 400, body: { error: 'ValidationError', code: 'SCHEMA_INVALID', message: reason }
    }, JSON.stringify(schema))
  }
  t.match(await register({ schema: 'string' }), { status: 400, body: { code: 'VALIDATION_FAILED' } })
  t.match(await register({}), { status: 400, body: { details: [{ path: '/schema' }] } })
  t.match(await register({ schema: {}, compatibilityMode: 'sideways' }), {
    status: 400, body: { details: [{ path: '/compatibilityMode' }] }
  })
  t.match(await register({ schema: { description: 'x'.repeat(300_000) } }), {
    status: 400, body: { message: /\/schema/ }
  })
  t.match(await register({ schema: true }), { status: 201 })
})

t.test('validate returns every error, for the latest or a given version', async t => {
  const { shop, topic, register } = await withTopic()
  const validate = (body: object) => shop.request('POST', `/api/schemas/${topic}/validate`, body)
  t.match(await validate({ payload: 1 }), { status: 404, body: { code: 'SCHEMA_NOT_FOUND' } })
  await register({
    schema: status('string', { properties: { status: { type: 'string', minLength: 2 }, n: { type: 'number' } } })
  })
  await register({ schema: status(['string', 'null']), compatibilityMode: 'none' })
  t.same((await validate({ payload: { status: null } })).body, { valid: true, version: 2, errors: [] })
  t.match(await validate({ payload: { status: 'x', n: 'y' }, version: 1 }), {
    status: 200,
    body: {
      valid: false, version: 1,
      errors: [{ path: '/status', keyword: 'minLength' }, { path: '/n', keyword: 'type', message: /number/ }]
    }
  })
  t.match(await validate({ payload: {}, version: 7 }), { status: 404 })
  t.match(await validate({}), { status: 400, body: { details: [{ path: '/payload' }] } })
})

t.test('concurrent registrations get consecutive versions, each compared with its actual predecessor', async t => {
  const { shop, topic, register } = await withTopic()
  await register({ schema: { type: 'object', properties: { n: { type: 'integer', maximum: 0 } } } })
  // Each registration raises the limit. Only a higher limit is backward compatible, so one of two may be refused.
  const answers = await Promise.all(
    Array.from({ length: 8 }, (_, i) =>
      register({ schema: { type: 'object', properties: { n: { type: 'integer', maximum: i + 1 } } } }))
  )
  const stored = (await shop.request('GET', `/api/schemas/${topic}/versions`)).body as {
    version: number
    schema: { properties: { n: { maximum: number } } }
  }[]
  t.same(stored.map(({ version }) => version), stored.map((_, i) => i + 1))
  const bounds = stored.map(({ schema }) => schema.properties.n.maximum)
  t.same(bounds, [...bounds].sort((a, b) => a - b), 'every version accepts what its predecessor accepts')
  t.equal(answers.filter(({ status }) => status === 201).length, stored.length - 1)
  t.ok(answers.every(({ status }) => status === 201 || status === 409))
})

t.test('another tenant and another environment have no access', async t => {
  const { topic, register, shop } = await withTopic()
  await register({ schema: status('string') })
  const stranger = await tenant(app)
  for (const path of [`/${topic}/versions`, `/${topic}/versions/1`, `/${topic}/latest`]) {
    t.equal((await stranger.request('GET', `/api/schemas${path}`)).status, 404, path)
    t.equal(
      (await shop.request('GET', `/api/schemas${path}`, undefined, { 'x-environment': 'staging' })).status,
      404,
      `${path} of staging`
    )
  }
  t.equal((await stranger.request('POST', `/api/schemas/${topic}/validate`, { payload: 1 })).status, 404)
  t.equal((await stranger.request('POST', `/api/schemas/${topic}`, { schema: {} })).status, 404)
  const reader = { authorization: `Bearer ${shop.token(['schemas:read'])}` }
  t.equal((await shop.request('POST', `/api/schemas/${topic}`, { schema: {} }, reader)).status, 403)
  t.equal((await shop.request('GET', `/api/schemas/${topic}/latest`, undefined, reader)).status, 200)
})

t.test('a hostile schema or payload does not delay other requests', async t => {
  const { shop, topic, register } = await withTopic()
  await listen(app)
  const address = app.server.address() as { port: number }
  const client = await connectSocketIo(`http://127.0.0.1:${address.port}`, { token: shop.token() })
  await client.request('subscribe', { topic })
  await register({ schema: { type: 'object', properties: { s: { type: 'string', pattern: '^(a+)+$' } } } })
  t.match(await shop.request('POST', `/api/topics/${topic}/events`, { payload: { s: `${'a'.repeat(50_000)}!` } }), {
    status: 400,
    body: { code: 'SCHEMA_VIOLATED' }
  })
  await shop.publish(topic, { s: 'aaa' })
  t.match(await client.received(1), [{ schemaVersion: 1, payload: { s: 'aaa' } }])
  client.close()
})
