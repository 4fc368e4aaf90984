import t from 'tap'
import { build, listen } from '../../support/build.ts'
import { connectSocketIo, transports } from '../../support/clients.ts'
import { documentOf } from '../../support/dereferenced.ts'
import { inject } from '../../support/inject.ts'
import { person } from '../../support/people.ts'
import { tenant } from '../../support/tenant.ts'

/* A number that a double cannot hold is rejected by its path, in all JSON of clients. */

t.setTimeout(600_000)

const { app } = await build(t)
const url = await listen(app)
const shop = await tenant(app)
await shop.topic('order.placed')
const id = '1524831183200260097'
const refusal = (path: string) => ({
  status: 400,
  body: { error: 'ValidationError', code: 'NUMBER_INEXACT', message: new RegExp(`^${path} `), details: [{ path }] }
})
const json = { 'content-type': 'application/json' }

interface Parameter {
  name: string
  schema: { type?: string, maximum?: number }
}
interface Operation {
  requestBody?: unknown
  security?: unknown[]
  parameters?: (Parameter | { $ref: string })[]
}
const { paths, components } = documentOf<{
  paths: Record<string, Record<string, Operation>>
  components: { parameters: Record<string, Parameter> }
}>(app)
const resolve = (parameter: Parameter | { $ref: string }) =>
  '$ref' in parameter ? components.parameters[parameter.$ref.split('/').at(-1) ?? ''] as Parameter : parameter
const operations = Object.entries(paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({ method: method.toUpperCase(), path, operation }))
)

await t.test('every route with a body rejects an inexact number at any place', async t => {
  const admin = await person(app, 'super_admin')
  const taking = operations.filter(({ operation }) => operation.requestBody !== undefined)
  t.ok(taking.length > 40, `${taking.length} routes`)
  for (const { method, path, operation } of taking) {
    const credential = operation.security?.length === 0
      ? {}
      : { authorization: admin.token, 'x-application-id': shop.applicationId }
    const { statusCode, body } = await inject(app, {
      method: method as 'POST',
      url: path.replaceAll(/\{\w+\}/g, 'x1'),
      headers: { ...json, ...credential },
      payload: `{"any":{"part":[1,${id}]}}`
    })
    t.match({ status: statusCode, body: JSON.parse(body) }, refusal('/any/part/1'), `${method} ${path}`)
  }
})

await t.test('a rejected request changes nothing, and an accepted one keeps its digits', async t => {
  const documents = '/api/sync/session/documents'
  const { body: { id: document } } = await shop.request('POST', documents, { data: { n: 1 } })
  const before = (await shop.request('GET', `${documents}/${document}`)).text
  const refused: ['POST' | 'PUT' | 'PATCH', string, string, string][] = [
    ['POST', '/api/topics/order.placed/events', `{"payload":{"id":${id}}}`, '/payload/id'],
    [
      'POST',
      '/api/topics/order.placed/events',
      `{"events":[{"payload":1},{"payload":{"id":${id}}}]}`,
      '/events/1/payload/id'
    ],
    ['POST', '/api/topics/order.placed/events', '{"payload":3.14159265358979323846}', '/payload'],
    ['POST', documents, `{"data":{"id":${id}}}`, '/data/id'],
    ['PUT', `${documents}/${document}`, `{"data":{"id":${id}}}`, '/data/id'],
    ['PATCH', `${documents}/${document}/merge`, `{"data":{"a":{"id":${id}}}}`, '/data/a/id'],
    [
      'POST',
      `${documents}/${document}/mutate`,
      `{"mutations":[{"op":"set","path":"/id","value":${id}}]}`,
      '/mutations/0/value'
    ],
    [
      'POST',
      `${documents}/${document}/mutate`,
      `{"mutations":[{"op":"test","path":"/id","value":${id}}]}`,
      '/mutations/0/value'
    ],
    [
      'POST',
      `${documents}/${document}/mutate`,
      '{"mutations":[{"op":"increment","path":"/n","value":1e400}]}',
      '/mutations/0/value'
    ],
    ['POST', documents, '{"data":{},"expiresAt":9007199254740993}', '/expiresAt'],
    [
      'POST',
      '/api/schemas/order.placed',
      `{"schema":{"properties":{"id":{"const":${id}}}}}`,
      '/schema/properties/id/const'
    ],
    ['POST', '/api/schemas/order.placed', `{"schema":{"enum":[1,${id}]}}`, '/schema/enum/1'],
    [
      'POST', '/api/schemas/order.placed', '{"schema":{"type":"integer","maximum":9223372036854775807}}',
      '/schema/maximum'
    ],
    ['POST', '/api/schemas/order.placed', '{"schema":{"default":1e400}}', '/schema/default'],
    ['POST', '/api/socket/broadcast', `{"channel":"room","event":"said","data":[${id}]}`, '/data/0'],
    [
      'POST',
      '/api/webhooks',
      `{"url":"https://example.com/","events":["topic.event"],"filter":{"id":${id}}}`,
      '/filter/id'
    ],
    [
      'POST',
      '/api/database/mappings',
      `{"table":"orders","topic":"order.placed","events":["insert"],"payload":{"id":${id}}}`,
      '/payload/id'
    ],
    [
      'POST',
      '/api/database/mappings',
      `{"table":"orders","topic":"order.placed","events":["insert"],"when":{"id":{"gt":${id}}}}`,
      '/when/id/gt'
    ]
  ]
  for (const [method, path, body, place] of refused) {
    t.match(await shop.request(method, path, body), refusal(place), `${path} ${body}`)
  }
  t.match(
    await shop.request('POST', '/api/schemas/order.placed', {
      schema: { properties: { id: { type: 'number' } } }, activate: true
    }),
    { status: 201 }
  )
  for (
    const path of [
      '/api/schemas/order.placed/validate',
      ...operations.filter(({ path }) => /validate|preview/.test(path)).map(({ path }) =>
        path.replaceAll(/\{\w+\}/g, 'order.placed')
      )
    ]
  ) {
    t.match(await shop.request('POST', path, `{"payload":{"id":${id}}}`), refusal('/payload/id'), path)
  }
  t.equal((await shop.request('GET', `${documents}/${document}`)).text, before)
  t.same((await shop.request('GET', '/api/topics/order.placed/events')).body, [])

  const kept =
    '{"id":"1524831183200260097","small":9007199254740991,"large":9007199254740992,' +
      '"power":1e+21,"fraction":0.30000000000000004,"negative":-0.5}'
  t.equal((await shop.request('POST', documents, `{"id":"kept","data":${kept}}`)).status, 201)
  t.ok((await shop.request('GET', `${documents}/kept`)).text.includes(`"data":${kept}`))
  t.match(
    await shop.request(
      'POST',
      '/api/topics/order.placed/events',
      `{"payload":${kept.replace('"1524831183200260097"', '1')}}`
    ),
    { status: 201, text: kept.slice(30, -1) }
  )
})

await t.test('socket requests are rejected in their own response, and the connection stays open', async t => {
  const mark = 12345
  const requests: [string, object, string][] = [
    ['subscribe', { topic: 'order.placed', filter: { id: mark } }, '/filter/id'],
    ['subscribe', { topic: 'order.placed', after: mark }, '/after'],
    ['join', { channel: 'room', state: { id: [mark] } }, '/state/id/0'],
    ['presence', { channel: 'room', state: mark }, '/state'],
    ['publish', { channel: 'room', event: 'said', data: { id: mark } }, '/data/id'],
    ['direct', { socketId: 'x', event: 'said', data: mark }, '/data'],
    ['fly', { far: { x: mark } }, '/far/x']
  ]
  for (const { name, connect } of transports) {
    const client = await connect(url, { token: shop.token() })
    const witness = await connect(url, { token: shop.token() })
    for (const room of [client, witness]) await room.request('join', { channel: 'room' })
    for (const [request, fields, path] of requests) {
      for (const number of [id, '1e400', '-9007199254740993.0']) {
        const restore = writing(mark, number)
        const answer = client.request(request, fields)
        restore()
        t.match(await answer, {
          ok: false,
          error: 'ValidationError',
          code: 'NUMBER_INEXACT',
          message: new RegExp(`^${path} .*${number.slice(0, 10)}`),
          details: [{ path }]
        }, `${name} ${request} ${number}`)
      }
    }
    t.match(
      await client.request('publish', {
        channel: 'room',
        event: 'said',
        data: { text: `, ${id}`, id: 9007199254740992 }
      }),
      { ok: true, delivered: 1 }
    )
    t.same(
      (await witness.message('message'))['data'],
      { text: `, ${id}`, id: 9007199254740992 },
      'only the request that was sent'
    )
    t.equal(witness.messages.filter(message => message.name === 'message').length, 1)
    for (const room of [client, witness]) room.close()
  }
})

/** Clients cannot write such a number. Until it is restored, JSON.stringify writes one for `mark`. */
function writing (mark: number, number: string): () => void {
  const stringify = JSON.stringify
  JSON.stringify = ((value: unknown) => stringify(value).replace(String(mark), number)) as typeof JSON.stringify
  return () => { JSON.stringify = stringify }
}

await t.test('a Socket.IO request without an acknowledgement is rejected by an error event', async t => {
  for (const kind of ['websocket', 'polling'] as const) {
    const client = await connectSocketIo(url, { token: shop.token(), transports: [kind] })
    for (
      const packet of [`2["publish",{"channel":"room","event":"said","data":${id}}]`, `2["fly",${id}]`, `2[${id},{}]`]
    ) {
      client.messages.length = 0
      client.socket.io.engine.write(packet)
      t.match(await client.message('error'), { ok: false, code: 'NUMBER_INEXACT' }, `${kind} ${packet}`)
    }
    client.close()
  }
})

await t.test('numbers in queries and paths are not rounded either', async t => {
  const events = '/api/topics/order.placed/events'
  for (
    const after of [
      '9007199254740993', '9007199254740992', '18446744073709551615', '1e400', '9007199254740990.6',
      '1.00000000000000000001', '0.99999999999999999'
    ]
  ) {
    t.match(await shop.request('GET', `${events}?after=${after}`), {
      status: 400,
      body: { code: /NUMBER_INEXACT|VALIDATION_FAILED/, details: [{ path: '/after' }] }
    }, after)
  }
  for (const after of ['0', '1', '1.0', '9007199254740991']) {
    t.match(await shop.request('GET', `${events}?after=${after}`), { status: 200 }, after)
  }
  const numeric = operations.flatMap(({ method, path, operation }) =>
    (operation.parameters ?? []).map(resolve).filter(({ schema: { type } }) => type === 'integer' || type === 'number')
      .map(parameter => ({ ...parameter, label: `${method} ${path} ${parameter.name}` }))
  )
  t.ok(numeric.length > 10, `${numeric.length} parameters`)
  for (const { label, schema: { maximum = Infinity } } of numeric) {
    t.ok(maximum <= Number.MAX_SAFE_INTEGER, `${label} ends at the last exact integer`)
  }
})

await t.test('increment stops at 2^53 - 1', async t => {
  const documents = '/api/sync/session/documents'
  const { body: { id: document } } = await shop.request(
    'POST', documents, '{"data":{"n":9007199254740990,"limit":9007199254740992,"huge":1e21,"half":0.5,"wide":1e15}}'
  )
  const url = `${documents}/${document}`
  const increment = (path: string, value?: number) =>
    shop.request('POST', `${url}/mutate`, {
      mutations: [{ op: 'increment', path, ...(value !== undefined && { value }) }]
    })
  t.match(await increment('/n'), { status: 200, body: { data: { n: 9007199254740991 } } })
  for (
    const [path, value] of [
      ['/n', 1], ['/n', undefined], ['/n', 9007199254740991], ['/limit', 1], ['/limit', -1], ['/limit', 0.5],
      ['/huge', 1], ['/huge', -1e21], ['/half', 9007199254740992], ['/wide', 0.0001]
    ] as const
  ) {
    t.match(await increment(path, value), {
      status: 400, body: { code: 'MUTATION_FAILED', details: [{ path: '/mutations/0' }] }
    }, `${path} ${value}`)
  }
  t.match(
    await increment('/n', -1), { status: 200, body: { revision: 3, data: { n: 9007199254740990 } } },
    'nothing else is written'
  )
  t.match(await increment('/half', 0.1), { status: 200, body: { data: { half: 0.6 } } })
  t.match(await increment('/half', 0.1), { status: 200, body: { data: { half: 0.7 } } })
  t.match(await increment('/half', 0), { status: 200, body: { revision: 6 } })
})
