import t from 'tap'
import { createApiKey } from '../../support/api-keys.ts'
import { build, listen } from '../../support/build.ts'
import { connectWs, transports } from '../../support/clients.ts'
import { dereferenced, type Schema } from '../../support/dereferenced.ts'
import { inject } from '../../support/inject.ts'
import { person } from '../../support/people.ts'
import { tenant } from '../../support/tenant.ts'
import { eventually } from '../../support/waiting.ts'

/*
 * Proves tenant isolation on every route of the OpenAPI document: a resource of one tenant does not exist for another,
 * with any credential and any request. New routes are covered automatically. To cover a new kind of resource, create
 * one below and pass its ids to the path parameters of its section.
 */

t.setTimeout(600_000)

interface Operation {
  parameters?: { in: string, name: string, example?: unknown, schema: Schema }[]
  requestBody?: { content: Record<string, { schema: Schema }> }
  security?: unknown[]
}

/** The name of the first tenant's resources, which requests for them contain. */
const named = 'n4m3d'
/** A text in all of their payloads, keys and descriptions. Only their owner may ever read it. */
const marker = 'm4rk3r'

const { app } = await build(t)
const document = dereferenced<
  { paths: Record<string, Record<string, Operation>>, components: { schemas: Record<string, Schema> } }
>(app.swagger())
const resolve = (schema: Schema): Schema =>
  schema.$ref === undefined ? schema : document.components.schemas[schema.$ref.split('/').at(-1) as string] as Schema

const victim = await tenant(app)
const stranger = await tenant(app)
await app.db.updateTable('applications').set({ name: marker, description: marker }).where(
  'id', '=', victim.applicationId
).execute()

async function planted (method: 'POST' | 'PATCH' | 'PUT', url: string, body: unknown): Promise<Record<string, string>> {
  const { status, text, body: answer } = await victim.request(method, url, body)
  if (status >= 300) throw new Error(`${url}: ${text}`)
  return answer
}
const topic = `${named}.events`
await planted('POST', '/api/topics', { name: topic, description: marker, owner: marker })
await planted('POST', `/api/schemas/${topic}`, {
  schema: { type: 'object', description: marker, properties: { [marker]: { type: 'string' } } }
})
const event = await planted('POST', `/api/topics/${topic}/events`, { payload: { [marker]: marker }, key: marker })
const service = await planted('POST', '/api/services', { name: named, description: marker })
const webhook = await planted('POST', '/api/webhooks', {
  url: `https://${marker}.example.test/`,
  events: ['topic.event'],
  description: marker
})
// It has no endpoint, so its delivery stays pending.
await planted('POST', `/api/topics/${topic}/events`, { payload: { [marker]: marker }, key: marker })
const [delivery] = (await victim.request('GET', '/api/webhooks/deliveries')).body as { id: string }[]
await planted('POST', `/api/sync/${named}/documents`, { id: named, data: { [marker]: marker } })

// A database without a server, and a mapping that is enabled before it is connected.
const mapping = await planted('POST', '/api/database/mappings', {
  table: marker, topic, events: ['insert'], payload: { [marker]: marker }
})
const databaseSubscription = await planted('POST', '/api/database/subscriptions', { mappingId: mapping['id'] })
await planted('POST', `/api/database/mappings/${mapping['id'] as string}/versions`, { environment: 'development' })
await planted('PUT', '/api/database/connection', {
  connectionString: `postgres://${marker}:${marker}@127.0.0.1:1/${marker}`
})
await app.db.insertInto('database_logs').values({
  id: 'log_victim',
  application_id: victim.applicationId,
  environment: 'development',
  mapping_id: mapping['id'] as string,
  subscription_id: marker,
  status: 'failed',
  topic,
  table_name: marker,
  events: 1,
  code: 'COLUMN_MISSING',
  message: marker,
  lsn: '0/1',
  xid: 1,
  committed_at: 1,
  created_at: Date.now()
}).execute()
await app.db.insertInto('alerts').values({
  id: 'alr_victim',
  application_id: victim.applicationId,
  environment: 'development',
  rule: 'dead_deliveries',
  target: marker,
  status: 'firing',
  severity: 'warning',
  summary: marker,
  value: 1,
  threshold: 1,
  facts: '{}',
  pending_since: 1,
  seen_at: 1,
  started_at: 1
}).execute()
const replay = await planted('POST', '/api/debugger/replay', { topic, fromOffset: 1, target: 'subscribers' })
const deployment = await planted('POST', '/api/deployments', {
  title: marker, description: marker, source: 'development', items: [{ kind: 'topic', name: topic }]
})
await planted('POST', `/api/deployments/${deployment['id'] as string}/comments`, { text: marker })
await app.tracing.recorder.flush()

// Users of the victim, and their pending invites.
const owner = await person(app, ['admin', victim.applicationId])
await app.db.updateTable('users').set({ name: marker }).where('id', '=', owner.id).execute()
const invite = await planted('POST', '/api/invites', {
  email: `${marker}@example.com`,
  roleId: 'role_viewer',
  applicationId: victim.applicationId
})
const apiKey = await createApiKey(owner, victim.applicationId, { name: marker, permissions: ['topics:read'] })
const [session] = (await owner.get('/api/auth/sessions')).body as { id: string }[]

// A client of the victim is in a channel, and views a document.
const listening = listen(app)
const member = await connectWs(await listening, { token: victim.token() })
for (const channel of [named, `doc:${named}:${named}`]) {
  const joined = await member.request('join', { channel, state: { [marker]: marker } })
  if (!joined.ok) throw new Error(joined.message)
}
t.teardown(() => { member.close() })

/** The ids of the victim that a path parameter could contain, by the section of the route. */
const mine: Record<string, Record<string, string>> = {
  '/api/applications': { id: victim.applicationId },
  '/api/users': { id: owner.id, roleId: 'role_admin' },
  '/api/invites': { id: invite['id'] as string },
  '/api/auth': { id: session?.id as string },
  '/api/api-keys': { id: apiKey.id },
  '/api/auth/api-keys': { id: apiKey.id },
  '/api/deployments': { id: deployment['id'] as string },
  '/api/alerts': { id: 'alr_victim' },
  '/api/topics': { name: topic },
  '/api/schemas': { topic, version: '1' },
  '/api/services': { id: service['id'] as string },
  '/api/sync': { service: named, id: named },
  '/api/socket': { channel: named },
  '/api/database': { id: mapping['id'] as string, subscriptionId: databaseSubscription['id'] as string, topic },
  '/api/webhooks': { id: webhook['id'] as string },
  '/api/webhooks/deliveries': { id: delivery?.id ?? '' },
  '/api/debugger': { eventId: event['id'] as string, id: replay['id'] as string }
}

function exampleOf (given: Schema): unknown {
  const schema = resolve(given)
  const own = schema.examples?.[0] ?? schema.const ?? schema.default ?? schema.enum?.[0]
  if (own !== undefined) return own
  if (schema.anyOf !== undefined) return exampleOf(schema.anyOf[0] as Schema)
  if (schema.type === 'array') return [exampleOf(schema.items ?? {})]
  return Object.fromEntries((schema.required ?? []).map(name => [name, exampleOf(schema.properties?.[name] ?? {})]))
}

/** The ids of the victim that a field of a body or query could contain, at any depth. */
const inBodies: Record<string, unknown> = {
  applicationId: victim.applicationId,
  mappingId: mapping['id'],
  subscriptionId: databaseSubscription['id'],
  webhookId: webhook['id'],
  deliveryId: delivery?.id,
  eventId: event['id'],
  eventIds: [event['id']]
}
const inQueries: Record<string, unknown> = { ...inBodies, actor: owner.id, resourceId: topic, email: owner.email }

/**
 * Returns an example body in which every such field, including optional ones, contains an id of the victim; undefined
 * if there is no such field.
 */
function namingVictim (given: Schema): unknown {
  const { properties = {}, items, anyOf, type, ...schema } = resolve(given)
  if (anyOf !== undefined) return anyOf.map(namingVictim).find(found => found !== undefined)
  if (type === 'array') {
    const item = items && namingVictim(items)
    return item && [item]
  }
  const fields = Object.entries(properties).flatMap(([name, part]) => {
    const value = inBodies[name] ?? namingVictim(part)
    return value === undefined ? [] : [[name, value]]
  })
  if (fields.length === 0) return undefined
  // The body contains either an id or the whole object.
  const rest = Object.entries(exampleOf({ ...schema, properties }) as object).filter(([name]) =>
    inBodies[`${name}Id`] === undefined
  )
  return { ...Object.fromEntries(rest) as object, ...Object.fromEntries(fields) as object }
}

/** Bodies whose fields exclude each other. */
const bodiesNamingVictim: Record<string, unknown> = {
  'POST /api/debugger/explain': { eventId: event['id'], webhookId: webhook['id'] },
  'POST /api/debugger/replay': { eventIds: [event['id']], target: 'webhooks', webhookId: webhook['id'] }
}

/** The other parameters that a query requires. */
const requiredWith: Record<string, string> = { '/api/metrics/series': 'metric=deliveries&' }

const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => {
    const section = Object.keys(mine).filter(prefix => path.startsWith(prefix)).sort().at(-1) ??
      path.split('/').slice(0, 3).join('/')
    const parameters = (operation.parameters ?? []).filter(parameter => parameter.in === 'path')
    const own = parameters.filter(parameter => mine[section]?.[parameter.name] !== undefined)
    const body = operation.requestBody?.content['application/json']?.schema
    // Puts the victim's id wherever a body names an application.
    const naming = body && (bodiesNamingVictim[`${method.toUpperCase()} ${path}`] ?? namingVictim(body))
    const payload = body === undefined
      ? undefined
      : JSON.stringify(exampleOf(body)).replaceAll(/app_abc123/g, victim.applicationId).replaceAll('chat:room1', named)
    return {
      name: `${method.toUpperCase()} ${path}`,
      method: method.toUpperCase() as 'GET',
      url: path.replaceAll(
        /\{(\w+)\}/g,
        (_, name: string) =>
          encodeURIComponent(
            mine[section]?.[name] ?? String(parameters.find(parameter => parameter.name === name)?.example ?? named)
          )
      ),
      payload,
      payloadNamingVictim: naming === undefined ? undefined : JSON.stringify(naming),
      queriesNamingVictim: (operation.parameters ?? []).filter(parameter =>
        parameter.in === 'query' && inQueries[parameter.name] !== undefined
      )
        .map(({ name }) => `${requiredWith[path] ?? ''}${name}=${encodeURIComponent(String(inQueries[name]))}`),
      namesVictim: own.length > 0 || payload?.includes(victim.applicationId) === true,
      hasOwnParameter: own.length > 0,
      /** Services and channels of any name exist for every tenant, because use creates them. */
      isNamespace: own.length > 0 &&
        own.every(parameter =>
          ['service', 'channel'].includes(parameter.name) || path.startsWith('/api/database/mappings/topic')
        ),
      isPublic: operation.security?.length === 0,
      // Routes that cover everything the caller has access to accept a scope, but do not require one.
      isScoped: !path.startsWith('/api/metrics') &&
        operation.parameters?.some(parameter => parameter.name === 'x-application-id') === true
    }
  })
)

type Asked = (typeof operations)[number]

async function ask ({ method, url, payload }: Asked, headers: Record<string, string>) {
  const { statusCode: status, body, headers: answered } = await inject(app, {
    method,
    url,
    headers: { ...headers, ...(payload !== undefined && { 'content-type': 'application/json' }) },
    ...(payload !== undefined && { payload })
  })
  return { status, body, text: `${body} ${JSON.stringify(answered)}` }
}

/** A refusal may repeat the values of the request. Any other value of the victim is a leak. */
function leak ({ url, payload = '', name }: Asked, text: string, said = ''): string | undefined {
  const asked = `${decodeURIComponent(url)} ${payload} ${said} ${tellsOfOwnRefusals.has(name) ? topic : ''}`
  return [
    marker,
    victim.applicationId,
    topic,
    mapping['id'] as string,
    databaseSubscription['id'] as string,
    service['id'] as string,
    event['id'] as string,
    webhook['id'] as string,
    delivery?.id ?? '',
    owner.id,
    owner.email,
    invite['id'] as string,
    apiKey.id,
    apiKey.prefix,
    deployment['id'] as string
  ].find(secret => text.includes(secret) && !asked.includes(secret))
}

/** An earlier request has created a resource with the requested name. */
const tellsOfOwnRefusals = new Set(['GET /api/debugger/traces', 'GET /api/debugger/stream'])

/** Webhooks belong to the application, and so do previews of them. */
const tellsOfWebhooks = new Set(['POST /api/debugger/route'])

/** Public routes return the same response to everyone, without data of tenants. */
const toldToAll = new Set(['GET /api/metrics/prometheus'])

/**
 * Returns whether the response to a request for another tenant's resource hides that it exists. Routes that require a
 * session refuse a token before they read the id.
 */
const isNothing = ({ isNamespace }: Asked, { status, body }: { status: number, body: string }) =>
  status === 404 || status === 400 || (status === 403 && body.includes('"SESSION_REQUIRED"')) ||
  (isNamespace && status < 300 && !body.includes(victim.applicationId))

/** An administrator of the other application. */
const strangers = [
  { who: 'a token', headers: { authorization: `Bearer ${stranger.token()}` } },
  ...await Promise.all(['admin', 'super_admin'].map(async role => ({
    who: `a session of ${role}`,
    headers: {
      authorization: (await person(app, [role, stranger.applicationId])).token,
      'x-application-id': stranger.applicationId
    }
  }))),
  {
    who: 'an API key', headers: {
      authorization: `Bearer ${
        (await createApiKey(await person(app, 'super_admin'), stranger.applicationId, { permissions: ['admin'] })).key
      }`
    }
  }
]

/** Returns the text with the victim's ids replaced by ids that do not exist. */
const withMissingIds = (text: string) => ids.reduce((text, id) => text.replaceAll(id, `${id.slice(0, -4)}0000`), text)
const ids = [
  topic, victim.applicationId, service['id'], mapping['id'], databaseSubscription['id'], webhook['id'], delivery?.id,
  event['id'], owner.id, invite['id'], session?.id, apiKey.id
].filter(id => id !== undefined)

await t.test('a token of another application finds no resource of the victim', async t => {
  for (const operation of operations) {
    const answer = await ask(operation, { authorization: `Bearer ${stranger.token()}` })
    if (operation.hasOwnParameter && !operation.isPublic) {
      t.ok(isNothing(operation, answer), `${operation.name}: ${answer.status}`)
    } else if (operation.namesVictim && !operation.isPublic) {
      t.ok(answer.status === 403 || answer.status === 404, `${operation.name}: ${answer.status}`)
    }
    if (!toldToAll.has(operation.name)) {
      t.equal(leak(operation, answer.text), undefined, `${operation.name} reveals nothing`)
    }
    t.ok(answer.status < 500)
  }
})

await t.test('a resource of the victim gets the same response as one that does not exist', async t => {
  for (const { who, headers } of strangers) {
    for (
      const operation of operations.filter(({ hasOwnParameter, isNamespace, isPublic }) =>
        hasOwnParameter && !isNamespace && !isPublic
      )
    ) {
      const [theirs, missing] = [
        await ask(operation, headers), await ask({ ...operation, url: withMissingIds(operation.url) }, headers)
      ]
      t.equal(
        `${theirs.status} ${withMissingIds(theirs.body)}`,
        `${missing.status} ${missing.body}`,
        `${operation.name} by ${who}`
      )
    }
  }
})

await t.test('an id in a body gives no access', async t => {
  const asked: string[] = []
  for (const operation of operations) {
    const { name, payloadNamingVictim: payload, isPublic } = operation
    if (payload === undefined || isPublic) continue
    asked.push(name)
    for (const { who, headers } of strangers) {
      const [theirs, missing] = [
        await ask({ ...operation, payload }, headers),
        await ask({ ...operation, url: withMissingIds(operation.url), payload: withMissingIds(payload) }, headers)
      ]
      t.ok(theirs.status === 403 || theirs.status === 404, `${name} by ${who}: ${theirs.status} ${theirs.body}`)
      t.equal(
        `${theirs.status} ${withMissingIds(theirs.body)}`,
        `${missing.status} ${missing.body}`,
        `${name} by ${who}, as if it did not exist`
      )
      t.equal(leak({ ...operation, payload }, theirs.text), undefined, `${name} reveals nothing to ${who}`)
    }
  }
  for (
    const name of [
      'POST /api/database/subscriptions', 'POST /api/database/mappings/preview', 'POST /api/webhooks/redrive',
      'POST /api/invites', 'POST /api/users', 'POST /auth/token'
    ]
  ) t.ok(asked.includes(name), name)
})

await t.test('an id in a query gives no access', async t => {
  const asked: string[] = []
  for (const operation of operations) {
    for (const query of operation.queriesNamingVictim) {
      asked.push(operation.name)
      for (const { who, headers } of strangers) {
        const { status, body } = await ask({ ...operation, url: `${operation.url}?${query}` }, headers)
        // A stream without events still has a beginning.
        const isEmpty = body === '[]' || (operation.name === 'GET /api/debugger/stream' && !body.includes('data:'))
        t.ok(
          status === 403 || status === 404 || (status === 200 && isEmpty),
          `${operation.name}?${query} by ${who}: ${status} ${body}`
        )
      }
    }
  }
  for (
    const name of [
      'GET /api/admin/audit', 'GET /api/users', 'GET /api/database/logs', 'GET /api/webhooks/logs',
      'GET /api/webhooks/deliveries'
    ]
  ) t.ok(asked.includes(name), name)
})

await t.test('naming the application gives no access', async t => {
  for (const operation of operations.filter(operation => operation.isScoped)) {
    const { status, text } = await ask(operation, {
      authorization: `Bearer ${stranger.token()}`,
      'x-application-id': victim.applicationId
    })
    t.equal(status, 403, operation.name)
    t.equal(leak(operation, text, victim.applicationId), undefined, `${operation.name} reveals nothing`)
  }
})

await t.test('a user with roles for another application only finds nothing', async t => {
  await app.pool.query(
    `insert into users (id, email, name, password_hash, created_at, updated_at)
      values ('usr_other', 'other@example.com', 'Other', 'x', 0, 0)`
  )
  await app.pool.query(
    "insert into role_assignments (user_id, role_id, application_id) values ('usr_other', 'role_admin', $1)",
    [stranger.applicationId]
  )
  const { token } = await app.sessions.create('usr_other', { address: '127.0.0.1', userAgent: undefined })
  for (const operation of operations) {
    if (operation.name === 'POST /api/auth/logout') continue
    for (const applicationId of [undefined, stranger.applicationId, victim.applicationId]) {
      const { status, text } = await ask(operation, {
        authorization: token,
        ...(applicationId !== undefined && { 'x-application-id': applicationId })
      })
      if (operation.isScoped && applicationId === undefined) {
        t.equal(status, 400, `${operation.name} without an application`)
      }
      if (operation.isScoped && applicationId === victim.applicationId) {
        t.ok(status === 403 || status === 404, `${operation.name} in the other application: ${status}`)
      }
      if (!operation.isScoped && operation.hasOwnParameter && !operation.isPublic) {
        t.ok(status === 403 || status === 404, `${operation.name}: ${status}`)
      }
      if (!toldToAll.has(operation.name)) {
        t.equal(leak(operation, text, applicationId), undefined, `${operation.name} reveals nothing`)
      }
    }
  }
})

await t.test('without a valid credential, every route except public ones is 401', async t => {
  for (const operation of operations) {
    for (
      const headers of [{}, { authorization: `Bearer ${victim.token().slice(0, -3)}abc` }, {
        authorization: 'Basic YTpi'
      }, { 'x-session-token': 'sess_nobody' }] as Record<string, string>[]
    ) {
      const { status, text } = await ask(operation, { ...headers, 'x-application-id': victim.applicationId })
      if (!operation.isPublic) t.equal(status, 401, operation.name)
      if (!toldToAll.has(operation.name)) {
        t.equal(leak(operation, text, victim.applicationId), undefined, `${operation.name} reveals nothing`)
      }
    }
  }
})

/** Sections whose resources all environments of an application share. */
const ofAllEnvironments = ['/api/services', '/api/webhooks', '/api/api-keys', '/api/deployments']

await t.test('another environment of the same application is isolated as well', async t => {
  for (
    const operation of operations.filter(operation =>
      operation.isScoped && !ofAllEnvironments.some(section => operation.url.startsWith(section))
    )
  ) {
    const answer = await ask(operation, { authorization: `Bearer ${victim.token()}`, 'x-environment': 'production' })
    if (operation.hasOwnParameter) {
      t.ok(
        isNothing({ ...operation, isNamespace: false }, answer) || operation.isNamespace,
        `${operation.name}: ${answer.status}`
      )
    }
    // The walk itself may have created a resource of the same name in production, from an example.
    const said = `${victim.applicationId} ${tellsOfWebhooks.has(operation.name) ? webhook['id'] as string : ''}`
    t.equal(leak(operation, answer.text, said), undefined, `${operation.name} reveals nothing of development`)
    const pinned =
      app.tokens.mint({
        subject: 'pinned', applicationId: victim.applicationId, permissions: ['admin'], environment: 'staging',
        expiresInS: undefined
      }).token
    t.match(await ask(operation, { authorization: `Bearer ${pinned}`, 'x-environment': 'development' }), {
      status: 403
    }, `${operation.name} with a token that is pinned elsewhere`)
  }
})

/** Data that the environments of an application share, and that a pinned token may read. */
const isShared = ({ name, url }: Asked) =>
  url.startsWith('/api/services') || url.startsWith('/api/applications') || name === 'GET /api/auth/me'

await t.test('a pinned token finds and changes nothing of another environment, on any route', async t => {
  const pinned =
    app.tokens.mint({
      subject: 'pinned', applicationId: victim.applicationId, permissions: ['admin'], environment: 'production',
      expiresInS: undefined
    }).token
  const asks = async (operation: Asked, what = operation.name) => {
    const answer = await ask(operation, { authorization: `Bearer ${pinned}` })
    if (answer.status < 300 && isShared(operation)) {
      t.equal(operation.method, 'GET', `${what} changes nothing that is shared`)
    } else if (operation.hasOwnParameter && !operation.isNamespace && !operation.isPublic) {
      t.ok([400, 403, 404].includes(answer.status), `${what}: ${answer.status}`)
    }
    if (!toldToAll.has(operation.name)) {
      t.equal(
        leak(
          operation,
          answer.text,
          `${victim.applicationId} ${isShared(operation) ? `${marker} ${service['id'] as string}` : ''}`
        ),
        undefined,
        `${what} reveals nothing`
      )
    }
    t.ok(answer.status < 500, `${what}: ${answer.status}`)
    return answer
  }
  for (const operation of operations) {
    await asks(operation)
    if (operation.name.startsWith('DELETE')) {
      await asks({ ...operation, url: `${operation.url}?force=true` }, `${operation.name} with force`)
    }
    if (operation.payloadNamingVictim !== undefined) {
      await asks({ ...operation, payload: operation.payloadNamingVictim }, `${operation.name} naming what is elsewhere`)
    }
    for (const query of operation.queriesNamingVictim) {
      await asks({ ...operation, url: `${operation.url}?${query}` }, `${operation.name}?${query}`)
    }
    if (operation.payload === undefined) continue
    // Puts another environment than the token's wherever a body names one.
    for (const environment of ['development', 'staging']) {
      const body = JSON.parse(operation.payload) as Record<string, unknown>
      if (!('environment' in body) && !['POST /auth/token', 'POST /api/webhooks'].includes(operation.name)) {
        continue
      }
      const named = operation.name === 'POST /api/webhooks' ? { environments: [environment] } : { environment }
      const { status } = await asks(
        { ...operation, payload: JSON.stringify({ ...body, ...named }) },
        `${operation.name} for ${environment}`
      )
      t.ok(status === 403 || status === 404, `${operation.name} for ${environment}: ${status}`)
    }
  }
  for (const body of [{}, { environment: 'production' }]) {
    const { status, body: answer } = await ask({
      ...operations.find(({ name }) => name === 'POST /auth/token') as Asked,
      payload: JSON.stringify({ applicationId: victim.applicationId, permissions: ['client'], ...body })
    }, { authorization: `Bearer ${pinned}` })
    t.equal(status, 200, answer)
    const { token } = JSON.parse(answer) as { token: string }
    t.match(
      JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()), { environment: 'production' },
      'a token that it issues is pinned to the same environment'
    )
  }
})

await t.test('all resources of the victim are unchanged', async t => {
  t.match(await victim.request('GET', '/api/api-keys'), { status: 200, body: [{ id: apiKey.id, name: marker }] })
  t.match(await victim.request('GET', `/api/topics/${topic}`), {
    status: 200,
    body: { owner: marker, activeSchemaVersion: 1 }
  })
  const log = await victim.request('GET', `/api/topics/${topic}/events`)
  t.match(log.body, [{ offset: 1, key: marker, payload: { [marker]: marker } }, { offset: 2 }])
  t.equal(log.body.length, 2)
  t.match(await victim.request('GET', `/api/schemas/${topic}/versions`), { status: 200, body: [{ version: 1 }] })
  t.match(await victim.request('GET', `/api/webhooks/${webhook['id'] as string}`), {
    status: 200,
    body: { active: true, description: marker, events: ['topic.event'] }
  })
  t.match(await victim.request('GET', '/api/webhooks/deliveries'), { status: 200, body: [{ id: delivery?.id }] })
  t.match(await victim.request('GET', `/api/services/${service['id'] as string}`), {
    status: 200,
    body: { description: marker }
  })
  t.match(await victim.request('GET', `/api/sync/${named}/documents/${named}`), {
    status: 200,
    body: { revision: 1, data: { [marker]: marker } }
  })
  t.match(await victim.request('GET', `/api/socket/channels/${named}/members`), {
    status: 200,
    body: [{ state: { [marker]: marker } }]
  })
  t.same(
    member.messages.filter(({ name }) => name !== 'authenticated'), [], 'no message reached the member of the channel'
  )
  t.match(await victim.request('GET', `/api/database/mappings/${mapping['id'] as string}`), {
    status: 200,
    body: { table: marker, events: ['insert'] }
  })
  t.match(await victim.request('GET', '/api/database/subscriptions'), {
    status: 200, body: [{ id: databaseSubscription['id'], active: true }]
  })
  t.match(await victim.request('GET', '/api/database/connection'), {
    status: 200,
    body: { connectionString: `postgres://${marker}@127.0.0.1:1/${marker}` }
  })
  t.match(await victim.request('GET', '/api/database/logs'), { status: 200, body: [{ message: marker }] })
  t.match(await victim.request('GET', `/api/users/${owner.id}`), {
    status: 200,
    body: { name: marker, roles: [{ roleId: 'role_admin', applicationId: victim.applicationId }] }
  })
  t.ok((await victim.request('GET', '/api/invites')).body.some(({ id }: { id: string }) => id === invite['id']))
  t.equal((await owner.get('/api/auth/me')).status, 200)
  t.match(await victim.request('GET', `/api/applications/${victim.applicationId}`), {
    status: 200,
    body: { name: marker, description: marker }
  })
})

for (const { name, connect } of transports) {
  await t.test(`${name} delivers nothing of the victim to a stranger who subscribes to the same names`, async t => {
    const url = await listening
    for (
      const refused of [{ token: stranger.token(), applicationId: victim.applicationId }, {
        token: strangers[1]?.headers.authorization ?? '', applicationId: victim.applicationId
      }]
    ) {
      const closed = await connect(url, refused).then(async socket => (await socket.closed).code, () => 'refused')
      t.ok(closed === 'refused' || closed === 4401, String(closed))
    }
    const channel = `${named}-${name.length}`
    await stranger.request('POST', '/api/topics', { name: topic, description: 'theirs', owner: 'them' })
    const [eve, ada] = [await connect(url, { token: stranger.token() }), await connect(url, { token: victim.token() })]
    const listenTo = [
      topic,
      '**',
      `${named}.*`,
      'sync.**',
      'presence.updated',
      'socket.message',
      `sync.${named}.updated`
    ]
    for (const socket of [ada, eve]) {
      for (const wanted of listenTo) {
        t.match(await socket.request('subscribe', { topic: wanted, rewind: 1000 }), { ok: true }, wanted)
      }
      for (const room of [channel, named, `doc:${named}:${named}`]) {
        t.match(await socket.request('join', { channel: room }), { ok: true }, room)
      }
    }
    const ofAda = await ada.request('subscribe', { topic })
    t.match(await eve.request('unsubscribe', { subscriptionId: ofAda.subscriptionId }), {
      ok: false, code: 'SUBSCRIPTION_NOT_FOUND'
    })
    const [{ socketId } = { socketId: '' }] = (await victim.request('GET', `/api/socket/channels/${channel}/members`))
      .body as { socketId: string }[]
    t.match(
      await eve.request('direct', { socketId, event: 'hello', data: {} }), { ok: false },
      'the id of a socket gives no access'
    )
    t.match(await eve.request('auth', { token: victim.token() }), { ok: false, code: 'PERMISSION_DENIED' })

    await victim.publish(topic, { [marker]: marker })
    await victim.request('PATCH', `/api/sync/${named}/documents/${named}/merge`, {
      data: { [`${marker}${name.length}`]: marker }
    })
    await victim.request('POST', '/api/socket/broadcast', { channel, event: 'said', data: { [marker]: marker } })
    await ada.request('publish', { channel, event: 'said', data: { [marker]: marker } })
    await ada.request('presence', { channel, state: { [marker]: marker } })
    await ada.message('message')
    // The stranger's own events follow.
    await stranger.publish(topic, { last: true })
    await eventually(() => eve.events.some(({ payload }) => JSON.stringify(payload) === '{"last":true}'))
    await stranger.request('POST', '/api/socket/broadcast', { channel, event: 'last', data: {} })
    await eve.message('message')
    await eventually(() =>
      ada.events.some(({ topic, payload }) =>
        topic === `sync.${named}.updated` && JSON.stringify(payload).includes(`${marker}${name.length}`)
      )
    )
    const text = JSON.stringify([eve.events, eve.messages])
    t.equal(
      [...ids, marker, ofAda.subscriptionId, socketId].find(secret => secret !== topic && text.includes(secret)),
      undefined, text.slice(0, 500)
    )
    t.ok(eve.events.every(({ applicationId }) => applicationId === stranger.applicationId))
    t.ok(ada.events.every(({ applicationId }) => applicationId === victim.applicationId))
    t.ok(ada.events.length > eve.events.length)
    for (const socket of [eve, ada]) socket.close()
  })
}

await t.test('public metrics name topics, and nothing else of a tenant', async t => {
  const text = (await app.inject('/api/metrics/prometheus')).body
  t.match(text, `topic="${topic}"`)
  const rest = text.replaceAll(/ topic="[^"]*"|(?<=[{,])topic="[^"]*"/g, '')
  t.equal([...ids, marker, named].find(secret => rest.includes(secret)), undefined)
})
