import t from 'tap'
import type { JsonSchema } from '../../../../src/registry/json-schema/json.ts'
import { type PrintedType, printTypeScript } from '../../../../src/registry/json-schema/typescript/typescript.ts'
import { compileValidator, type Validator } from '../../../../src/registry/json-schema/validation/validators.ts'
import { Random } from '../../../support/random.ts'
import { randomDocument } from '../attack.ts'
import { configuration } from '../entangled.ts'
import { document } from '../generate.ts'
import { type Case, compileCases, diagnosticsOf } from './assignable.ts'

t.setTimeout(300_000)

const schemasMax = Number(process.env['CORPUS_PAIRS'] ?? 300)
const from = Number(process.env['CORPUS_FROM'] ?? 0)

const list = <T>(length: number, make: (i: number) => T): T[] => Array.from({ length }, (_, i) => make(i))
const print = (schema: JsonSchema, topic = 'order.placed') => printTypeScript(topic, schema)
const typeOf = (schema: JsonSchema): string => print(schema).type.replace(/\s+/g, ' ').trim()
const fileOf = (printed: PrintedType): string =>
  [`export interface TopicMap { x: ${printed.type} }`, ...printed.declarations].join('\n')

t.test('every valid payload of a generated schema can be assigned to its type', async t => {
  const valid: Case[] = []
  const invalid: Case[] = []
  for (let seed = from; seed < from + schemasMax; seed++) {
    const random = new Random(seed * 6271 + 5)
    const schema = document(random, 1 + random.below(3))
    let validator: Validator
    try { validator = compileValidator(schema) } catch { continue }
    const printed = printTypeScript(`seed.${seed}`, schema)
    const documents = Array.from({ length: 40 }, () => randomDocument(random, schema, schema))
    const isValid = documents.map(one => validator.isValid(one))
    valid.push({ topic: `seed.${seed}`, printed, payloads: documents.filter((_, i) => isValid[i]).slice(0, 12) })
    const refused = documents.filter((_, i) => isValid[i] === false).slice(0, 3)
    invalid.push({ topic: `bad.${seed}`, printed: { ...printed, declarations: [] }, payloads: refused })
  }
  const payloads = valid.reduce((sum, one) => sum + one.payloads.length, 0)
  t.ok(payloads > valid.length * 3, `${payloads} valid payloads of ${valid.length} schemas`)
  const refused = new Set<string>()
  const errors = compileCases([...valid, ...invalid]).filter(({ topic, payload }) => {
    if (topic?.startsWith('bad.') === true && payload !== undefined) refused.add(`${topic} ${payload}`)
    return topic?.startsWith('bad.') !== true
  })
  t.same(errors.slice(0, 5), [])
  const wrong = invalid.reduce((sum, one) => sum + one.payloads.length, 0)
  t.comment(`the types reject ${refused.size} of ${wrong} invalid payloads`)
  t.ok(refused.size > wrong * 0.3, 'the types reject many invalid payloads')
})

t.test('each keyword has its type', async t => {
  const types: [JsonSchema, string][] = [
    [true, 'unknown'],
    [false, 'never'],
    [{}, 'unknown'],
    [{ type: 'integer' }, 'number'],
    [{ type: ['string', 'null'] }, 'string | null'],
    [{ enum: ['a', 1, null, true] }, "'a' | 1 | null | true"],
    [{ const: { a: [1, 'b'] } }, "{ a: [1, 'b'] }"],
    [{ type: 'string', enum: ['a', 1] }, "'a'"],
    [{ type: 'array', items: { type: ['string', 'number'] } }, '(string | number)[]'],
    [{ type: 'array' }, 'unknown[]'],
    [{ type: 'array', prefixItems: [{ type: 'string' }, { type: 'number' }], minItems: 1 },
      '[string, number?, ...unknown[]]'],
    [{ type: 'array', prefixItems: [{ type: 'string' }], items: false, minItems: 1 }, '[string]'],
    [{ $schema: 'http://json-schema.org/draft-07/schema#', type: 'array', items: [{ type: 'null' }], maxItems: 1 },
      '[null?]'],
    [{ type: 'object' }, '{ [key: string]: unknown }'],
    [{ type: 'object', additionalProperties: { type: 'number' } }, '{ [key: string]: number }'],
    [{ type: 'object', patternProperties: { a: { type: 'number' } }, additionalProperties: { type: 'null' } },
      '{ [key: string]: number | null }'],
    [{ type: 'object', additionalProperties: false }, '{ [key: string]: never }'],
    [{ type: 'object', properties: { id: {}, 'a-b': { type: 'string' } }, required: ['id'] },
      "{ id: unknown 'a-b'?: string }"],
    [{ type: 'object', properties: { a: { type: 'string' } } }, '{ a?: string [key: string]: unknown }'],
    [{ type: 'object', properties: { a: { type: 'string' } }, additionalProperties: false }, '{ a?: string }'],
    [{ properties: { a: { type: 'string' } } },
      '{ a?: string [key: string]: unknown } | unknown[] | string | number | boolean | null'],
    [{ oneOf: [{ type: 'string' }, { const: 1 }] }, '1 | string'],
    [{ type: 'string', anyOf: [{ properties: { a: {} } }, { minLength: 1 }] }, 'string'],
    [{ type: 'object', allOf: [{ required: ['a'] }, { type: ['object', 'string'], properties: { b: {} } }] },
      '{ a: {} | null } & { b?: unknown [key: string]: unknown }'],
    [{ type: 'object', if: { required: ['a'] }, then: { required: ['b'] }, else: { required: ['c'] } },
      '{ b: {} | null } | { c: {} | null }'],
    [{ type: 'object', if: { required: ['a'] }, then: { required: ['b'] } }, '{ [key: string]: unknown }'],
    [{ type: 'object', not: { required: ['a'] } }, '{ [key: string]: unknown }']
  ]
  for (const [schema, type] of types) t.equal(typeOf(schema), type, JSON.stringify(schema))
})

t.test('shared and recursive schemas have names, which no other topic has', async t => {
  const schema = {
    type: 'object',
    properties: { to: { $ref: '#/$defs/address' }, from: { $ref: '#/$defs/address' }, next: { $ref: '#' } },
    $defs: { address: { type: 'object', properties: { street: { type: 'string' } }, required: ['street'] } }
  }
  const { type, declarations } = print(schema)
  t.equal(type, 'OrderPlaced_Root')
  t.same(declarations.map(text => text.split(' = ')[0]), ['type OrderPlaced_Address', 'type OrderPlaced_Root'])
  t.same(diagnosticsOf(fileOf(print(schema))), [])
  const topics = [
    'a.1', 'a1', 'a._1', 'a_.1', 'a-1', 'a.-1', 'a__1', '1', 'a', 'a.b', 'ab', 'a.b.c', 'x-', 'x.-', 'x_.a'
  ]
  const names = topics.flatMap(topic => print(schema, topic).declarations.map(text => text.split(' ')[1]))
  t.equal(new Set(names).size, topics.length * 2)
})

t.test('descriptions become comments', async t => {
  const { comment, type } = print({
    description: 'An order.', type: 'object',
    properties: { a: { description: 'First\nsecond' }, b: { $ref: '#/$defs/b' }, c: { title: 'Title' } },
    $defs: { b: { description: 'A definition', type: 'string' } }
  })
  t.same(comment, ['/** An order. */'])
  t.match(type, '  /**\n   * First\n   * second\n   */\n  a?: unknown')
  t.match(type, '  /** A definition */\n  b?: string')
  t.match(type, '  /** Title */\n  c?: unknown')
})

t.test('no text of a schema becomes code', async t => {
  const evil = [
    '*/ evil() /*', "' | any; evil(); '", '`$' + '{evil()}`', '\\', "\\'; evil(); '", '"', '\u2028evil()',
    '\nevil()\r', '*/', '/*',
    '@ts-nocheck', '@ts-expect-error nothing', '@ts-ignore', '\u202e evil', '/// <reference path="/etc/passwd" />',
    '};evil();{', '*\u200b/', '0', '-1', '1e3', 'a b', '', 'constructor', 'toString', 'new', 'get', 'readonly',
    'a?', '__proto_'
  ]
  const cases = evil.map((text, i): Case => {
    const schema = {
      description: text, title: text, type: 'object', required: [text, `${text}2`],
      properties: {
        [text]: { description: text, enum: [text, { [text]: text }, [text]] },
        other: { $ref: '#/$defs/x', title: text }, again: { $ref: '#/$defs/x' }, [`${text}/`]: { type: 'string' }
      },
      $defs: { x: { $id: 'https://example.com/x', $anchor: 'x', description: text, type: 'object', required: [text] } }
    }
    const payload = { [text]: text, [`${text}2`]: null, other: { [text]: 1 }, again: { [text]: null } }
    t.ok(compileValidator(schema).isValid(payload), `text ${i}`)
    return {
      topic: `evil.${i}`, printed: print(schema, `evil.${i}`), payloads: [payload, { ...payload, [text]: [text] }]
    }
  })
  t.same(compileCases(cases), [])
  t.equal(typeOf({ enum: ['\ud800'], description: '\ud800' }), "'\\ud800'")
  const file = cases.map(({ topic, printed: { comment, type, declarations } }) =>
    [...comment, `interface TopicMap { '${topic}': ${type} }`, ...declarations].join('\n')
  ).join('\n')
  t.same(
    diagnosticsOf(`${file}\nlet found: TopicMap['evil.0']\nlet undeclared: Missing`).map(({ message }) => message),
    ["TS2304: Cannot find name 'Missing'."], 'no comment changes how the rest is compiled'
  )
  t.notMatch(file, /[\u202a-\u202e\u2028\u2029\u200b]/u)
})

t.test('a payload can be assigned where the compiler is stricter than the schema', async t => {
  const cases: [JsonSchema, unknown[]][] = [
    [{ type: 'object', properties: { a: { type: 'number' } } }, [{ b: 1 }, {}, { a: 1, b: 1 }]],
    [{ type: 'object', properties: { toString: { type: 'number' }, constructor: { type: 'null' } } }, [{}, { a: 1 }]],
    [{ type: 'object', properties: { valueOf: { type: 'number' }, a: {} }, required: ['a'] }, [{ a: 1 }]],
    [{ type: 'object', allOf: [{ properties: { a: { const: 1 } } }, { properties: { b: { const: 2 } } }] }, [{ c: 3 }]],
    [{ anyOf: [{ type: 'object', properties: { a: { type: 'string' } } }, { type: 'array' }] }, [{ c: 3 }, [], [1]]],
    [{ type: 'array', prefixItems: [{ type: 'string' }, { type: 'number' }] }, [[], ['a'], ['a', 1, null]]],
    [{ type: 'object', required: ['hasOwnProperty'] }, [{ hasOwnProperty: null }]],
    [{ enum: [{}, []] }, [{}, []]],
    [{ enum: [1e21, -0.5, 5e-324, -0, 123456789012345680000] }, [1e21, -0.5, 5e-324, 0, 123456789012345680000]]
  ]
  for (const [i, [schema, payloads]] of cases.entries()) {
    const validator = compileValidator(schema)
    for (const payload of payloads) t.ok(validator.isValid(payload), JSON.stringify([schema, payload]))
    t.same(compileCases([{ topic: `case.${i}`, printed: print(schema, `case.${i}`), payloads }]), [])
  }
})

const kinds = (count: number) =>
  list(count, i => ({ type: 'object', properties: { [`p${i}`]: { const: i } }, required: [`p${i}`] }))
/** Returns a schema with definitions, of which each may refer to the next. */
const chain = (length: number, make: (next: object, i: number) => JsonSchema, last: JsonSchema): JsonSchema => ({
  $ref: '#/$defs/p0',
  $defs: Object.fromEntries(
    list(length, i => [`p${i}`, i === length - 1 ? last : make({ $ref: `#/$defs/p${i + 1}` }, i)])
  )
})
const hostile: Record<string, JsonSchema> = {
  'a graph that doubles in place': chain(40, (next, i) => ({
    anyOf: [next, { allOf: [next, { required: [`a${i}`] }] }]
  }), { type: 'object', required: ['x'] }),
  'a graph that doubles in its members': chain(200, next => ({
    type: 'object', properties: { a: next, b: next }
  }), { type: 'object', properties: { a: { $ref: '#/$defs/p0' } } }),
  'a long chain in place': chain(1_500, (next, i) => ({ allOf: [next], required: [`p${i}`] }), { required: ['x'] }),
  'a long chain of alternatives': chain(600, (next, i) => ({
    anyOf: [next, { required: [`a${i}`] }], allOf: [{ anyOf: kinds(2) }]
  }), { required: ['x'] }),
  'a long chain of members': chain(2_000, next => ({ type: 'object', properties: { a: next } }), {
    type: 'object', properties: { a: { $ref: '#' } }
  }),
  '6^30 combinations': { allOf: list(30, () => ({ anyOf: kinds(6) })) },
  '2^20 combinations of a member': { properties: { a: { allOf: list(20, i => ({ anyOf: kinds(2 + i % 3) })) } } },
  'a huge enum': { enum: list(15_000, i => `value ${i}`) },
  'a huge tuple': { type: 'array', prefixItems: list(10_000, () => ({ type: 'null' })) },
  'ten thousand properties': { properties: Object.fromEntries(list(10_000, i => [`p${i}`, { type: 'string' }])) },
  'deep nesting': list(28, i => i).reduce<JsonSchema>(inner => ({ properties: { x: inner } }), { type: 'string' }),
  'a realistic large schema': configuration(300)
}
for (const [name, schema] of Object.entries(hostile)) {
  t.test(`${name}: the type has a limited size and compiles`, async t => {
    const printed = print(schema)
    const file = fileOf(printed)
    t.ok(file.length < 20_000 + 9 * JSON.stringify(schema).length, `${file.length} characters`)
    t.same(diagnosticsOf(file).slice(0, 3), [])
    t.comment(`${file.length} characters: ${file.slice(0, 100)}`)
  })
}

t.test('nesting does not use up the size of a type', async t => {
  const leaf = {
    type: 'object', properties: Object.fromEntries(list(400, i => [`property${i}`, { type: 'string' }]))
  }
  for (const [depth, inner] of [[6, leaf], [12, leaf], [29, { type: 'boolean' }], [28, leaf]] as const) {
    const nested = list(depth, i => i).reduce<JsonSchema>(
      (schema, i) => ({ type: 'object', properties: { [`d${i}`]: schema }, required: [`d${i}`] }), inner
    )
    const printed = print(nested)
    t.notMatch(fileOf(printed).replaceAll('[key: string]: unknown', ''), /unknown/, `depth ${depth}`)
    t.same(diagnosticsOf(fileOf(printed)), [], `depth ${depth}`)
  }
})

t.test('a type that would be too large is unknown, and the comment has the reason', async t => {
  const printed = print({
    required: list(3_000, i => `p${i}`), additionalProperties: { enum: list(300, i => `v${i}`) }
  })
  t.same(printed, { type: 'unknown', comment: ['/** The schema is too large for a type. */'], declarations: [] })
})
