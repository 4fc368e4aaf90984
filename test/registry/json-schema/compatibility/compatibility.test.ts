import t from 'tap'
import { comparePairs, type PairVerdict, sumUp } from '../../../../src/registry/json-schema/compatibility/comparison-job.ts'
import {
  compareSchemas, GaveUp, type JsonSchema, writerSchema
} from '../../../../src/registry/json-schema/compatibility/compatibility.ts'
import {
  type CompatibilityMode, type CompatibilityPolicy, directionsOf
} from '../../../../src/registry/json-schema/compatibility/compatibility-mode.ts'
import { compileValidator } from '../../../../src/registry/json-schema/validation/validators.ts'

const draft07 = { $schema: 'http://json-schema.org/draft-07/schema#' }
type Pair = [name: string, wider: JsonSchema, narrower: JsonSchema]

/** Changing the narrower to the wider schema is compatible; the reverse is not. */
const widenings: Pair[] = [
  ['type: integer to number', { type: 'number' }, { type: 'integer' }],
  ['type: a union grows', { type: ['string', 'null'] }, { type: 'string' }],
  ['true accepts all', true, { type: 'string' }],
  ['nothing satisfies false', {}, false],
  ['enum', { enum: ['a', 'b', { x: 1 }] }, { enum: ['a', { x: 1 }] }],
  ['enum within a type', { type: 'string' }, { enum: ['a', 'b'] }],
  ['enum within bounds', { type: 'integer', minimum: 1, maximum: 3 }, { enum: [1, 3] }],
  ['enum by pattern', { pattern: '^[a-z]+$' }, { enum: ['abc', 'x', 1] }],
  ['const in enum', { enum: [1, 2] }, { const: 1.0 }],
  ['minimum', { minimum: 1 }, { minimum: 2 }],
  ['exclusive minimum', { minimum: 1 }, { exclusiveMinimum: 1 }],
  ['integers above an exclusive bound', { exclusiveMinimum: 1, type: 'integer' }, { type: 'integer', minimum: 3 }],
  ['maximum', { maximum: 3 }, { maximum: 2 }],
  ['multipleOf', { multipleOf: 5 }, { multipleOf: 10 }],
  ['multipleOf, decimal', { multipleOf: 0.1 }, { multipleOf: 0.3 }],
  ['multipleOf and integer', { type: 'integer' }, { type: 'number', multipleOf: 3 }],
  ['two multiples are their least common one', { multipleOf: 6 }, { allOf: [{ multipleOf: 4 }, { multipleOf: 3 }] }],
  ['minLength', { minLength: 2 }, { minLength: 3 }],
  ['maxLength', { maxLength: 5 }, { maxLength: 3 }],
  ['pattern is dropped', { type: 'string' }, { type: 'string', pattern: '^a' }],
  ['pattern inclusion', { pattern: '^[a-z0-9]+$' }, { pattern: '^[a-f]{2,4}$', type: 'string' }],
  ['pattern implies length', { maxLength: 4 }, { type: 'string', pattern: '^[a-f]{2,4}$' }],
  ['pattern, equivalent but for one', { pattern: '^a*$' }, { type: 'string', pattern: '^(aa)*$' }],
  ['format is dropped', { type: 'string' }, { type: 'string', format: 'date' }],
  ['format within another', { format: 'uri-reference' }, { type: 'string', format: 'uri' }],
  ['format implies a pattern', { pattern: '^[0-9-]+$' }, { type: 'string', format: 'date' }],
  ['format implies a length', { minLength: 8 }, { type: 'string', format: 'uuid' }],
  ['number format', { type: 'integer', format: 'int64' }, { type: 'integer', format: 'int32' }],
  ['required', { required: ['a'] }, { required: ['a', 'b'] }],
  ['property type', { properties: { a: { type: ['string', 'number'] } } }, { properties: { a: { type: 'string' } } }],
  ['property type, deep', { properties: { a: { properties: { b: { type: 'number' } } } } }, {
    properties: { a: { properties: { b: { type: 'integer' } } } }
  }],
  ['closed to open', { properties: { a: {} } }, { properties: { a: {} }, additionalProperties: false }],
  ['closed to partly open', { additionalProperties: { type: 'string' } }, { additionalProperties: false }],
  ['patternProperties covers properties', { patternProperties: { '^a': { type: 'number' } }, type: 'object' }, {
    type: 'object', additionalProperties: { type: 'integer' }
  }],
  ['propertyNames by pattern', { propertyNames: { pattern: '^[a-z]' } }, {
    type: 'object', propertyNames: { pattern: '^[a-c]+$' }
  }],
  ['propertyNames and closed properties', { propertyNames: { maxLength: 2 } }, {
    type: 'object', properties: { a: {}, bb: {} }, additionalProperties: false
  }],
  ['minProperties by required', { minProperties: 2 }, { type: 'object', required: ['a', 'b', 'c'] }],
  ['maxProperties by a closed object', { maxProperties: 2 }, {
    type: 'object', properties: { a: {} }, additionalProperties: false
  }],
  ['dependentRequired', { dependentRequired: { a: ['b'] } }, { dependentRequired: { a: ['b', 'c'] } }],
  ['dependentRequired by required', { dependentRequired: { a: ['b'] } }, { required: ['b'] }],
  ['dependentSchemas', { dependentSchemas: { a: { required: ['b'] } } }, { dependentRequired: { a: ['b', 'c'] } }],
  ['unevaluatedProperties', { properties: { a: {} }, type: 'object' }, {
    type: 'object', allOf: [{ properties: { a: {} } }], unevaluatedProperties: false
  }],
  ['unevaluatedProperties beside anyOf', {
    type: 'object', properties: { a: {}, b: {}, c: {} }, unevaluatedProperties: false
  }, {
    type: 'object', anyOf: [{ properties: { a: {} } }, { required: ['b'], properties: { b: {} } }],
    unevaluatedProperties: false
  }],
  ['items', { items: { type: 'number' } }, { items: { type: 'integer' } }],
  ['a tuple in a list', { items: { type: ['string', 'number'] } }, {
    type: 'array', prefixItems: [{ type: 'string' }], items: { type: 'number' }
  }],
  ['closed tuple', { prefixItems: [{ type: 'string' }, { type: 'number' }] }, {
    type: 'array', prefixItems: [{ type: 'string' }], items: false
  }],
  ['closed tuple has a length', { maxItems: 2 }, { type: 'array', prefixItems: [{}], items: false }],
  ['minItems', { minItems: 1 }, { minItems: 2 }],
  ['maxItems', { maxItems: 3 }, { maxItems: 2 }],
  ['uniqueItems is dropped', { type: 'array' }, { type: 'array', uniqueItems: true }],
  ['one item is always unique', { uniqueItems: true }, { type: 'array', maxItems: 1 }],
  ['few values, unique', { maxItems: 2 }, { type: 'array', items: { type: 'boolean' }, uniqueItems: true }],
  ['contains', { contains: { type: 'number' } }, { contains: { type: 'integer' } }],
  ['contains by items', { contains: { type: 'string' } }, { type: 'array', items: { type: 'string' }, minItems: 1 }],
  ['minContains', { contains: { type: 'string' } }, { contains: { type: 'string' }, minContains: 2 }],
  ['maxContains', { contains: { type: 'string' }, maxContains: 3 }, { contains: { type: 'string' }, maxContains: 2 }],
  ['minContains demands length', { minItems: 2 }, { type: 'array', contains: { type: 'string' }, minContains: 2 }],
  ['unevaluatedItems', { type: 'array', maxItems: 3 }, {
    type: 'array', allOf: [{ prefixItems: [{}, {}] }], unevaluatedItems: false
  }],
  ['not', { not: { type: 'string', maxLength: 5 } }, { not: { type: 'string', maxLength: 10 } }],
  ['not enum', { not: { enum: [1] } }, { not: { enum: [1, 2] } }],
  ['not an object', { not: { const: { a: 1 } } }, { type: 'object', required: ['b'] }],
  ['not required', { not: { required: ['a'] } }, {
    type: 'object', properties: { b: {} }, additionalProperties: false
  }],
  ['allOf', { allOf: [{ type: 'string' }] }, { allOf: [{ type: 'string' }, { minLength: 1 }] }],
  ['anyOf grows', { anyOf: [{ type: 'string' }, { type: 'null' }] }, { type: 'string' }],
  ['anyOf, split by type', { type: ['string', 'number'] }, { anyOf: [{ type: 'string' }, { type: 'integer' }] }],
  ['anyOf, covered together', { anyOf: [{ type: 'number', maximum: 5 }, { type: 'number', minimum: 3 }] }, {
    type: 'integer'
  }],
  ['oneOf by discriminator grows', { oneOf: ['a', 'b', 'c'].map(kind) }, { oneOf: ['a', 'b'].map(kind) }],
  ['oneOf to anyOf', { anyOf: [{ minimum: 1 }, { multipleOf: 2 }] }, {
    oneOf: [{ type: 'number', minimum: 1 }, { type: 'number', multipleOf: 2 }]
  }],
  ['if/then', { if: { required: ['a'] }, then: { required: ['b'] } }, { required: ['b'] }],
  ['if/then/else in parts', { anyOf: [{ required: ['b'] }, { required: ['c'] }], type: 'object' }, {
    type: 'object', if: { required: ['a'] }, then: { required: ['b'] }, else: { required: ['c'] }
  }],
  ['$ref', { properties: { a: { type: 'string' } } }, {
    properties: { a: { $ref: '#/$defs/s' } }, $defs: { s: { type: 'string', minLength: 1 } }
  }],
  ['recursion', tree({ type: 'number' }), tree({ type: 'integer' })],
  ['mutual recursion', {
    $ref: '#/$defs/a',
    $defs: {
      a: { properties: { b: { $ref: '#/$defs/b' } } },
      b: { properties: { a: { $ref: '#/$defs/a' }, n: { minimum: 1 } } }
    }
  }, {
    $ref: '#/$defs/a',
    $defs: {
      a: { properties: { b: { $ref: '#/$defs/b' } } },
      b: { properties: { a: { $ref: '#/$defs/a' }, n: { minimum: 2 } } }
    }
  }],
  ['draft-07 tuples', { ...draft07, items: [{ type: 'number' }] }, {
    ...draft07,
    items: [{ type: 'integer' }],
    additionalItems: false
  }],
  ['draft-07 dependencies', { ...draft07, dependencies: { a: ['b'] } }, {
    ...draft07,
    dependencies: { a: { required: ['b', 'c'] } }
  }],
  ['draft-07 ignores what stands beside $ref', {
    ...draft07,
    $ref: '#/definitions/s',
    maxLength: 1,
    definitions: { s: { type: 'string' } }
  }, { ...draft07, type: 'string', minLength: 2 }],
  ['2020-12 reads what stands beside $ref', { type: 'string' }, {
    $ref: '#/$defs/s', minLength: 2, $defs: { s: { type: 'string' } }
  }],
  ['across drafts', { type: 'array', prefixItems: [{ type: 'string' }] }, {
    ...draft07,
    type: 'array',
    items: [{ type: 'string', minLength: 1 }]
  }],
  ['draft-04 bounds', { minimum: 5 }, {
    $schema: 'http://json-schema.org/draft-04/schema#',
    minimum: 5,
    exclusiveMinimum: true
  }]
]

function kind (name: string): JsonSchema {
  return { type: 'object', properties: { kind: { const: name }, v: {} }, required: ['kind'] }
}

function tree (leaf: JsonSchema): JsonSchema {
  return {
    $ref: '#/$defs/tree',
    $defs: {
      leaf,
      tree: {
        type: 'object',
        properties: { value: { $ref: '#/$defs/leaf' }, children: { type: 'array', items: { $ref: '#/$defs/tree' } } }
      }
    }
  }
}

t.test('a wider schema is compatible; a narrower one is not and has a witness', t => {
  for (const [name, wider, narrower] of widenings) {
    t.match(compareSchemas(narrower, wider, { policy: 'strict' }), { compatible: true }, `${name}: wider`)
    const verdict = compareSchemas(wider, narrower, { policy: 'strict' })
    t.equal(verdict.compatible, false, `${name}: narrower`)
    const change = verdict.changes.find(one => !one.compatible) ?? {}
    if (!('witness' in change)) {
      t.fail(`${name}: has a witness`)
      continue
    }
    t.ok(
      compileValidator(wider).isValid(change.witness) && !compileValidator(narrower).isValid(change.witness),
      `${name}: the witness holds`
    )
  }
  t.end()
})

t.test('equivalent schemas are compatible both ways', t => {
  const equivalents: [string, JsonSchema, JsonSchema][] = [
    ['const and enum', { const: { a: 1, b: [1] } }, { enum: [{ b: [1.0], a: 1 }] }],
    ['keyword order', { type: 'object', required: ['a', 'b'] }, { required: ['b', 'a'], type: 'object' }],
    ['patterns', { type: 'string', pattern: '^(a|b)+$' }, { type: 'string', pattern: '^[ab][ab]*$' }],
    ['length and pattern', { type: 'string', maxLength: 3, minLength: 1 }, { type: 'string', pattern: '^[^]{1,3}$' }],
    ['integer bounds', { type: 'integer', exclusiveMinimum: 1 }, { type: 'integer', minimum: 2 }],
    ['boolean and enum', { type: 'boolean' }, { enum: [true, false] }],
    ['not not', { type: 'string' }, { not: { not: { type: 'string' } } }],
    ['De Morgan', { not: { anyOf: [{ type: 'string' }, { minimum: 3 }] } }, {
      allOf: [{ not: { type: 'string' } }, { not: { minimum: 3 } }]
    }],
    ['oneOf of disjoint and anyOf', { oneOf: [{ type: 'string' }, { type: 'number' }] }, {
      type: ['number', 'string']
    }],
    ['unrolled recursion', tree({ type: 'string' }), {
      type: 'object',
      properties: { value: { type: 'string' }, children: { type: 'array', items: tree({ type: 'string' }) as object } },
      $defs: (tree({ type: 'string' }) as { $defs: object }).$defs
    }],
    ['unevaluated and additional', { properties: { a: {} }, unevaluatedProperties: false }, {
      properties: { a: {} }, additionalProperties: false
    }],
    ['unsatisfiable', { type: 'string', minLength: 3, maxLength: 2 }, false],
    ['annotations', { title: 'a', type: 'string', unknown: { x: 1 } }, {
      type: 'string', description: 'b', default: 'c', id: 'x'
    }]
  ]
  for (const [name, a, b] of equivalents) {
    t.match(compareSchemas(a, b, { policy: 'strict' }), { compatible: true }, `${name}: a to b`)
    t.match(compareSchemas(b, a, { policy: 'strict' }), { compatible: true }, `${name}: b to a`)
  }
  t.end()
})

t.test('policies', t => {
  const verdict = (policy: CompatibilityPolicy, writer: JsonSchema, reader: JsonSchema): boolean =>
    compareSchemas(writer, reader, { policy }).compatible
  const open = { type: 'object', properties: { a: { type: 'string' } } }
  const added = { type: 'object', properties: { a: { type: 'string' }, b: { type: 'string' } } }

  t.test('lenient allows a new optional property in an open object, strict does not', t => {
    t.equal(verdict('lenient', open, added), true)
    t.equal(verdict('strict', open, added), false)
    t.same(compareSchemas(open, added, { policy: 'strict' }).changes.map(({ path, rule }) => ({ path, rule })), [{
      path: '/properties/b', rule: 'property-added'
    }])
    t.end()
  })
  t.test('lenient allows closing an open object', t => {
    t.equal(verdict('lenient', open, { ...open, additionalProperties: false }), true)
    t.equal(verdict('strict', open, { ...open, additionalProperties: false }), false)
    t.end()
  })
  t.test('lenient leaves an object open if its schema says so', t => {
    t.equal(verdict('lenient', { ...open, additionalProperties: true }, added), false)
    t.equal(verdict('lenient', { ...open, additionalProperties: { type: 'string' } }, added), true)
    t.equal(verdict('lenient', { ...open, propertyNames: { maxLength: 9 } }, added), false)
    t.end()
  })
  t.test('lenient leaves an object without declarations open, as a map', t => {
    t.equal(verdict('lenient', { type: 'object' }, added), false)
    t.end()
  })
  t.test('lenient applies to nested objects, arrays, references, and over all branches together', t => {
    t.equal(verdict('lenient', { items: open }, { items: added }), true)
    t.equal(
      verdict('lenient', { properties: { x: { $ref: '#/$defs/o' } }, $defs: { o: open } }, {
        properties: { x: added }
      }),
      true
    )
    t.equal(
      verdict('lenient', { allOf: [open, { properties: { c: {} } }] }, { properties: { d: { type: 'null' } } }), true
    )
    t.equal(verdict('lenient', { anyOf: [open, { properties: { b: { type: 'number' } } }] }, added), false)
    t.end()
  })
  t.test('a required name counts as declared', t => {
    t.equal(
      verdict('lenient', { type: 'object', required: ['a', 'b'] }, { type: 'object', required: ['a', 'c'] }), false
    )
    t.equal(verdict('lenient', { required: ['a'] }, { required: ['a'], properties: { a: { type: 'string' } } }), false)
    t.end()
  })
  t.test('a new required property is incompatible under both policies', t => {
    for (const policy of ['strict', 'lenient'] as const) {
      const { changes } = compareSchemas(open, { ...added, required: ['b'] }, { policy })
      const change = changes.find(({ rule }) => rule === 'required-added')
      t.match(change, { path: '/required', compatible: false, message: /"b" is now required/ })
      t.ok(compileValidator(writerSchema(open, policy)).isValid(change?.witness))
    }
    t.end()
  })
  t.end()
})

t.test('modes', t => {
  const v1 = { type: 'integer' }
  const v2 = { type: 'number' }
  const v3 = { type: ['number', 'string'] }
  const check = (schema: JsonSchema, mode: CompatibilityMode, earlier: JsonSchema[]) =>
    sumUp(
      comparePairs({
        schema, policy: 'strict',
        earlier: earlier.map((one, i) => ({ version: i + 1, schema: one, directions: directionsOf(mode) }))
      }).pairs
    )
  t.match(check(v3, 'backward', [v2]), { compatible: true })
  t.match(check(v3, 'forward', [v2]), { compatible: false })
  t.match(check(v3, 'backward_transitive', [v1, v2]), { compatible: true })
  t.match(check(v1, 'forward', [v2]), { compatible: true })
  t.match(check(v1, 'forward_transitive', [v1, v2]), { compatible: true })
  t.match(check(v2, 'full', [v2]), { compatible: true, changes: [] })
  const transitive = check(v2, 'full_transitive', [v1, v2])
  t.equal(transitive.compatible, false)
  t.match(transitive.changes.filter(({ compatible }) => !compatible), [{
    comparedWith: 1, direction: 'forward', witness: Number
  }])
  t.match(check(false, 'none', [v1, v2]), { compatible: true, changes: [] })
  t.match(check(v1, 'full', []), { compatible: true, changes: [] })
  t.end()
})

t.test('a pair without a verdict leaves no verdict at all, unless another pair is incompatible', t => {
  const change = { path: '', rule: 'x', message: 'X.', direction: 'backward' as const }
  const pair = (changes: PairVerdict['changes']): PairVerdict => ({ version: 1, direction: 'backward', changes })
  t.throws(() => sumUp([pair([]), pair('gave-up')]), { name: 'GaveUp' })
  t.throws(() => sumUp([pair([{ ...change, compatible: true }]), pair('gave-up')]), { name: 'GaveUp' })
  t.equal(sumUp([pair('gave-up'), pair([{ ...change, compatible: false }])]).compatible, false)
  t.equal(sumUp([pair([{ ...change, compatible: true }])]).compatible, true)
  t.end()
})

t.test('with fewer steps there is the same verdict or none', t => {
  const writer = {
    anyOf: Array.from(
      { length: 30 },
      (_, i) => ({ type: 'object', properties: { [`p${i}`]: { const: i } }, required: [`p${i}`] })
    )
  }
  const readers = [
    writer, { anyOf: [...writer.anyOf, { type: 'string' }] }, { anyOf: writer.anyOf.slice(1) }, { minProperties: 2 },
    true, false
  ]
  for (const reader of readers) {
    const whole = compareSchemas(writer, reader, { policy: 'strict' })
    const seen = new Set<string>()
    for (let stepsMax = 1; stepsMax < 4_000_000; stepsMax *= 5) {
      const verdict = verdictOr(
        'none', () => String(compareSchemas(writer, reader, { policy: 'strict', stepsMax }).compatible)
      )
      seen.add(verdict)
      t.ok(verdict === 'none' || verdict === String(whole.compatible), `${stepsMax} steps: ${verdict}`)
      const again = verdictOr(
        'none', () => String(compareSchemas(writer, reader, { policy: 'strict', stepsMax }).compatible)
      )
      t.equal(again, verdict, 'the same at the second attempt')
    }
    t.same(compareSchemas(writer, reader, { policy: 'strict' }), whole)
    t.ok(seen.has(String(whole.compatible)))
  }
  t.end()
})

function verdictOr (otherwise: string, verdict: () => string): string {
  try {
    return verdict()
  } catch (error) {
    if (error instanceof GaveUp) return otherwise
    throw error
  }
}

t.test('every incompatible change is reported with its path', t => {
  const before = {
    type: 'object',
    properties: {
      a: { type: 'string', maxLength: 10 }, b: { enum: [1, 2] }, c: { items: { type: 'number' } }, gone: {}
    },
    additionalProperties: false
  }
  const after = {
    type: 'object',
    properties: {
      a: { type: 'string', maxLength: 5, minLength: 1 }, b: { enum: [1] }, c: { items: { type: 'integer' } }
    },
    required: ['a'],
    additionalProperties: false
  }
  const { changes } = compareSchemas(before, after, { policy: 'strict' })
  t.same(changes.filter(({ compatible }) => !compatible).map(({ path, rule }) => `${path} ${rule}`).sort(), [
    '/properties/a/maxLength max-length-changed',
    '/properties/a/minLength min-length-added',
    '/properties/b/enum enum-changed',
    '/properties/c/items/type type-changed',
    '/properties/gone property-removed',
    '/required required-added'
  ])
  for (const change of changes) t.match(change.message, /^[A-Z].*\.$/, change.message)
  t.end()
})

t.test('a change that cannot be decided is reported with the reason', t => {
  const reason = (writer: JsonSchema, reader: JsonSchema) =>
    compareSchemas(writer, reader, { policy: 'strict' }).changes.find(({ compatible }) => !compatible)
  t.match(reason({ contentEncoding: 'base64' }, { contentEncoding: 'base32' }), {
    rule: 'cannot-be-shown', reason: 'content'
  })
  t.match(reason({ type: 'string', format: 'ipv6' }, { pattern: '^([0-9a-fA-F]{0,4}:){2,7}[0-9a-fA-F.:]{0,25}$' }), {
    rule: 'cannot-be-shown', reason: 'format'
  })
  t.match(reason({ type: 'string', pattern: '^\\p{Lu}$' }, { pattern: '^\\p{L}$' }), {
    rule: 'cannot-be-shown', reason: 'pattern'
  })
  t.match(reason({ minItems: 5_000, type: 'array' }, { minItems: 5_001 }), {
    rule: 'cannot-be-shown', reason: 'cardinality'
  })
  t.end()
})

t.test('lenient leaves uncertain places open', t => {
  const object = (properties: Record<string, unknown> = {}) => ({ type: 'object', properties })
  const map = { type: 'object' }
  const foo = object({ foo: { type: 'number' } })
  const z = object({ z: {} })
  const id = { ...object({ id: { type: 'string' } }), required: ['id'] }
  const narrowings: [name: string, before: JsonSchema, after: JsonSchema, document: unknown][] = [
    ['a map beside another pattern', { ...map, patternProperties: { '^a': map, '^b': z } }, {
      ...map,
      patternProperties: { '^a': foo, '^b': z }
    }, { a1: { foo: 'x' } }],
    ['a map beside a property of a name that matches', { ...object({ ab: z }), patternProperties: { '^a': map } }, {
      ...object({ ab: z }),
      patternProperties: { '^a': foo }
    }, { a1: { foo: 'x' } }],
    ['a name that a pattern and, in another branch, the rest speak of', {
      ...map,
      allOf: [{ patternProperties: { '^a': z } }, { additionalProperties: foo }]
    }, {
      ...map,
      allOf: [{ patternProperties: { '^a': object({ z: {}, foo: { maximum: 1 } }) } }, { additionalProperties: foo }]
    }, { a1: { foo: 2 } }],
    [
      'a map that unevaluatedProperties does not reach',
      { ...map, allOf: [object({ m: map })], unevaluatedProperties: z },
      { ...map, allOf: [object({ m: foo })], unevaluatedProperties: z }, { m: { foo: 'x' } }
    ],
    [
      'an item that unevaluatedItems does not reach',
      { type: 'array', allOf: [{ prefixItems: [map] }], unevaluatedItems: z },
      { type: 'array', allOf: [{ prefixItems: [foo] }], unevaluatedItems: z }, [{ foo: 'x' }]
    ],
    ['an object in const', { anyOf: [{ const: { kind: 'none' } }, id] }, id, { kind: 'none' }],
    ['an object in an array in enum', { anyOf: [{ enum: [[{ kind: 'none' }]] }, { type: 'array', items: id }] }, {
      type: 'array', items: id
    }, [{ kind: 'none' }]]
  ]
  for (const [name, before, after, document] of narrowings) {
    t.ok(compileValidator(before).isValid(document) && !compileValidator(after).isValid(document), name)
    t.equal(compareSchemas(before, after, { policy: 'lenient' }).compatible, false, name)
  }
  t.equal(
    compareSchemas({ ...map, patternProperties: { '^a': z } }, {
      ...map,
      patternProperties: { '^a': object({ z: {}, foo: { type: 'number' } }) }
    }, { policy: 'lenient' }).compatible,
    true,
    'members of a single pattern are a place'
  )
  t.end()
})
