import t from 'tap'
import { build } from '../support/build.ts'
import { documentOf } from '../support/dereferenced.ts'
import { tenant } from '../support/tenant.ts'

/* A retry with an idempotency key is recognised by the value of its body, not by its text (RFC 8785). */

t.setTimeout(600_000)

type Parameter = { name: string } | { $ref: string }
interface Operation {
  parameters?: Parameter[]
}
interface Document {
  paths: Record<string, Record<string, Operation>>
  components: { parameters: Record<string, { name: string }> }
}

const { app } = await build(t)
const shop = await tenant(app)
await shop.topic('order.placed')

await t.test('a retry with its members in another order is the same request', async t => {
  const create = '/api/sync/session/documents'
  const routes: [string, string, string, string][] = [
    [
      '/api/topics/order.placed/events', '{"payload":{"a":{"x":1,"y":[{"m":1,"n":2}]},"b":2},"key":"k"}',
      '{ "key": "k", "payload": {"b": 2.0, "a": {"y": [{"n":2,"m":1}], "x": 1e0}}}',
      '{"payload":{"a":{"x":1,"y":[{"m":2,"n":2}]},"b":2},"key":"k"}'
    ],
    [
      '/api/topics/order.placed/events', '{"events":[{"payload":{"a":1,"b":2}},{"payload":2}]}',
      '{"events":[{"payload":{"b":2,"a":1}},{"payload":2}]}', '{"events":[{"payload":2},{"payload":{"b":2,"a":1}}]}'
    ],
    [
      create, '{"id":"one","data":{"a":1,"b":{"c":2,"d":3}}}', '{"data":{"b":{"d":3,"c":2},"a":1},"id":"one"}',
      '{"data":{"b":{"d":3,"c":"2"},"a":1},"id":"one"}'
    ],
    [
      `${create}/one/mutate`,
      '{"mutations":[{"op":"set","path":"/a","value":{"x":1,"y":2}},{"op":"increment","path":"/n"}]}',
      '{"mutations":[{"value":{"y":2,"x":1},"path":"/a","op":"set"},{"path":"/n","op":"increment"}]}',
      '{"mutations":[{"op":"increment","path":"/n"},{"op":"set","path":"/a","value":{"x":1,"y":2}}]}'
    ],
    [
      '/api/socket/broadcast', '{"channel":"room","event":"said","data":{"a":1,"b":[{"c":1,"d":2}]}}',
      '{"data":{"b":[{"d":2,"c":1}],"a":1},"event":"said","channel":"room"}',
      '{"data":{"b":[{"d":2,"c":1}],"a":null},"event":"said","channel":"room"}'
    ],
    [
      '/api/topics/order.placed/events', '{"payload":{"\\ud800":"\\udc00","é":1,"toJSON":{"b":1,"a":2},"10":1,"9":2}}',
      '{"payload":{"9":2,"10":1,"toJSON":{"a":2,"b":1},"\\u00e9":1,"\\ud800":"\\udc00"}}',
      '{"payload":{"9":2,"10":1,"toJSON":{"a":2,"b":1},"e":1,"\\ud800":"\\udc00"}}'
    ],
    [
      '/api/topics/order.placed/events',
      `{"payload":{"a":1,"deep":${'{"a":'.repeat(60)}1${'}'.repeat(60)}}}`,
      `{"payload":{"deep":${'{"a":'.repeat(60)}1${'}'.repeat(60)},"a":1}}`,
      '{"payload":{"deep":1}}'
    ]
  ]
  const { paths, components } = documentOf<Document>(app)
  const nameOf = (parameter: Parameter) =>
    '$ref' in parameter ? components.parameters[parameter.$ref.split('/').at(-1) ?? '']?.name : parameter.name
  const takesKey = ({ parameters = [] }: Operation) =>
    parameters.some(parameter => nameOf(parameter)?.toLowerCase() === 'idempotency-key')
  const offered = Object.entries(paths).filter(([, methods]) => Object.values(methods).some(takesKey)).map(([path]) =>
    path.split('/').at(-1)
  )
  t.same(
    [...new Set(offered)].sort(), ['broadcast', 'documents', 'events', 'merge', 'mutate', '{id}'],
    'no route takes a key that is not tried here'
  )
  for (const [i, [path, first, retry, other]] of routes.entries()) {
    const headers = { 'idempotency-key': `key-${i}` }
    const answer = await shop.request('POST', path, first, headers)
    t.match(answer, { status: path.endsWith('broadcast') || path.endsWith('mutate') ? 200 : 201 }, path)
    t.match(
      await shop.request('POST', path, retry, headers),
      { status: answer.status, text: answer.text },
      `${path} ${retry}`
    )
    t.match(await shop.request('POST', path, first, headers), { status: answer.status, text: answer.text })
    t.match(
      await shop.request('POST', path, other, headers),
      { status: 409, body: { code: 'IDEMPOTENCY_KEY_REUSED' } },
      `${path} ${other}`
    )
  }
  t.equal((await shop.request('GET', `${create}/one`)).body.data.n, 1, 'each request has one effect')
})

await t.test('a retry of a whole batch in another order has no second effect', async t => {
  await shop.topic('order.many')
  const payload = (i: number) => ({ a: i, b: { c: [i], d: `text ${i}` }, e: 'x'.repeat(1000) })
  const turned = (i: number) => ({ e: 'x'.repeat(1000), b: { d: `text ${i}`, c: [i] }, a: i })
  const send = (make: (i: number) => object) =>
    shop.request('POST', '/api/topics/order.many/events', {
      events: Array.from({ length: 1000 }, (_, i) => ({ payload: make(i) }))
    }, { 'idempotency-key': 'many' })
  const first = await send(payload)
  t.equal(first.status, 201)
  t.equal((await send(turned)).text, first.text)
  t.equal((await shop.request('GET', '/api/topics/order.many/events?limit=1000&after=999')).body.length, 1)
})

await t.test('a retried replacement, merge or deletion has no second effect, even after other writes', async t => {
  const documents = '/api/sync/retried/documents'
  const at = `${documents}/one`
  const create = (data: object) => shop.request('POST', documents, { id: 'one', data })
  await create({ a: 1 })
  const writes: ['PUT' | 'PATCH' | 'DELETE', string, string, string, string | undefined][] = [
    ['PUT', at, '{"data":{"a":2,"b":{"c":1,"d":2}}}', '{"data":{"b":{"d":2,"c":1},"a":2}}', '{"data":{}}'],
    ['PATCH', `${at}/merge`, '{"data":{"a":3,"b":null}}', '{"data":{"b":null,"a":3}}', '{"data":{"a":4}}'],
    ['DELETE', at, '', '', undefined]
  ]
  for (const [method, path, first, retry, other] of writes) {
    const headers = { 'idempotency-key': `${method}-1` }
    const send = (body: string) => shop.request(method, path, body === '' ? undefined : body, headers)
    const answer = await send(first)
    t.equal(answer.status, 200, answer.text)
    if (method === 'DELETE') await create({ a: 'again' })
    else await shop.request('PATCH', `${at}/merge`, { data: { a: 'another' } })
    const between = (await shop.request('GET', at)).text
    t.match(await send(retry), { status: 200, text: answer.text }, method)
    t.equal((await shop.request('GET', at)).text, between)
    if (other === undefined) continue
    t.match(await send(other), { status: 409, body: { code: 'IDEMPOTENCY_KEY_REUSED' } })
  }
  const headers = { 'idempotency-key': 'DELETE-1', 'if-match': '*' }
  t.match(await shop.request('DELETE', at, undefined, headers), { status: 409 }, 'with another condition')
})
