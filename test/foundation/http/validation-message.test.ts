import { Type, type TSchema } from '@sinclair/typebox'
import { Ajv } from 'ajv'
import t from 'tap'
import { createConfig } from '../../../src/config.ts'
import { toDetail } from '../../../src/foundation/http/validation.ts'
import { compileValidator } from '../../../src/registry/json-schema/validation/validators.ts'
import { build, listen } from '../../support/build.ts'
import { connectSocketIo } from '../../support/clients.ts'
import { tenant } from '../../support/tenant.ts'

const ajv = new Ajv({ strict: false, verbose: true })
const detailOf = (schema: TSchema | object, value: unknown) => {
  const validate = ajv.compile(schema)
  if (validate(value)) throw new Error('it is valid')
  return toDetail(validate.errors ?? [])
}
const Colour = Type.Union([Type.Literal('red'), Type.Literal('green')])
const Step = Type.Union([
  Type.Object({ op: Type.Literal('set'), path: Type.String(), value: Type.Unknown() }, { additionalProperties: false }),
  Type.Object({ op: Type.Literal('increment'), path: Type.String(), by: Type.Number() }, {
    additionalProperties: false
  }),
  Type.Object({ op: Type.Literal('clear') }, { additionalProperties: false })
])
const of = (schema: TSchema | object) => ({ type: 'object', properties: { at: schema } })

t.test('an invalid enum value is rejected with the allowed values, listed once, in every form of an enum', async t => {
  for (
    const schema of [
      Colour, { enum: ['red', 'green'] }, { type: 'string', enum: ['red', 'green'] },
      { anyOf: [{ const: 'red' }, { const: 'green' }] }, { oneOf: [{ const: 'red' }, { const: 'green' }] },
      { anyOf: [{ enum: ['red'] }, { enum: ['red', 'green'] }] }
    ]
  ) {
    t.strictSame(
      detailOf(of(schema), { at: 'blue' }), { path: '/at', message: 'must be one of "red", "green"' },
      JSON.stringify(schema)
    )
  }
  t.strictSame(
    detailOf(of(Colour), { at: null }), { path: '/at', message: 'must be one of "red", "green"' },
    'also of another type'
  )
  t.strictSame(detailOf(of(Type.Union([Colour, Type.Null()])), { at: 'blue' }), {
    path: '/at', message: 'must be one of "red", "green" or null'
  })
  t.strictSame(detailOf(of(Type.Array(Colour)), { at: ['red', 'blue'] }), {
    path: '/at/1', message: 'must be one of "red", "green"'
  })
  t.strictSame(detailOf(of(Type.Union([Type.Array(Colour), Type.Null()])), { at: ['blue'] }), {
    path: '/at/0', message: 'must be one of "red", "green"'
  })
  t.strictSame(detailOf(of(Type.Literal(7)), { at: 8 }), { path: '/at', message: 'must be 7' })
  const long = detailOf({ enum: ['x'.repeat(500), ...Array.from({ length: 299 }, (_, i) => i)] }, 'y').message
  t.match(long, / and 200 more$/)
  t.ok(long.length < 1000, 'a long list is cut')
})

t.test('the message of a union combines its members, or explains the intended one', async t => {
  t.strictSame(detailOf(of(Type.Union([Type.String(), Type.Null()])), { at: 7 }), {
    path: '/at', message: 'must be string or null'
  })
  t.strictSame(detailOf(of(Type.Union([Type.Array(Type.String()), Type.Null()])), { at: 7 }), {
    path: '/at', message: 'must be array or null'
  })
  t.strictSame(detailOf(of(Type.Union([Type.Integer({ minimum: 1 }), Type.Null()])), { at: 0 }), {
    path: '/at', message: 'must be >= 1 or null'
  })
  t.strictSame(detailOf(of(Step), { at: { op: 'explode' } }), {
    path: '/at/op', message: 'must be one of "set", "increment", "clear"'
  })
  t.strictSame(detailOf(of(Step), { at: { op: 'set', value: 1 } }), { path: '/at/path', message: 'is required' })
  t.strictSame(detailOf(of(Step), { at: { op: 'increment', path: 'a', by: 'x' } }), {
    path: '/at/by', message: 'must be number'
  })
  t.strictSame(detailOf(of(Type.Union([Step, Type.Null()])), { at: { op: 'explode' } }), {
    path: '/at/op', message: 'must be one of "set", "increment", "clear"'
  })
  t.strictSame(detailOf(of(Step), { at: 7 }), { path: '/at', message: 'must be object' })
})

t.test('other messages are readable', async t => {
  t.strictSame(detailOf(Type.Object({}, { minProperties: 1 }), {}), {
    path: '', message: 'must not have fewer than 1 property'
  })
  t.strictSame(detailOf(Type.Array(Type.Any(), { minItems: 1 }), []), {
    path: '', message: 'must not have fewer than 1 item'
  })
  t.strictSame(detailOf(Type.String({ minLength: 2 }), 'a'), {
    path: '', message: 'must not have fewer than 2 characters'
  })
  t.strictSame(detailOf({ properties: { a: false } }, { a: 1 }), { path: '/a', message: 'is not allowed' })
  t.strictSame(detailOf(Type.Object({}, { additionalProperties: false }), { b: 1 }), {
    path: '/b', message: 'is not a known field'
  })
  t.strictSame(detailOf(Type.String({ pattern: '^wh_', examples: ['wh_abc123'] }), 'x'), {
    path: '', message: 'must match pattern "^wh_", as "wh_abc123" does'
  })
  t.strictSame(toDetail([]), { path: '', message: 'is wrong' })
})

t.test("the messages are used for bodies, queries, sockets, customers' schemas and variables", async t => {
  const { app } = await build(t)
  const shop = await tenant(app)
  await shop.topic('order.placed')
  const messageOf = async (method: 'GET' | 'POST' | 'PATCH', path: string, body?: object) => {
    const answer = (await shop.request(method, path, body)).body as { message: string, details: unknown[] }
    t.equal(answer.details.length, 1, 'one detail')
    return answer.message
  }
  t.equal(
    await messageOf('POST', '/api/webhooks', { url: 'https://example.com', events: ['*'], ordering: 'wild' }),
    'The body /ordering must be one of "none", "key"'
  )
  t.equal(
    await messageOf('GET', '/api/webhooks/deliveries?state=wild'),
    'The query /state must be one of "pending", "delivered", "dead"'
  )
  t.match(
    await messageOf('PATCH', '/api/webhooks/wh_abc', { environments: ['moon'] }),
    /^The body \/environments\/0 must be one of "development", "staging", "production"$/
  )
  t.match(await messageOf('POST', '/api/schemas/order.placed', { schema: { type: 'strin' } }), /^[^(]*\(at \/type\)$/)
  t.match(
    await messageOf('POST', '/api/schemas/order.placed', { schema: { properties: { a: { pattern: '(' } } } }),
    /^[^(]*"\("[^(]*\(at \/properties\/a\/pattern\)$/
  )

  const client = await connectSocketIo(await listen(app), { token: shop.token() })
  t.match(await client.request('subscribe', { topic: 'order.placed', after: 'x' }), {
    ok: false, message: '/after must be integer or object', details: [{ path: '/after' }]
  })
  client.close()

  const validator = compileValidator({ properties: { s: { enum: ['a', 'b'] }, c: { const: { x: 1 } } } })
  t.match(validator.validate({ s: 'z' }), [{ path: '/s', message: 'must be one of "a", "b"', keyword: 'enum' }])
  t.match(validator.validate({ c: 1 }), [{ path: '/c', message: 'must be {"x":1}', keyword: 'const' }])
  t.throws(() => createConfig({ LOG_LEVEL: 'loud' }), { message: /LOG_LEVEL must be one of [^\n]*"info"/ })
})
