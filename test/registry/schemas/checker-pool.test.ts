import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setImmediate } from 'node:timers/promises'
import t from 'tap'
import { createCheckerPool, type CheckerPool } from '../../../src/registry/schemas/checker-pool.ts'
import { createCheckerTurns } from '../../../src/registry/schemas/checker-turns.ts'
import type { JsonSchema } from '../../../src/registry/json-schema/compatibility/compatibility.ts'
import { pigeons } from '../json-schema/entangled.ts'

const list = <T>(length: number, make: (i: number) => T): T[] => Array.from({ length }, (_, i) => make(i))
const record = <T>(length: number, make: (i: number) => T): Record<string, T> =>
  Object.fromEntries(list(length, i => [`p${i}`, make(i)]))

const kinds = (word: 'anyOf' | 'oneOf', type: (i: number) => string) => ({
  [word]: list(
    200,
    i => ({ type: 'object', properties: { kind: { const: `k${i}` }, value: { type: type(i) } }, required: ['kind'] })
  )
})
const mutual = (min: number) => ({
  $ref: '#/$defs/p0',
  $defs: record(
    12,
    i => ({
      type: 'object',
      properties: {
        v: { type: 'integer', minimum: min + i },
        c: { oneOf: list(12, j => ({ $ref: `#/$defs/p${(i + j) % 12}` })) }
      },
      required: ['v']
    })
  )
})
const doubling = (type: string) => ({
  $ref: '#/$defs/p0',
  $defs: record(
    13,
    i =>
      i === 12
        ? { type }
        : { oneOf: [{ $ref: `#/$defs/p${i + 1}` }, { allOf: [{ $ref: `#/$defs/p${i + 1}` }, { minLength: i }] }] }
  )
})
const deep = (depth: number, leaf: JsonSchema): JsonSchema =>
  depth === 0 ? leaf : { properties: { x: deep(depth - 1, leaf) } }
const grid = (width: number) => ({
  allOf: list(
    30,
    i => ({
      anyOf: list(width, j => ({ type: 'object', properties: { [`p${i}`]: { const: j } }, required: [`p${i}`] }))
    })
  )
})

const pathologicalPairs: [name: string, writer: JsonSchema, reader: JsonSchema][] = [
  ['10,000 properties', { properties: record(10_000, () => ({ const: 1 })) }, {
    properties: record(10_000, i => ({ const: i === 5_000 ? 2 : 1 }))
  }],
  ['9,000 properties, all changed', { properties: record(9_000, () => ({ const: 1 })) }, {
    properties: record(9_000, () => ({ const: 2 }))
  }],
  ['8,000 properties, all widened', { properties: record(8_000, () => ({ const: 1 })) }, {
    properties: record(8_000, () => ({ minimum: 1 }))
  }],
  ['12 mutually referring oneOfs', mutual(0), mutual(1)],
  ['oneOfs that double in place', doubling('string'), doubling('number')],
  ['deep nesting', deep(30, { type: 'string' }), deep(30, { type: 'number' })],
  ['200 anyOf branches', kinds('anyOf', () => 'integer'), kinds('anyOf', () => 'number')],
  [
    '200 anyOf branches, one narrowed', kinds('anyOf', () => 'integer'),
    kinds('anyOf', i => i === 150 ? 'string' : 'number')
  ],
  ['200 oneOf branches', kinds('oneOf', () => 'integer'), kinds('oneOf', () => 'number')],
  ['200 overlapping ranges', { anyOf: list(200, i => ({ type: 'integer', minimum: i, maximum: i + 10 })) }, {
    anyOf: list(199, i => ({ type: 'number', minimum: i, maximum: i + 10 }))
  }],
  ['200 patterns', { anyOf: list(200, i => ({ type: 'string', pattern: `^(a|b)*a(a|b){${i % 12}}$` })) }, {
    anyOf: list(200, i => ({ type: 'string', pattern: `^(a|b)*b(a|b){${i % 14}}$` }))
  }],
  ['6^30 combinations', grid(6), grid(5)],
  ['an automaton of a million states', { type: 'string', pattern: '^(a|b)*a(a|b){20}$' }, {
    type: 'string', pattern: '^(a|b)*b(a|b){20}$'
  }],
  ['overlapping patterns of names', {
    patternProperties: Object.fromEntries(list(14, i => [`^.*${String.fromCharCode(97 + i)}`, { minLength: i }])),
    type: 'object'
  }, { patternProperties: { '^.*': { maxLength: 30 } } }]
]

const compare = (checker: CheckerPool, writer: JsonSchema, reader: JsonSchema, applicationId?: string) =>
  checker.compare({
    schema: JSON.stringify(reader), earlier: [{ version: 1, schema: JSON.stringify(writer), directions: ['backward'] }],
    policy: 'lenient'
  }, applicationId)
const changesOf = async (...args: Parameters<typeof compare>) => (await compare(...args)).pairs[0]?.changes
const text = JSON.stringify({ type: 'string' })

t.setTimeout(600_000)

let checker: CheckerPool
t.before(async () => {
  // Steps limit the comparisons. The time is for hanging threads, and a busy machine may take longer.
  checker = createCheckerPool({ timeoutMs: 600_000 })
  await compare(checker, true, {})
})
t.teardown(() => checker.close())

t.test('a pathological pair has a verdict or uses up its steps without blocking the event loop', async t => {
  for (const [name, writer, reader] of pathologicalPairs) {
    const delay = monitorEventLoopDelay({ resolution: 5 })
    delay.enable()
    let turns = 0
    const turning = setInterval(() => { turns++ }, 1)
    const start = performance.now()
    const { pairs: [pair], steps } = await compare(checker, writer, reader)
    const ms = performance.now() - start
    clearInterval(turning)
    delay.disable()
    if (pair === undefined) throw new Error(`${name}: no verdict`)
    const { changes } = pair
    const refused = changes === 'gave-up' ? undefined : changes.find(change => !change.compatible)
    const outcome = changes === 'gave-up'
      ? 'gave up'
      : refused === undefined
        ? 'compatible'
        : refused.reason ?? 'witness'
    t.comment(
      `${name}: ${outcome}, ${steps} steps, ${ms.toFixed(0)} ms, ${
        (ms * 1e6 / steps).toFixed(0)
      } ns a step, longest stretch ${(delay.max / 1e6).toFixed(0)} ms`
    )
    t.ok(
      refused === undefined || refused.reason !== undefined || 'witness' in refused,
      `${name}: proved, refuted or cannot be shown`
    )
    t.ok(turns >= Math.min(3, Math.floor(ms / 100)), `${name}: the event loop was not blocked`)
    t.same((await compare(checker, writer, reader)), { pairs: [pair], steps }, `${name}: the same verdict and steps`)
  }
})

t.test('the verdict and its steps are the same in a fresh and in a used thread', async t => {
  const fresh = createCheckerPool({ threads: 1 })
  t.teardown(() => fresh.close())
  for (const [name, writer, reader] of pathologicalPairs.slice(3, 8).reverse()) {
    t.same(await compare(fresh, writer, reader), await compare(checker, writer, reader), name)
  }
})

t.test('a schema is compiled in a thread before the main thread compiles it', async t => {
  const compile = (schema: JsonSchema) => checker.compile(JSON.stringify(schema))
  await compile({ type: 'string' })
  await t.rejects(compile({ $ref: 'http://example.com' }), { name: 'SchemaError', reason: /outside the document/ })
  await t.rejects(compile({ type: 'text' }), { name: 'SchemaError', path: '/type' })
  await t.rejects(compile({ enum: ['x'.repeat(300_000)] }), { name: 'SchemaError', reason: /bytes/ })
  await t.rejects(compile(deep(70, true)), { name: 'SchemaError', reason: /deep/ })
  await t.rejects(compare(checker, {}, { pattern: '(' }), { name: 'SchemaError' })
})

t.test('a job that hangs is ended with 503 and does not affect other jobs', async t => {
  const impatient = createCheckerPool({ threads: 2, timeoutMs: 15_000, stepsMax: 1e15 })
  t.teardown(() => impatient.close())
  const endless = compare(impatient, pigeons(14), { minProperties: 500 }, 'first')
  const ended = t.rejects(endless, {
    name: 'ServiceUnavailableError', code: 'OVERLOADED', status: 503, retryAfterS: 30
  })
  await t.resolves(Promise.all(list(20, i => impatient.compile(text, `app_${i}`))))
  await ended
  await t.resolves(impatient.compile(text, 'first'), 'its application goes on, too')
  await impatient.close()
  await t.rejects(impatient.compile(text), /closed/)
})

t.test('closing the checker rejects running and waiting jobs', async t => {
  const closing = createCheckerPool({ threads: 1, stepsMax: 1e15 })
  const jobs: Promise<unknown>[] = [compare(closing, pigeons(14), { minProperties: 500 }), closing.compile(text)]
  await Promise.all([...jobs.map(job => t.rejects(job, /closed/)), closing.close()])
})

t.test('a pair that uses up its steps does not affect other pairs of its application', async t => {
  const frugal = createCheckerPool({ threads: 1, stepsMax: 50_000 })
  t.teardown(() => frugal.close())
  t.equal(await changesOf(frugal, pigeons(14), { minProperties: 500 }), 'gave-up')
  t.match(await changesOf(frugal, { minimum: 1 }, { minimum: 2 }), [{ compatible: false, witness: 1 }])
})

t.test('a long job ends early, and another job continues with the rest', async t => {
  const earlier = list(
    400,
    i => ({
      version: i + 1, schema: JSON.stringify(kinds('anyOf', () => i % 2 === 0 ? 'integer' : 'boolean')),
      directions: ['backward'] as const
    })
  )
  const schema = JSON.stringify(kinds('anyOf', () => 'number'))
  const { pairs } = await checker.compare({ schema, earlier, policy: 'strict' })
  t.ok(pairs.length > 1 && pairs.length < 400, `${pairs.length} pairs of one job`)
  const { pairs: next } = await checker.compare({ schema, earlier: earlier.slice(pairs.length), policy: 'strict' })
  t.equal(next[0]?.version, pairs.length + 1)
})

t.test('applications take turns, and none uses all threads', async t => {
  for (const threads of [1, 3]) {
    const turns = createCheckerTurns(threads)
    const order: string[] = []
    const ends: (() => void)[] = []
    const job = (name: string) => turns.take(name.charAt(0), async () => {
      order.push(name)
      await new Promise<void>(resolve => ends.push(resolve))
    })
    const jobs = ['a1', 'a2', 'a3', 'a4', 'b1', 'b2', 'c1'].map(job)
    await setImmediate()
    t.same(order, threads === 1 ? ['a1'] : ['a1', 'a2', 'b1'], `${threads} threads: at first`)
    for (let end = ends.shift(); end !== undefined; end = ends.shift()) {
      end()
      await setImmediate()
      await setImmediate()
    }
    await Promise.all(jobs)
    t.same(
      order,
      threads === 1 ? ['a1', 'a2', 'b1', 'c1', 'a3', 'b2', 'a4'] : ['a1', 'a2', 'b1', 'a3', 'b2', 'c1', 'a4'],
      `${threads} threads: in turns`
    )
  }
})

t.test('the waiting jobs of an application and of all applications are limited', async t => {
  const busy = createCheckerPool({ threads: 1 })
  t.teardown(() => busy.close())
  const asked = (applicationId: string, count: number) =>
    list(count, () => busy.compile(text, applicationId).then(() => 'compiled', (error: { code: string }) => error.code))
  const own = await Promise.all([...asked('first', 20), ...asked('second', 10)])
  t.same(
    own.map(answer => answer === 'compiled'), [...list(20, i => i < 11), ...list(10, () => true)],
    'one is under way, ten wait'
  )
  t.same([...new Set(own)], ['compiled', 'OVERLOADED'])
  const all = await Promise.all(list(15, i => asked(`app_${i}`, 10)).flat())
  t.equal(all.filter(answer => answer === 'compiled').length, 101)
})
