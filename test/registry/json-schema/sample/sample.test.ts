import t from 'tap'
import type { JsonSchema } from '../../../../src/registry/json-schema/json.ts'
import { sampleOf } from '../../../../src/registry/json-schema/sample/sample.ts'
import { compileValidator, type Validator } from '../../../../src/registry/json-schema/validation/validators.ts'
import { Random } from '../../../support/random.ts'
import { randomDocument } from '../attack.ts'
import { configuration, pigeons } from '../entangled.ts'
import { document } from '../generate.ts'

t.setTimeout(300_000)

const schemasMax = Number(process.env['CORPUS_PAIRS'] ?? 600)
const from = Number(process.env['CORPUS_FROM'] ?? 0)
const list = <T>(length: number, make: (i: number) => T): T[] => Array.from({ length }, (_, i) => make(i))
const sample = (schema: JsonSchema): unknown => sampleOf(schema)?.payload

t.test('a sample is valid, and nearly every generated schema with a valid document has one', async t => {
  let found = 0
  const invalid: unknown[] = []
  const missing: unknown[] = []
  for (let seed = from; seed < from + schemasMax; seed++) {
    const random = new Random(seed * 4391 + 3)
    const schema = document(random, 1 + random.below(3))
    let validator: Validator
    try { validator = compileValidator(schema) } catch { continue }
    const sampled = sampleOf(schema)
    if (sampled !== undefined) {
      found++
      if (!validator.isValid(sampled.payload)) invalid.push({ seed, schema, payload: sampled.payload })
    } else {
      const document = list(60, () => randomDocument(random, schema, schema)).find(one => validator.isValid(one))
      if (document !== undefined) missing.push({ seed, schema, document })
    }
  }
  t.comment(`${found} samples, ${missing.length} missing`)
  t.same(invalid, [])
  t.ok(found > schemasMax * 0.6, `${found} samples`)
  t.ok(missing.length <= (found + missing.length) / 100, `${missing.length} missing: ${JSON.stringify(missing[0])}`)
})

t.test('examples and defaults come first, unless they are invalid', async t => {
  const string = { type: 'string' }
  t.equal(sample({ ...string, examples: [1, 'second'], default: 'third' }), 'second')
  t.equal(sample({ ...string, examples: [1], default: 'third' }), 'third')
  t.equal(sample({ ...string, examples: 'none', default: 3, const: 'fourth' }), 'fourth')
  t.same(sample({
    type: 'object', required: ['b'],
    properties: {
      a: { ...string, examples: ['example'] }, b: { ...string, default: 'default' }, c: { enum: [5, 6] },
      d: { $ref: '#/$defs/d', examples: ['here'] }, e: { $ref: '#/$defs/d' }
    },
    $defs: { d: { ...string, examples: ['there'] } }
  }), { a: 'example', b: 'default', c: 5, d: 'here', e: 'there' })
})

t.test('a sample has every declared property, with sensible values', async t => {
  const schema = {
    type: 'object',
    properties: {
      id: { type: 'string', format: 'uuid' }, at: { type: 'string', format: 'date-time' },
      email: { type: 'string', format: 'email' }, code: { type: 'string', pattern: '^[A-Z]{2}-[0-9]{3}$' },
      short: { type: 'string', maxLength: 2 }, long: { type: 'string', minLength: 6 }, name: { type: 'string' },
      total: { type: 'number', minimum: 10 }, count: { type: 'integer', exclusiveMinimum: 3, exclusiveMaximum: 5 },
      step: { type: 'integer', multipleOf: 7, minimum: 20 }, share: { type: 'number', minimum: 0, maximum: 0.5 },
      isPaid: { type: 'boolean' }, gone: { type: 'null' }, tags: { type: 'array', items: { type: 'string' } },
      pair: { type: 'array', prefixItems: [{ type: 'string' }, { type: 'integer' }] }, any: {},
      kind: { oneOf: [{ type: 'object', properties: { a: { const: 'x' } }, required: ['a'] }, { type: 'string' }] },
      next: { $ref: '#' }
    }
  }
  const payload = sample(schema) as Record<string, unknown>
  t.match(payload['code'], /^[A-Z]{2}-[0-9]{3}$/)
  const { code, ...others } = payload
  t.same(others, {
    id: '123e4567-e89b-12d3-a456-426614174000', at: '2024-02-29T12:30:45Z', email: 'a@example.com', short: 'te',
    long: 'textte', name: 'text', total: 10, count: 4, step: 21, share: 0, isPaid: true, gone: null, tags: ['text'],
    pair: ['text', 1], any: 'text', kind: { a: 'x' }
  })
})

t.test('a sample is found where keywords depend on each other', async t => {
  const schemas: JsonSchema[] = [
    { type: 'object', properties: { a: {}, b: {} }, not: { required: ['a', 'b'] } },
    { type: 'object', properties: { a: { type: 'string' } }, maxProperties: 0 },
    { type: 'object', minProperties: 3, additionalProperties: { type: 'integer' }, propertyNames: { pattern: '^x' } },
    { type: 'array', items: { type: 'integer' }, minItems: 3, uniqueItems: true },
    { type: 'array', contains: { const: 'x' }, minContains: 2, items: { type: 'string' } },
    { oneOf: [{ type: 'number', multipleOf: 2 }, { type: 'number', multipleOf: 3 }] },
    {
      type: 'object', required: ['k'], properties: { k: { enum: ['a', 'b'] } },
      if: { properties: { k: { const: 'a' } } }, then: { required: ['x'] }, else: { required: ['y'] }
    },
    { allOf: [{ type: ['string', 'number'] }, { type: ['number', 'null'] }, { minimum: 3 }, { maximum: 3 }] },
    { type: 'object', properties: { a: { type: 'string' } }, dependentRequired: { a: ['b'] } },
    { properties: { child: { $ref: '#' } }, type: 'object', required: ['name'] },
    { type: 'object', properties: { a: {} }, unevaluatedProperties: false, required: ['a'] },
    { $schema: 'http://json-schema.org/draft-04/schema#', type: 'integer', minimum: 5, exclusiveMinimum: true },
    configuration(40)
  ]
  for (const schema of schemas) {
    const found = sampleOf(schema)
    t.ok(found !== undefined && compileValidator(schema).isValid(found.payload), JSON.stringify([schema, found]))
  }
})

t.test('no sample is invented where there is none', async t => {
  const schemas: JsonSchema[] = [
    false,
    { not: {} },
    { type: 'string', const: 1 },
    { enum: [] },
    { type: 'object', properties: { next: { $ref: '#' } }, required: ['next'] },
    { type: 'string', minLength: 300_000 },
    { type: 'array', minItems: 1_000_000 },
    { type: 'object', required: ['__proto__'] },
    pigeons(6)
  ]
  for (const schema of schemas) t.equal(sampleOf(schema), undefined, JSON.stringify(schema).slice(0, 100))
})

t.test('hostile schemas take a limited time and size', async t => {
  const chain = (length: number, make: (next: object) => JsonSchema): JsonSchema => ({
    $ref: '#/$defs/p0',
    $defs: Object.fromEntries(list(length, i => [`p${i}`, i === length - 1 ? {} : make({ $ref: `#/$defs/p${i + 1}` })]))
  })
  const schemas: Record<string, JsonSchema> = {
    'members that double': chain(60, next => ({ type: 'object', properties: { a: next, b: next } })),
    'required members that double': chain(60, next => ({
      type: 'object', properties: { a: next, b: next }, required: ['a', 'b']
    })),
    'branches that double': chain(60, next => ({ anyOf: [next, { allOf: [next, { minLength: 1 }] }] })),
    'a long chain': chain(1_900, next => ({ allOf: [next] })),
    'a long chain of members': chain(2_000, next => ({ type: 'object', properties: { a: next }, required: ['a'] })),
    'nested arrays': chain(30, next => ({ type: 'array', items: next, minItems: 20 })),
    'a large enum that never fits': {
      type: 'object', properties: { a: { enum: list(10_000, i => `v${i}`), minLength: 9 } }
    },
    pigeons: pigeons(12)
  }
  for (const [name, schema] of Object.entries(schemas)) {
    const found = sampleOf(schema)
    t.ok(JSON.stringify(found ?? null).length < 300_000, name)
    if (found !== undefined) t.ok(compileValidator(schema).isValid(found.payload), `${name}: valid`)
    t.comment(`${name}: ${JSON.stringify(found)?.slice(0, 80)}`)
  }
})
