import t from 'tap'
import { compileStepsMax, CompileWork } from '../../../../src/registry/json-schema/validation/compile-work.ts'
import { normalise } from '../../../../src/registry/json-schema/normalise.ts'
import { reachable } from '../../../../src/registry/json-schema/schema-node.ts'
import {
  compileValidator, compiling, type JsonSchema, prepareValidator, type Validator
} from '../../../../src/registry/json-schema/validation/validators.ts'

// Steps are counted, not time: they depend only on the schema.

type Raw = Record<string, unknown>

t.setTimeout(600_000)

const list = <T>(length: number, make: (i: number) => T): T[] => Array.from({ length }, (_, i) => make(i))
const record = <T>(length: number, make: (i: number) => T, prefix = 'p'): Record<string, T> =>
  Object.fromEntries(list(length, i => [`${prefix}${i}`, make(i)]))

/** The steps, and the maximum of them between two points where the work can pause. */
function measure (schema: JsonSchema): { validator: Validator, work: CompileWork, longest: number } {
  const work = new CompileWork()
  const parts = compiling(schema, work)
  for (let before = 0, longest = 0; ; before = work.steps) {
    const { done, value } = parts.next()
    longest = Math.max(longest, work.steps - before)
    if (done === true) return { validator: value, work, longest }
  }
}

const stepsOf = (schema: JsonSchema): number => measure(schema).work.steps

/** Counts the subschemas of which a check is made and that have the value "marker" in their `enum`. */
function countMarked (schema: JsonSchema): number {
  return [...reachable(normalise(schema))].filter(({ keywords }) =>
    typeof keywords !== 'boolean' && keywords.enum?.includes('marker')
  ).length
}

const R = { $ref: '#/$defs/rule' }
const tuple = [{ enum: ['marker', 'off'] }, { type: 'object' }, { type: 'string' }, { type: 'null' }, { minimum: 1 }]
const rule = { oneOf: [{ enum: ['on', 'off'] }, { type: 'array', prefixItems: tuple, minItems: 2, items: false }] }
const $defs = { rule }

/** Schemas in which `n` members of each kind refer to one definition. */
const sharingSchemas: Record<string, (n: number) => Raw> = {
  properties: n => ({ $defs, properties: record(n, () => R) }),
  patternProperties: n => ({ $defs, patternProperties: record(n, () => R, '^p') }),
  'patternProperties beside additionalProperties': n => ({
    $defs, patternProperties: record(n, () => R, '^p'), additionalProperties: R
  }),
  dependentSchemas: n => ({ $defs, dependentSchemas: record(n, () => R) }),
  'dependencies of draft-07': n => ({
    $schema: 'http://json-schema.org/draft-07/schema#',
    definitions: { rule: { oneOf: [{ enum: ['on'] }, { items: tuple }] } },
    dependencies: record(n, () => ({ $ref: '#/definitions/rule' }))
  }),
  prefixItems: n => ({ $defs, prefixItems: list(n, () => R), items: R }),
  items: n => ({ $defs, properties: record(n, () => ({ items: R, contains: R, unevaluatedItems: R })) }),
  oneOf: n => ({
    $defs, oneOf: list(n, i => ({ properties: { kind: { const: i }, value: R }, required: ['kind'] }))
  }),
  'oneOf of the same': n => ({ $defs, oneOf: list(n, () => R) }),
  anyOf: n => ({ $defs, anyOf: list(n, () => R) }),
  allOf: n => ({ $defs, allOf: list(n, () => R) }),
  'if, then, else': n => ({ $defs, allOf: list(n, () => ({ if: R, then: R, else: R })) }),
  not: n => ({ $defs, allOf: list(n, () => ({ not: R })) }),
  'names and additional properties': n => ({
    $defs, properties: record(n, () => ({ propertyNames: R, additionalProperties: R }))
  }),
  unevaluated: n => ({
    $defs, properties: record(n, () => ({ allOf: [R], unevaluatedProperties: R, unevaluatedItems: R }))
  }),
  'definitions that share a definition': n => ({
    $defs: { rule, ...record(n, i => ({ properties: { a: R, b: R }, minProperties: i % 3 })) },
    properties: record(n, i => ({ anyOf: [{ $ref: `#/$defs/p${i}` }, R] }))
  }),
  'a definition that leads back to itself': n => ({
    $defs: { rule: { ...rule, properties: record(n, () => R) } }, $ref: '#/$defs/rule'
  }),
  $dynamicRef: n => ({
    $defs: { rule: { ...rule, $dynamicAnchor: 'rule' } }, properties: record(n, () => ({ $dynamicRef: '#rule' }))
  }),
  'a long enum': n => ({ $defs: { rule: { enum: ['marker', ...list(n, String)] } }, properties: record(n, () => R) })
}

t.test('a shared definition is compiled once, for every keyword', t => {
  for (const [name, schema] of Object.entries(sharingSchemas)) {
    t.equal(countMarked(schema(100)), 1, `${name}: one check is made of it`)
    const [once, twice] = [stepsOf(schema(250)), stepsOf(schema(500))]
    t.ok(twice < 2.2 * once, `${name}: twice the members take twice the steps: ${once}, ${twice}`)
  }
  t.end()
})

t.test('a rule for unevaluated members beside a shared union is compiled once', t => {
  const union = {
    oneOf: list(12, i => ({
      type: 'object', properties: { kind: { const: i }, value: { maxLength: i + 1 } }, required: ['kind']
    }))
  }
  const schema = (n: number, unevaluated: Raw) => ({
    $defs: { union }, properties: record(n, () => ({ allOf: [{ $ref: '#/$defs/union' }], ...unevaluated }))
  })
  const plain = stepsOf(schema(300, {}))
  for (const unevaluated of [{ unevaluatedProperties: false }, { unevaluatedItems: false }]) {
    const steps = stepsOf(schema(300, unevaluated))
    t.ok(steps < 3 * plain, `${JSON.stringify(unevaluated)}: ${steps} steps, ${plain} without`)
  }
  const validator = compileValidator(schema(3, { unevaluatedProperties: false }))
  t.same(validator.validate({ p1: { kind: 3, value: 'ab' } }), [])
  t.not(validator.validate({ p1: { kind: 3, other: 1 } }).length, 0)
  t.not(validator.validate({ p1: { kind: 0, value: 'ab' } }).length, 0)
  t.end()
})

/** A chain of definitions, each with two references to the next: expanded, they would double `n` times. */
const doublingSchemas: Record<string, (i: number) => Raw> = {
  'below properties': i => ({ properties: { a: { $ref: `#/$defs/d${i + 1}` }, b: { $ref: `#/$defs/d${i + 1}` } } }),
  'in allOf': i => ({ allOf: [{ $ref: `#/$defs/d${i + 1}` }, { $ref: `#/$defs/d${i + 1}` }] }),
  'in anyOf': i => ({
    anyOf: [{ $ref: `#/$defs/d${i + 1}` }, { allOf: [{ $ref: `#/$defs/d${i + 1}` }, { minLength: i }] }]
  }),
  'in if': i => ({ if: { $ref: `#/$defs/d${i + 1}` }, then: { $ref: `#/$defs/d${i + 1}` } }),
  'in items': i => ({ prefixItems: [{ $ref: `#/$defs/d${i + 1}` }], items: { $ref: `#/$defs/d${i + 1}` } }),
  'in dependentSchemas': i => ({
    dependentSchemas: { a: { $ref: `#/$defs/d${i + 1}` }, b: { $ref: `#/$defs/d${i + 1}` } }
  }),
  'beside contains': i => ({ contains: { $ref: `#/$defs/d${i + 1}` }, allOf: [{ $ref: `#/$defs/d${i + 1}` }] })
}

t.test('the steps for a chain of doubling definitions are linear in its length', t => {
  for (const unevaluated of [{}, { unevaluatedProperties: false }, { unevaluatedItems: { type: 'string' } }]) {
    for (const [name, link] of Object.entries(doublingSchemas)) {
      const chain = (n: number) => ({
        ...unevaluated,
        $ref: '#/$defs/d0',
        $defs: record(n, i => i === n - 1 ? { type: ['string', 'object', 'array'] } : link(i), 'd')
      })
      const [one, two, four] = [40, 80, 160].map(n => stepsOf(chain(n))) as [number, number, number]
      t.ok(
        four - two < 2.5 * (two - one),
        `${name}, ${Object.keys(unevaluated).join() || 'plain'}: ${one}, ${two}, ${four}`
      )
    }
  }
  t.end()
})

/** A schema like SchemaStore's schema for the settings of putout. */
const putout = {
  $schema: 'http://json-schema.org/draft-07/schema#',
  type: 'object',
  additionalProperties: false,
  definitions: {
    rule: {
      oneOf: [{ enum: ['on', 'off'] }, {
        type: 'array', items: [{ enum: ['on', 'off'] }, { type: 'object' }], minItems: 2, additionalItems: false
      }]
    },
    rules: {
      type: 'object',
      properties: record(475, () => ({ $ref: '#/definitions/rule' }), 'a-rule-with-a-name-of-some-length-')
    }
  },
  properties: {
    match: { type: 'object', patternProperties: { '^.*$': { $ref: '#/definitions/rules' } } },
    plugins: { type: 'array', uniqueItems: true },
    rules: { $ref: '#/definitions/rules' }
  }
}

t.test('475 references to one definition take few steps', t => {
  const { validator, work } = measure(putout)
  t.ok(work.steps < compileStepsMax / 10, `${work.steps} steps`)
  t.same(
    validator.validate({
      rules: { 'a-rule-with-a-name-of-some-length-400': ['on', {}] },
      match: { x: { 'a-rule-with-a-name-of-some-length-1': 'off' } }
    }),
    []
  )
  const issues = validator.validate({ rules: { 'a-rule-with-a-name-of-some-length-400': ['on', 1] } })
  t.has(issues.map(({ path, keyword }) => `${path.replace(/^.*-/, '')} ${keyword}`), [
    '400 enum',
    '400/1 type',
    '400 oneOf'
  ])
  t.end()
})

const largeSchemas = {
  ...Object.fromEntries(Object.entries(sharingSchemas).map(([name, make]) => [name, make(250)])),
  putout,
  properties: { properties: record(1_500, () => ({ type: 'string', minLength: 1 })) },
  'properties with a oneOf each': { properties: record(500, () => rule) },
  'one property with much in it': {
    $defs, properties: { a: { allOf: list(10, () => ({ properties: record(35, () => ({ items: R, not: rule })) })) } }
  },
  'branches of oneOf': { oneOf: list(500, i => ({ properties: { kind: { const: i } }, required: ['kind'] })) },
  'a tuple': { prefixItems: list(1_500, () => ({ type: 'string' })), items: false },
  patterns: { anyOf: list(600, i => ({ pattern: `^a${i}[a-z]{3}$` })) },
  'patterns of names': {
    patternProperties: record(600, () => ({ type: 'string' }), '^x'), additionalProperties: false
  },
  required: { required: list(5_000, String), dependentRequired: { a: list(500, String) } },
  unevaluated: {
    allOf: list(800, i => ({ properties: { [`p${i}`]: { type: 'string' } } })),
    unevaluatedProperties: false
  },
  'unevaluated, in many ways': {
    anyOf: list(300, i => ({ properties: { [`p${i}`]: { type: 'string' } } })),
    unevaluatedProperties: false
  }
}

t.test('the work can pause often in every kind of large schema', t => {
  for (const [name, schema] of Object.entries(largeSchemas)) {
    const { longest } = measure(schema)
    t.ok(longest < 10_000, `${name}: ${Math.round(longest)} steps without a pause`)
  }
  t.end()
})

t.test('a schema is accepted by its steps, which are always the same', async t => {
  const schema = { patternProperties: record(50, () => rule, '^[a-z]{3}') }
  const first = stepsOf(schema)
  t.equal(stepsOf(schema), first)
  t.doesNotThrow(() => compileValidator(schema, new CompileWork(first)))
  t.throws(() => compileValidator(schema, new CompileWork(first - 1)), {
    name: 'SchemaError', reason: /takes more than \d+ steps to compile/
  })
  const tooLarge = { anyOf: list(80_000, () => ({})) }
  t.throws(() => compileValidator(tooLarge), {
    name: 'SchemaError',
    reason: `the schema takes more than ${compileStepsMax} steps to compile; make it smaller`
  })
  t.ok(
    (await prepareValidator(tooLarge)).isValid(1),
    'an accepted schema is never refused when payloads are checked'
  )
})

t.test('a large schema has the same results as a small one', t => {
  const verdicts = (make: (n: number) => JsonSchema, payloads: unknown[]): void => {
    const [small, large] = [compileValidator(make(6)), compileValidator(make(200))]
    for (const payload of payloads) {
      t.equal(large.isValid(payload), small.isValid(payload), JSON.stringify(payload).slice(0, 100))
    }
  }
  verdicts(
    n => ({ prefixItems: [{ type: 'string' }, ...list(n, () => ({ type: 'number' }))], items: { type: 'null' } }),
    [[], ['a'], [1], ['a', 1, 2], ['a', 1, 'b'], 'x']
  )
  verdicts(
    n => ({
      patternProperties: record(n, () => ({ type: 'string' }), '^p'), properties: { q: {} }, additionalProperties: false
    }),
    [{ p1: 'a' }, { p1: 1 }, { q: 1 }, { r: 1 }, []]
  )
  verdicts(
    n => ({
      patternProperties: record(n, () => ({ type: 'string' }), '^p'), additionalProperties: { type: 'number' }
    }),
    [{ p1: 'a' }, { r: 1 }, { r: 'a' }]
  )
  verdicts(n => ({ dependentRequired: record(n, i => [`p${i + 1}`, 'q']) }), [
    {},
    { p1: 1 },
    { p1: 1, p2: 1, q: 1 },
    { p5: 1, p6: 1 }
  ])
  // Too many scenarios to rewrite as plain keywords, so that evaluated members are tracked.
  const anyOf = (n: number) => list(n, i => ({ properties: { [`p${i}`]: { type: 'string' } }, required: [`p${i}`] }))
  verdicts(
    n => ({
      anyOf: anyOf(8 + n),
      allOf: list(7, i => ({ anyOf: [{ properties: { [`a${i}`]: {} } }, {}] })),
      unevaluatedProperties: false
    }),
    [{ p1: 'a' }, { p1: 1 }, { p1: 'a', p2: 'b' }, { p1: 'a', p2: 1 }, { p1: 'a', z: 1 }, { p1: 'a', a3: 1 }]
  )
  verdicts(
    n => ({
      oneOf: anyOf(8 + n),
      allOf: list(7, i => ({ anyOf: [{ properties: { [`a${i}`]: {} } }, {}] })),
      unevaluatedProperties: false
    }),
    [{ p1: 'a' }, { p1: 1 }, { p1: 'a', p2: 'b' }, { p1: 'a', z: 1 }, { p1: 'a', a3: 1 }, {}]
  )
  t.match(
    compileValidator({ patternProperties: record(200, () => true, '^p'), additionalProperties: false }).validate({
      q: 1
    }),
    [{ path: '', keyword: 'additionalProperties', message: 'must NOT have additional properties: "q"' }]
  )
  t.end()
})
