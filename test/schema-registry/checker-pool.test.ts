import { monitorEventLoopDelay } from 'node:perf_hooks'
import t from 'tap'
import { createSchemaChecker, type SchemaChecker } from '../../src/schema-registry/checker-pool.ts'
import type { JsonSchema } from '../../src/schema-registry/compatibility.ts'

const list = <T>(length: number, make: (i: number) => T): T[] => Array.from({ length }, (_, i) => make(i))
const record = <T>(length: number, make: (i: number) => T): Record<string, T> => Object.fromEntries(list(length, (i) => [`p${i}`, make(i)]))

const kinds = (word: 'anyOf' | 'oneOf', type: (i: number) => string) => ({ [word]: list(200, (i) => ({ type: 'object', properties: { kind: { const: `k${i}` }, value: { type: type(i) } }, required: ['kind'] })) })
const mutual = (min: number) => ({
  $ref: '#/$defs/p0',
  $defs: record(12, (i) => ({ type: 'object', properties: { v: { type: 'integer', minimum: min + i }, c: { oneOf: list(12, (j) => ({ $ref: `#/$defs/p${(i + j) % 12}` })) } }, required: ['v'] }))
})
const doubling = (type: string) => ({
  $ref: '#/$defs/p0',
  $defs: record(13, (i) => i === 12 ? { type } : { oneOf: [{ $ref: `#/$defs/p${i + 1}` }, { allOf: [{ $ref: `#/$defs/p${i + 1}` }, { minLength: i }] }] })
})
const deep = (depth: number, leaf: JsonSchema): JsonSchema => depth === 0 ? leaf : { properties: { x: deep(depth - 1, leaf) } }
const grid = (width: number) => ({ allOf: list(30, (i) => ({ anyOf: list(width, (j) => ({ type: 'object', properties: { [`p${i}`]: { const: j } }, required: [`p${i}`] })) })) })

const PATHOLOGICAL: [name: string, writer: JsonSchema, reader: JsonSchema][] = [
  ['10,000 properties', { properties: record(10_000, () => ({ const: 1 })) }, { properties: record(10_000, (i) => ({ const: i === 5_000 ? 2 : 1 })) }],
  ['9,000 properties, all changed', { properties: record(9_000, () => ({ const: 1 })) }, { properties: record(9_000, () => ({ const: 2 })) }],
  ['8,000 properties, all widened', { properties: record(8_000, () => ({ const: 1 })) }, { properties: record(8_000, () => ({ minimum: 1 })) }],
  ['12 mutually referring oneOfs', mutual(0), mutual(1)],
  ['oneOfs that double in place', doubling('string'), doubling('number')],
  ['deep nesting', deep(30, { type: 'string' }), deep(30, { type: 'number' })],
  ['200 anyOf branches', kinds('anyOf', () => 'integer'), kinds('anyOf', () => 'number')],
  ['200 anyOf branches, one narrowed', kinds('anyOf', () => 'integer'), kinds('anyOf', (i) => i === 150 ? 'string' : 'number')],
  ['200 oneOf branches', kinds('oneOf', () => 'integer'), kinds('oneOf', () => 'number')],
  ['200 overlapping ranges', { anyOf: list(200, (i) => ({ type: 'integer', minimum: i, maximum: i + 10 })) }, { anyOf: list(199, (i) => ({ type: 'number', minimum: i, maximum: i + 10 })) }],
  ['200 patterns', { anyOf: list(200, (i) => ({ type: 'string', pattern: `^(a|b)*a(a|b){${i % 12}}$` })) }, { anyOf: list(200, (i) => ({ type: 'string', pattern: `^(a|b)*b(a|b){${i % 14}}$` })) }],
  ['6^30 combinations', grid(6), grid(5)],
  ['an automaton of a million states', { type: 'string', pattern: '^(a|b)*a(a|b){20}$' }, { type: 'string', pattern: '^(a|b)*b(a|b){20}$' }],
  ['overlapping patterns of names', { patternProperties: Object.fromEntries(list(14, (i) => [`^.*${String.fromCharCode(97 + i)}`, { minLength: i }])), type: 'object' }, { patternProperties: { '^.*': { maxLength: 30 } } }]
]

let checker: SchemaChecker
t.before(async () => {
  checker = createSchemaChecker()
  await checker.check({ schema: {}, earlier: [{ version: 1, schema: true }], mode: 'full', policy: 'strict' })
})
t.teardown(() => checker.close())

t.test('a pathological pair is answered, or given up with a reason, while the event loop goes on', async (t) => {
  for (const [name, writer, reader] of PATHOLOGICAL) {
    const delay = monitorEventLoopDelay({ resolution: 5 })
    delay.enable()
    let turns = 0
    const turning = setInterval(() => { turns++ }, 1)
    const start = performance.now()
    const { compatible, changes } = await checker.check({ schema: reader, earlier: [{ version: 1, schema: writer }], mode: 'backward', policy: 'lenient' })
    const ms = performance.now() - start
    clearInterval(turning)
    delay.disable()
    const refused = changes.find((change) => !change.compatible)
    t.comment(`${name}: ${ms.toFixed(0)} ms, longest stretch ${(delay.max / 1e6).toFixed(0)} ms, ${compatible ? 'compatible' : refused?.reason ?? 'witness'}`)
    t.equal(compatible, refused === undefined)
    t.ok(compatible || refused?.reason !== undefined || 'witness' in refused!, `${name}: proved, refuted or given up with a reason`)
    t.ok(turns >= Math.min(3, Math.floor(ms / 100)), `${name}: the event loop went on`)
  }
})

t.test('a schema is tried before it is compiled where payloads are served', async (t) => {
  await checker.compile({ type: 'string' })
  await t.rejects(checker.compile({ $ref: 'http://example.com' }), { name: 'SchemaError', reason: /outside the document/ })
  await t.rejects(checker.compile({ type: 'text' }), { name: 'SchemaError', path: '/type' })
  await t.rejects(checker.compile({ enum: ['x'.repeat(300_000)] }), { name: 'SchemaError', reason: /bytes/ })
  await t.rejects(checker.check({ schema: { pattern: '(' }, earlier: [{ version: 1, schema: {} }], mode: 'backward', policy: 'strict' }), { name: 'SchemaError' })
})

t.test('a thread that does not answer is replaced, and the others have their turn', async (t) => {
  const impatient = createSchemaChecker({ timeoutMs: 1 })
  t.teardown(() => impatient.close())
  const answers = await Promise.allSettled(list(3, () => impatient.compile(kinds('oneOf', () => 'integer'))))
  for (const answer of answers) t.match(answer, { status: 'rejected', reason: { name: 'SchemaError', reason: /more than 1 ms/ } })
  const patient = createSchemaChecker({ threads: 2 })
  const results = await Promise.all(list(8, (i) => patient.check({ schema: { minimum: i }, earlier: [{ version: 1, schema: { minimum: 4 } }], mode: 'backward', policy: 'strict' })))
  t.same(results.map(({ compatible }) => compatible), list(8, (i) => i <= 4))
  await patient.close()
  await t.rejects(patient.compile({}), /closed/)
})

t.test('few requests of an application may wait, and not many of all', async (t) => {
  const busy = createSchemaChecker()
  t.teardown(() => busy.close())
  const asked = (applicationId: string, count: number) => list(count, () => busy.compile({}, applicationId).then(() => 'compiled', (error: { code: string }) => error.code))
  const own = await Promise.all([...asked('first', 20), ...asked('second', 10)])
  t.same(own.map((answer) => answer === 'compiled'), [...list(20, (i) => i < 11), ...list(10, () => true)], 'one is under way, ten wait')
  t.same([...new Set(own)], ['compiled', 'OVERLOADED'])
  const all = await Promise.all(list(15, (i) => asked(`app_${i}`, 10)).flat())
  t.equal(all.filter((answer) => answer === 'compiled').length, 101)
})
