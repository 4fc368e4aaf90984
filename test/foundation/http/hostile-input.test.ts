import { once } from 'node:events'
import { connect as connectTcp } from 'node:net'
import addFormats from 'ajv-formats'
import { Ajv2020 } from 'ajv/dist/2020.js'
import type { InjectOptions } from 'fastify'
import t from 'tap'
import { WebSocket } from 'ws'
import { errorCodes } from '../../../src/errors.ts'
import { build, listen } from '../../support/build.ts'
import { connectSocketIo } from '../../support/clients.ts'
import { dereferenced, type Schema } from '../../support/dereferenced.ts'
import { inject } from '../../support/inject.ts'
import { tenant } from '../../support/tenant.ts'

/* Invalid input at any place of any route gets a clear 4xx that names the place, never a 5xx. */

t.setTimeout(600_000)

interface Parameter {
  in: 'path' | 'query' | 'header'
  required?: boolean
  name: string
  example?: unknown
  schema: Schema
}
interface Operation {
  parameters?: Parameter[]
  requestBody?: { content: Record<string, { schema: Schema }> }
  security?: unknown[]
}

const { app } = await build(t)
const shop = await tenant(app)
const document = dereferenced<
  { paths: Record<string, Record<string, Operation>>, components: { schemas: Record<string, Schema> } }
>(app.swagger())
// Deletions come last, so that earlier requests find their resources.
const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({ method: method.toUpperCase(), path, operation }))
)
  .sort((a, b) => Number(a.method === 'DELETE') - Number(b.method === 'DELETE'))

const validators = {
  exact: new Ajv2020({ strict: false }), coercing: new Ajv2020({ strict: false, coerceTypes: true })
}
for (const ajv of Object.values(validators)) {
  addFormats.default(ajv)
  ajv.addSchema(document, 'openapi')
}
const accepts = (schema: Schema, value: unknown, kind: keyof typeof validators = 'exact') =>
  validators[kind].compile(JSON.parse(JSON.stringify(schema).replaceAll('"#/components', '"openapi#/components')))(
    kind === 'exact' ? value : { value }
  )
const wrapped = (schema: Schema): Schema => ({ type: 'object', properties: { value: schema } })
const resolve = (schema: Schema): Schema =>
  schema.$ref === undefined ? schema : document.components.schemas[schema.$ref.split('/').at(-1) as string] as Schema

function exampleOf (given: Schema): unknown {
  const schema = resolve(given)
  const own = [schema.examples?.[0], schema.const, schema.default, schema.enum?.[0]].find(value => value !== undefined)
  if (own !== undefined) return own
  if (schema.anyOf !== undefined) return exampleOf(schema.anyOf[0] as Schema)
  if (schema.type === 'array') return [exampleOf(schema.items ?? {})]
  if (schema.type === 'boolean') return true
  return Object.fromEntries((schema.required ?? []).map(name => [name, exampleOf(schema.properties?.[name] ?? {})]))
}

const levels = (n: number) => '{"a":'.repeat(n) + '1' + '}'.repeat(n)
const long = 'a'.repeat(10_000)
/** Raw JSON, because JSON.stringify cannot write much of it. */
const values: Record<string, string> = {
  null: 'null',
  true: 'true',
  fraction: '1.5',
  negative: '-1',
  huge: '99999999999999999999',
  infinite: '1e400',
  'minus infinite': '-1e400',
  'empty text': '""',
  'a word': '"word"',
  'long text': `"${long}"`,
  NUL: '"a\\u0000b"',
  'a lone surrogate': '"\\ud800"',
  'an empty array': '[]',
  'an array': '[1]',
  'an empty object': '{}',
  'an object': '{"a":1}',
  'a NUL key': '{"a\\u0000b":1}',
  'a prototype': '{"__proto__":{"isAdmin":true}}',
  'a deep prototype': '{"a":[{"b":{"__proto__":{"isAdmin":true}}}]}',
  'a constructor': '{"constructor":{"prototype":{"isAdmin":true}}}',
  'deep infinite': '{"a":[1e400]}',
  'deep NUL': '{"a":["\\u0000"]}',
  '65 levels': levels(65),
  '100,000 levels': levels(100_000),
  '100,000 arrays': '['.repeat(100_000) + ']'.repeat(100_000),
  'a long key': `{"${long}":1}`
}

interface Sent { problems: string[], count: number }
const sent: Sent = { problems: [], count: 0 }
interface Expected { isRefused?: boolean, names?: string | undefined }

async function send (
  label: string, options: InjectOptions, { isRefused = false, names }: Expected = {}
): Promise<number> {
  const count = sent.count++
  // Each request comes from another address, because login attempts are limited by address.
  const response = await inject(app, {
    ...options,
    remoteAddress: `10.${count >> 16 & 255}.${count >> 8 & 255}.${count & 255}`
  })
  const { statusCode: status, body } = response
  const problem = (what: string) => { sent.problems.push(`${label}: ${what}: ${status} ${body.slice(0, 200)}`) }
  // The connection in the example is unreachable; requests that use it report that.
  if (status >= 500 && !body.includes('"SOURCE_UNAVAILABLE"')) problem('a server error')
  if (isRefused && (status < 400 || status === 401)) problem('was not rejected')
  if (status < 400 || status >= 500) return status
  let error: { error?: unknown, message?: unknown, code?: unknown, details?: { path: string, message: string }[] } = {}
  try {
    error = JSON.parse(body)
  } catch {}
  const keys = Object.keys(error).filter(key => !['error', 'message', 'code', 'details'].includes(key))
  if (
    typeof error.error !== 'string' || typeof error.message !== 'string' ||
    !Object.hasOwn(errorCodes, String(error.code)) || keys.length > 0
  ) problem('not the error shape')
  if (!String(response.headers['content-type']).startsWith('application/json')) problem('not JSON')
  if (body.length > 5000) problem('a response as long as the request')
  if (
    names !== undefined && status === 400 &&
    !`${String(error.message)} ${JSON.stringify(error.details)}`.includes(names)
  ) problem(`does not name ${names}`)
  return status
}

/** Builds the documented example of a request, to change one thing in it. */
function good ({ method, path, operation }: typeof operations[number]) {
  const pathValues = Object.fromEntries(
    (operation.parameters ?? []).filter(parameter => parameter.in === 'path').map(
      parameter => [parameter.name, String(parameter.example ?? exampleOf(parameter.schema))]
    )
  )
  const schema = operation.requestBody?.content['application/json']?.schema
  const body = schema === undefined ? undefined : exampleOf(schema) as Record<string, unknown>
  const options = (
    { path: changes = {}, query = '', headers = {}, payload = body === undefined ? undefined : JSON.stringify(body) }: {
      path?: Record<string, string>
      query?: string
      headers?: Record<string, string>
      payload?: string | Buffer | undefined
    } = {}
  ): InjectOptions => ({
    method: method as 'GET',
    url:
      path.replaceAll(
        /\{(\w+)\}/g, (_, name: string) => changes[name] ?? encodeURIComponent(pathValues[name] as string)
      ) + query,
    headers: {
      ...(operation.security?.length !== 0 && { authorization: `Bearer ${shop.token()}` }),
      ...(payload !== undefined && { 'content-type': 'application/json' }),
      ...headers
    },
    ...(payload !== undefined && { payload })
  })
  return { label: `${method} ${path}`, schema: schema === undefined ? undefined : resolve(schema), body, options }
}

async function verify (
  t: { same(found: unknown, wanted: unknown): void, ok(is: unknown, message: string): void }
): Promise<void> {
  // The first few are enough.
  t.same(sent.problems.splice(0).slice(0, 30), [])
  t.ok(sent.count > 0, `${sent.count} requests`)
  sent.count = 0
}

// Creates the resources that the examples name.
await shop.topic('session.status')
await shop.request('POST', '/api/schemas/session.status', { schema: { type: 'object' }, activate: false })
await shop.request('PATCH', '/api/topics/session.status', { activeSchemaVersion: null })
await app.db.insertInto('webhooks').values({
  id: 'wh_abc123',
  application_id: shop.applicationId,
  url: 'https://example.com/',
  events: ['topic.event'],
  ordering: 'none',
  active: true,
  secrets: '[]',
  created_at: 1,
  updated_at: 1
}).execute()
await shop.request('POST', '/api/sync/session/documents', {
  id: 'doc_a1b2c3d4', data: { status: 'active', participantCount: 1, items: [] }
})

await t.test('every field of every body rejects every kind of invalid value', async t => {
  for (const operation of operations) {
    const { label, schema, body, options } = good(operation)
    if (schema === undefined || body === undefined) continue
    for (const [name, part] of Object.entries(schema.properties ?? {})) {
      for (const [kind, json] of Object.entries(values)) {
        const isRefused = !accepts(part, JSON.parse(json))
        const others = Object.entries(body).filter(([other]) => other !== name).map(([other, value]) =>
          `${JSON.stringify(other)}:${JSON.stringify(value)},`
        )
        await send(
          `${label} ${name} = ${kind}`,
          options({ payload: `{${others.join('')}${JSON.stringify(name)}:${json}}` }),
          { isRefused, names: isRefused ? name : undefined }
        )
      }
    }
    for (const name of schema.required ?? []) {
      const { [name]: _, ...rest } = body
      await send(`${label} without ${name}`, options({ payload: JSON.stringify(rest) }), {
        isRefused: true,
        names: name
      })
    }
    // Items of arrays: mutations, events, permissions.
    for (const [name, part] of Object.entries(schema.properties ?? {})) {
      const item = part.items === undefined ? undefined : resolve(part.items)
      if (item === undefined) continue
      const example = item.properties === undefined
        ? exampleOf(item)
        : {
            ...(exampleOf(item) as object),
            ...(item.properties['op'] !== undefined && { op: 'set', path: '/status', value: 1 })
          } as Record<string, unknown>
      for (const [kind, json] of Object.entries(values)) {
        const rest = JSON.stringify({ ...body, [name]: 0, payload: undefined, key: undefined })
        const withItem = (text: string) => rest.replace(`"${name}":0`, `"${name}":[${text}]`)
        await send(`${label} ${name}[0] = ${kind}`, options({ payload: withItem(json) }), {
          isRefused: !accepts(item, JSON.parse(json))
        })
        for (const [field, fieldSchema] of Object.entries(item.properties ?? {})) {
          const text = JSON.stringify({ ...example as object, [field]: '\u0001' }).replace('"\\u0001"', json)
          const isRefused = !accepts(fieldSchema, JSON.parse(json))
          await send(`${label} ${name}[0].${field} = ${kind}`, options({ payload: withItem(text) }), {
            isRefused,
            names: isRefused ? field : undefined
          })
        }
      }
    }
  }
  await verify(t)
})

await t.test('stored JSON is finite and not too deep, without NUL and prototype keys', async t => {
  const before = (await shop.request('GET', '/api/sync/session/documents/doc_a1b2c3d4')).text
  const refused = [
    'infinite', 'minus infinite', 'NUL', 'a NUL key', 'a prototype', 'a deep prototype', 'deep infinite', 'deep NUL',
    '65 levels', '100,000 levels'
  ]
  for (const kind of refused) {
    const json = values[kind] as string
    const headers = { authorization: `Bearer ${shop.token()}`, 'content-type': 'application/json' }
    const at = (method: 'POST' | 'PUT' | 'PATCH', url: string, payload: string, names: string) =>
      send(`${url} ${kind}`, { method, url, headers, payload }, { isRefused: true, names })
    await at('POST', '/api/topics/session.status/events', `{"payload":${json}}`, '/payload')
    await at('POST', '/api/topics/session.status/events', `{"events":[{"payload":1},{"payload":${json}}]}`, '/events/1')
    await at('POST', '/api/sync/session/documents', `{"data":{"member":${json}}}`, 'data')
    await at('PUT', '/api/sync/session/documents/doc_a1b2c3d4', `{"data":{"member":${json}}}`, 'data')
    await at('PATCH', '/api/sync/session/documents/doc_a1b2c3d4/merge', `{"data":{"member":${json}}}`, 'data')
    await at(
      'POST',
      '/api/sync/session/documents/doc_a1b2c3d4/mutate',
      `{"mutations":[{"op":"set","path":"/x","value":${json}}]}`,
      'mutations'
    )
  }
  t.equal(({} as { isAdmin?: boolean }).isAdmin, undefined)
  t.equal(
    (await shop.request('GET', '/api/sync/session/documents/doc_a1b2c3d4')).text, before, 'nothing was stored'
  )
  await verify(t)
})

await t.test('invalid bodies are rejected', async t => {
  const bodies: Record<string, Buffer | string> = {
    'no JSON': '{"a":',
    'a word': 'word',
    'single quotes': "{'a':1}",
    'two values': '{}{}',
    'a comma too many': '{"a":1,}',
    NaN: '{"a":NaN}',
    'a byte order mark': '\ufeff{}',
    'an array': '[]',
    null: 'null',
    text: '"text"',
    number: '1',
    spaces: '   ',
    'NUL bytes': '\0\0',
    'broken UTF-8': Buffer.from([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x3a, 0x31, 0x7d]),
    'a truncated character': Buffer.from([0x22, 0xe2, 0x82]),
    'overlong UTF-8': Buffer.from([0x22, 0xc0, 0xaf, 0x22]),
    'an unknown field': '{"nobodyKnowsThis":1}',
    'a prototype': '{"__proto__":{"a":1}}',
    'a NUL field': '{"a\\u0000b":1}',
    'a long field': `{"${long}":1}`,
    '100,000 levels': values['100,000 levels'] as string,
    '100,000 arrays': values['100,000 arrays'] as string,
    nothing: ''
  }
  for (const operation of operations) {
    const { label, schema, options } = good(operation)
    if (schema === undefined) continue
    for (const [kind, payload] of Object.entries(bodies)) {
      await send(`${label} with ${kind}`, options({ payload }), { isRefused: true })
    }
    const example = exampleOf(schema) as object | object[]
    const payload = JSON.stringify(
      Array.isArray(example) ? [{ nobodyKnowsThis: 1, ...example[0] }] : { nobodyKnowsThis: 1, ...example }
    )
    await send(`${label} with one unknown field more`, options({ payload }), {
      isRefused: true,
      names: 'nobodyKnowsThis'
    })
    for (
      const type of [
        'text/plain',
        'application/x-www-form-urlencoded',
        'multipart/form-data; boundary=x',
        'application/xml',
        'application/jsonx',
        'nonsense',
        '',
        'application/json/x',
        'application/msgpack',
        `application/${long}`
      ]
    ) {
      const status = await send(`${label} as ${type.slice(0, 40)}`, options({ headers: { 'content-type': type } }), {
        isRefused: true
      })
      if (status !== 415) sent.problems.push(`${label} as ${type.slice(0, 40)} is ${status} instead of 415`)
    }
  }
  for (const url of ['/api/topics', '/api/topics/session.status/events', '/api/sync/session/documents']) {
    const payload = `{"payload":"${'x'.repeat(url.endsWith('events') ? 9_000_000 : 1_100_000)}"}`
    t.equal(
      await send(`${url} too large`, {
        method: 'POST',
        url,
        headers: { authorization: `Bearer ${shop.token()}`, 'content-type': 'application/json' },
        payload
      }, { isRefused: true }),
      413
    )
  }
  await verify(t)
})

await t.test('every path and query parameter rejects invalid values', async t => {
  // The client resolves it before it is sent, so it reaches another route, which rejects it in its own way.
  const dots = '%2e%2e'
  const inPaths = [
    '%00',
    'a%00b',
    '%ff',
    '%c3%28',
    '%zz',
    '%',
    long,
    '..%2f..',
    dots,
    '%20',
    '-1',
    '1.5',
    '1e400',
    '0',
    '__proto__',
    'constructor',
    '%27%3B%20drop%20table%20topics%3B--',
    '%F0%9F%92%A9',
    '%ED%A0%80',
    `${'a.'.repeat(150)}a`
  ]
  const inQueries = [
    '',
    'abc',
    '-1',
    '1.5',
    '1e400',
    'NaN',
    'null',
    '99999999999999999999',
    '%00',
    '%ff',
    '%zz',
    long,
    '__proto__',
    '[]',
    '{}',
    ...[['\0'], [{}], [[]], ['a', 'b', 'c'], [1.5], [], 'x', null, [-1, 'app_x'], ['z', 1]].map(value =>
      Buffer.from(JSON.stringify(value)).toString('base64url')
    ),
    ...['[1e400]', '["half'].map(text => Buffer.from(text).toString('base64url'))
  ]
  for (const operation of operations) {
    const { label, options } = good(operation)
    const required = (operation.operation.parameters ?? []).filter(one => one.in === 'query' && one.required === true)
    /** A query with what the operation requires, and more. */
    const queryOf = (name: string, ...values: string[]) =>
      `?${[...required.filter(one => one.name !== name).map(one => `${one.name}=${String(one.example)}`), ...values]
        .join('&')}`
    for (const { in: place, name, schema } of operation.operation.parameters ?? []) {
      if (place === 'path') {
        for (const value of inPaths) {
          const isRefused = !isDecodable(value) || !accepts(wrapped(schema), decodeURIComponent(value), 'coercing')
          await send(`${label} ${name} = ${value.slice(0, 40)}`, options({ path: { [name]: value } }), {
            isRefused,
            names: isRefused && isDecodable(value) && value !== dots ? name : undefined
          })
        }
      } else if (place === 'query') {
        for (const value of inQueries) {
          const isRefused = isDecodable(value) && !accepts(wrapped(schema), decodeURIComponent(value), 'coercing')
          await send(`${label} ?${name}=${value.slice(0, 40)}`, options({ query: queryOf(name, `${name}=${value}`) }), {
            isRefused,
            names: isRefused ? name : undefined
          })
        }
        await send(`${label} ?${name} twice`, options({ query: queryOf(name, `${name}=1`, `${name}=2`) }), {})
        await send(`${label} ?${name}[]`, options({ query: queryOf(name, `${name}[]=1`, `${name}[a]=2`) }), {})
      }
    }
    if (operation.operation.parameters?.some(parameter => parameter.in === 'query') === true) {
      for (const name of ['nobodyKnowsThis', '__proto__', 'constructor']) {
        await send(`${label} ?${name}`, options({ query: queryOf(name, `${name}=1`) }), {
          isRefused: name === 'nobodyKnowsThis',
          names: name === 'nobodyKnowsThis' ? name : undefined
        })
      }
    }
    await send(
      `${label} ?1,000 parameters`,
      options({ query: `?${Array.from({ length: 1000 }, (_, i) => `p${i}=1`).join('&')}` })
    )
  }
  for (const cursor of ['eA', 'WyJhIiwiYiJd', 'bnVsbA', Buffer.from('["\\u0000"]').toString('base64url')]) {
    for (
      const path of [
        '/api/topics', '/api/services', '/api/applications', '/api/sync/session/documents',
        '/api/schemas', '/api/schemas/session.status/versions', '/api/webhooks', '/api/webhooks/logs',
        '/api/webhooks/deliveries'
      ]
    ) {
      await send(`${path} cursor ${cursor}`, {
        method: 'GET',
        url: `${path}?cursor=${cursor}`,
        headers: { authorization: `Bearer ${shop.token()}` }
      }, { names: 'cursor' })
    }
  }
  await verify(t)
})

await t.test('every significant header rejects invalid values', async t => {
  const refused: Record<string, string[]> = {
    'x-environment': ['moon', 'DEVELOPMENT', 'development ', 'development,staging', long, '__proto__', '\u00ff'],
    'x-application-id': [
      'nope',
      'app_nobody',
      'app_',
      `app_${long}`,
      "app_x' or 1=1 --",
      '__proto__',
      `${shop.applicationId}, ${shop.applicationId}`
    ],
    'idempotency-key': ['with space', 'k'.repeat(256), '\u00fc', ''],
    'if-match': [long]
  }
  const harmless: Record<string, string[]> = {
    'if-match': ['x', '"', 'W/"1"', '"1', '*,*', '"\u0000"', '"99999999999999999999999"'],
    'if-none-match': ['x', '"', 'W/"1"', '*', '""'],
    authorization: [
      '',
      'Bearer',
      'Bearer ',
      'Bearer x.y.z',
      `Bearer ${long}`,
      `Bearer ${'a.'.repeat(5000)}`,
      'Basic YTpi',
      'sess_',
      'sess_\u00ff',
      `sess_${long}`,
      'Bearer sess_x',
      'Bearer e30.e30.e30',
      'Bearer eyJhbGciOiJub25lIn0.e30.',
      'Bearer \u0000'
    ],
    'x-session-token': ['x', 'sess_x', long],
    'x-request-id': ['\u0000', long, 'a b'],
    origin: ['null', long],
    accept: ['text/html', long],
    'content-length': ['1'],
    'x-forwarded-for': ['not an address', long],
    host: ['', long]
  }
  const sections = new Set<string>()
  for (const operation of operations) {
    const { label, options } = good(operation)
    const declared = (operation.operation.parameters ?? []).filter(parameter => parameter.in === 'header').map(
      parameter => parameter.name
    )
    for (const name of declared) {
      for (const value of refused[name] ?? []) {
        await send(`${label} ${name}: ${value.slice(0, 40)}`, options({ headers: { [name]: value } }), {
          isRefused: true,
          names: name === 'idempotency-key' ? name : undefined
        })
      }
    }
    // These have the same meaning everywhere: one route per section is enough.
    const section = operation.path.split('/').slice(0, 3).join('/')
    if (sections.has(section)) continue
    sections.add(section)
    for (const [name, list] of Object.entries(harmless)) {
      for (const value of list) {
        if (name !== 'content-length' || operation.method === 'GET') {
          await send(`${label} ${name}: ${value.slice(0, 40)}`, options({ headers: { [name]: value } }))
        }
      }
    }
  }
  await verify(t)
})

await t.test('invalid or oversized HTTP is refused with the same error body', async t => {
  const url = new URL(await listen(app))
  const requests: Record<string, [string, number]> = {
    'headers of 20 KB': [`GET /health HTTP/1.1\r\nHost: x\r\nX-Long: ${'x'.repeat(20_000)}\r\n\r\n`, 431],
    'no HTTP': ['this is not HTTP\r\n\r\n', 400],
    'a NUL in a header': ['GET /health HTTP/1.1\r\nHost: x\r\nX-Nul: a\0b\r\n\r\n', 400],
    'two lengths': [
      'POST /auth/verify HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ' +
        '2\r\nContent-Length: 3\r\n\r\n{}',
      400
    ],
    'a length and chunks': [
      'POST /auth/verify HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ' +
        '2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      400
    ],
    'a broken escape': ['GET /api/topics/%zz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n', 400],
    'an unknown method': ['BREW /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n', 400],
    'an unsupported method': ['DELETE /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n', 404],
    'two tokens': [
      'GET /api/topics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n' +
        `Authorization: Bearer a\r\nAuthorization: Bearer ${shop.token()}\r\n\r\n`,
      401
    ],
    'two environments': [
      `GET /api/topics HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer ${shop.token()}\r\n` +
        'X-Environment: staging\r\nX-Environment: production\r\n\r\n',
      400
    ]
  }
  for (const [kind, [text, status]] of Object.entries(requests)) {
    const socket = connectTcp(Number(url.port), '127.0.0.1')
    let answer = ''
    socket.setEncoding('utf8').on('data', (data: string) => { answer += data })
    // The client does not end its side: Node drops a request whose client has ended before the response.
    socket.write(text)
    await once(socket, 'close')
    t.equal(Number(/^HTTP\/1\.1 (\d+)/.exec(answer)?.[1]), status, kind)
    const body = JSON.parse(answer.slice(answer.indexOf('\r\n\r\n') + 4)) as { code: string }
    t.match(body, { error: /Error$/, message: String, code: String })
    t.ok(Object.hasOwn(errorCodes, body.code), body.code)
  }
})

await t.test('an invalid frame on a /ws socket gets an error frame, and the connection stays open', async t => {
  const address = app.server.address() as { port: number }
  const socket = new WebSocket(`ws://127.0.0.1:${address.port}/ws`, {
    headers: { authorization: `Bearer ${shop.token()}` }
  })
  const frames: { type: string, code?: string, id?: unknown, message?: string }[] = []
  socket.on('message', (data: Buffer) => frames.push(JSON.parse(data.toString())))
  await once(socket, 'message')
  const text = (json: string) => ({ data: Buffer.from(json), binary: false })
  const subscribe = (fields: string) => text(`{"type":"subscribe","topic":"session.status",${fields}}`)
  const broken = {
    'no JSON': text('{'),
    nothing: text(''),
    null: text('null'),
    'an array': text('[]'),
    'a number': text('1'),
    'no type': text('{}'),
    'a type that is not a string': text('{"type":1}'),
    'an unknown type': text('{"type":"fly"}'),
    'a prototype': text('{"type":"__proto__"}'),
    'a constructor': text('{"type":"constructor"}'),
    'a method': text('{"type":"toString"}'),
    'a long type': text(`{"type":"${long}"}`),
    'binary JSON': { data: Buffer.from('{"type":"ping"}'), binary: true },
    'broken UTF-8': { data: Buffer.from([0x7b, 0xff, 0xfe, 0x7d]), binary: false },
    '100,000 levels': text(values['100,000 levels'] as string),
    'no topic': text('{"type":"subscribe"}'),
    'a topic that is not a string': text('{"type":"subscribe","topic":{"a":1}}'),
    'a long topic': text(`{"type":"subscribe","topic":"${long}"}`),
    'a NUL topic': text('{"type":"subscribe","topic":"a\\u0000b"}'),
    'a missing topic': text('{"type":"subscribe","topic":"no.such"}'),
    'a negative offset': subscribe('"after":-1'),
    'a fractional offset': subscribe('"after":1.5'),
    'an infinite offset': subscribe('"after":1e400'),
    'an offset that is a string': subscribe('"after":"1"'),
    'an infinite rewind': subscribe('"rewind":1e400'),
    'no rewind': subscribe('"rewind":0'),
    'an unknown return mode': subscribe('"returnMode":"half"'),
    'an unknown field': subscribe('"nobodyKnowsThis":1'),
    'a filter that is a string': subscribe('"filter":"a"'),
    'a filter that is an array': subscribe('"filter":[1]'),
    'a filter of objects': subscribe('"filter":{"a":{"b":{"c":1}}}'),
    'a deep filter': subscribe(`"filter":{"a":{"eq":${values['100,000 levels'] as string}}}`),
    'an unknown operator': subscribe('"filter":{"a":{"__proto__":1}}'),
    'a __proto__ filter': subscribe('"filter":{"__proto__":{"fly":1}}'),
    'a filter of 1,000 keys': subscribe(`"filter":{${Array.from({ length: 1000 }, (_, i) => `"k${i}":1`).join()}}`),
    'an epoch that is not a string': subscribe('"after":1,"epoch":{}'),
    'an unknown subscription': text('{"type":"unsubscribe","subscriptionId":"sub_x"}'),
    'a broken token': text('{"type":"auth","token":"x"}'),
    'a token that is not a string': text('{"type":"auth","token":[]}')
  }
  for (const [kind, { data, binary }] of Object.entries(broken)) {
    const before = frames.length
    socket.send(data, { binary })
    socket.send('{"type":"ping","id":1}')
    while (!frames.slice(before).some(frame => frame.type === 'pong') || frames.length < before + 2) {
      await Promise.race([
        once(socket, 'message'),
        once(socket, 'close').then(() => {
          throw new Error(`${kind} ended the connection`)
        })
      ])
    }
    const error = frames.slice(before).find(frame => frame.type !== 'pong')
    t.match(error, { type: 'error', error: String, message: String, code: /^(?!INTERNAL)/ }, kind)
  }
  t.equal(frames.filter(frame => frame.type === 'subscribed').length, 0)
  socket.close()
})

await t.test('an invalid request over Socket.IO is answered, and the connection stays open', async t => {
  const address = app.server.address() as { port: number }
  const topic = await shop.topic('frame.events')
  const client = await connectSocketIo(`http://127.0.0.1:${address.port}`, { token: shop.token() })
  const { socket } = client
  const requests: Record<string, [string, ...unknown[]]> = {
    nothing: ['subscribe'],
    text: ['subscribe', 'session.status'],
    null: ['subscribe', null],
    number: ['subscribe', 1],
    array: ['subscribe', ['session.status']],
    bytes: ['subscribe', Buffer.from('x')],
    'bytes inside': ['subscribe', { topic: Buffer.from('session.status') }],
    'an unknown name': ['fly', {}],
    'a constructor': ['constructor', {}],
    'a prototype': ['__proto__', {}],
    'a long name': [long, {}],
    'no name': ['', {}],
    'a negative offset': ['subscribe', { topic: 'session.status', after: -1 }],
    'a fractional offset': ['subscribe', { topic: 'session.status', after: 0.5 }],
    'an unknown field': ['subscribe', { topic: 'session.status', nobodyKnowsThis: 1 }],
    'a filter of bytes': ['subscribe', { topic: 'session.status', filter: Buffer.from('x') }],
    'a NUL topic': ['subscribe', { topic: 'a\0b' }],
    'no subscription': ['unsubscribe', {}],
    'a broken token': ['auth', { token: 'x.y.z' }]
  }
  for (const [kind, [name, ...args]] of Object.entries(requests)) {
    t.match(await socket.timeout(30_000).emitWithAck(name, ...args), {
      ok: false, error: String, message: String, code: /^(?!INTERNAL)/
    }, kind)
    const errors = client.messages.filter(message => message.name === 'error').length
    socket.emit(name, ...args)
    while (client.messages.filter(message => message.name === 'error').length === errors) {
      await client.request('unsubscribe', {})
    }
    t.match(client.messages.at(-1)?.body, { ok: false, code: String }, `${kind}, without an acknowledgement`)
  }
  t.match(await client.request('subscribe', { topic }), { ok: true })
  client.close()
})

await t.test('the same server still answers a valid request', async t => {
  await shop.topic('still.alive')
  t.match(await shop.publish('still.alive', { n: 1 }), [{ offset: 1 }])
  t.match(await shop.request('GET', '/api/topics/still.alive/events'), { status: 200, body: [{ payload: { n: 1 } }] })
  t.match((await app.inject('/health/ready')).json(), { status: 'ready' })
})

function isDecodable (value: string): boolean {
  try {
    return !decodeURIComponent(value).includes('\ufffd')
  } catch {
    return false
  }
}
