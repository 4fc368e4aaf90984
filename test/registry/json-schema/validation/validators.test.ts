import t from 'tap'
import { createPool } from '../../../../db/connection.ts'
import { Budget } from '../../../../src/registry/json-schema/validation/fuel.ts'
import { ValidatorCache } from '../../../../src/registry/schemas/validator-cache.ts'
import {
  compileValidator, issuesMax, type JsonSchema, prepareValidator, SchemaError
} from '../../../../src/registry/json-schema/validation/validators.ts'

const draft07 = { $schema: 'http://json-schema.org/draft-07/schema#' }
const accepts = (schema: JsonSchema, payload: unknown): boolean => compileValidator(schema).isValid(payload)

t.test('a schema that cannot be used is refused with the reason', t => {
  const refusedSchemas: [JsonSchema, RegExp][] = [
    [{ $ref: 'http://example.com/schema' }, /outside the document.*not supported.*\/\$ref/],
    [{ $ref: 'other.json#/a' }, /outside the document/],
    [{ $ref: 'http://json-schema.org/draft-07/schema#' }, /outside the document/],
    [{ $ref: 'file:///etc/passwd' }, /outside the document/],
    [{ properties: { a: { $ref: '#/$defs/none' } } }, /does not lead to a schema.*\/properties\/a\/\$ref/],
    [{ $ref: '#anchor' }, /a name that it does not have/],
    [{ $ref: '#' }, /leads back to itself/],
    [{ anyOf: [{ type: 'string' }, { $ref: '#' }] }, /applies itself/],
    [{ $schema: 'http://json-schema.org/draft-03/schema#' }, /dialect/],
    [{ $schema: 'https://example.com/mine' }, /dialect.*example\.com\/mine/],
    [{ pattern: '\\c' }, /"\\c" without a letter/],
    [{ pattern: 'a\\' }, /ends in a backslash/],
    [
      { $schema: 'https://json-schema.org/draft/2019-09/schema' },
      /Supported are 2020-12 .*, draft-07, draft-06 and draft-04, not draft 2019-09/
    ],
    [
      { $defs: { a: { $id: 'a', $dynamicAnchor: 'x' }, b: { $id: 'b', $dynamicAnchor: 'x' } }, $dynamicRef: 'a#x' },
      /several \$dynamicAnchor/
    ],
    [{ pattern: '(?<!a)b' }, /look-behind/],
    [{ type: 'text' }, /"type" must be one or more of/],
    [{ properties: { a: { minLength: -1 } } }, /"minLength" must be a whole number.*\/properties\/a\/minLength/],
    [{ multipleOf: 0 }, /above 0/],
    [{ required: 'a' }, /array of strings/],
    [{ anyOf: [] }, /at least one schema/],
    [{ items: [{ type: 'string' }] }, /prefixItems/],
    [{ pattern: '(' }, /not closed/],
    [{ pattern: '(?=a)b' }, /look-ahead/],
    [{ patternProperties: { '(a)\\1': {} } }, /back-reference/],
    [{ pattern: '(a{1000}){1000}' }, /1,000/],
    [JSON.parse('{"properties":{"__proto__":{}}}') as JsonSchema, /__proto__/],
    [nested(70), /64 levels deep/],
    [{ enum: ['x'.repeat(300_000)] }, /262144 bytes/],
    [{ $defs: { a: { $anchor: 'x' }, b: { $anchor: 'x' } } }, /declared twice/]
  ]
  for (const [schema, reason] of refusedSchemas) {
    t.throws(() => compileValidator(schema), { name: 'SchemaError', reason }, String(reason))
  }
  const notSchemas: unknown[] = [[], undefined]
  for (const value of notSchemas) {
    t.throws(() => compileValidator(value as JsonSchema), { name: 'SchemaError', reason: /an object or a boolean/ })
  }
  t.end()
})

t.test('an earlier draft ignores the keywords of a later one', t => {
  const uriOf = (draft: string) => `http://json-schema.org/draft-${draft}/schema#`
  const ignored: [drafts: string[], schema: object][] = [
    [['04', '06', '07'], { $defs: { a: 5, b: { type: 'nothing' }, c: [{ $ref: 'http://example.com' }] } }],
    [['04', '06', '07'], { $defs: [] }],
    [['04', '06', '07'], {
      dependentRequired: 1, dependentSchemas: { a: false }, unevaluatedProperties: 5, unevaluatedItems: [],
      prefixItems: {}, minContains: -1, $dynamicRef: 5
    }],
    [['04', '06'], { if: true, then: false, else: false, contentEncoding: 1, contentMediaType: [] }],
    [['04', '06'], { if: 5, then: 'x' }],
    [['04'], { const: 1, contains: false, propertyNames: false }],
    [['04'], { contains: 5, propertyNames: [] }]
  ]
  for (const [drafts, schema] of ignored) {
    for (const draft of drafts) {
      const validator = compileValidator({ $schema: uriOf(draft), ...schema })
      for (const payload of [null, 1, 'a', ['a'], { a: 1, b: 2 }]) {
        t.ok(validator.isValid(payload), `draft-${draft}: ${JSON.stringify(schema)}`)
      }
    }
  }
  t.throws(() => compileValidator({ $defs: { a: 5 } }), { name: 'SchemaError', path: '/$defs' }, '2020-12 has $defs')
  t.throws(() => compileValidator({ ...draft07, if: 5 }), { name: 'SchemaError', path: '/if' }, 'draft-07 has if')
  t.throws(
    () => compileValidator({ $schema: uriOf('06'), contains: 5 }), { name: 'SchemaError', path: '/contains' },
    'draft-06 has contains'
  )
  for (const draft of ['04', '06', '07']) {
    const schema = {
      $schema: uriOf(draft), properties: { a: { $ref: '#/$defs/text' } }, $defs: { text: { type: 'string' }, list: 5 }
    }
    t.same(
      [accepts(schema, { a: 'x' }), accepts(schema, { a: 1 })], [true, false],
      'a reference may lead into an unknown word'
    )
    t.throws(() => compileValidator({ ...schema, $ref: '#/$defs/list' }), /does not lead to a schema/)
  }
  t.end()
})

function nested (depth: number): JsonSchema {
  return depth === 0 ? true : { not: nested(depth - 1) }
}

t.test('issues have the path, the keyword and the error', t => {
  const validator = compileValidator({
    type: 'object', properties: { a: { type: 'string', minLength: 2 }, 'x/y': { enum: [1] } }, required: ['b'],
    additionalProperties: false
  })
  t.same(validator.validate({ a: 'ab', b: 1 }).map(({ path, keyword }) => `${path} ${keyword}`), [
    ' additionalProperties'
  ])
  t.same(validator.validate({ a: 'a', 'x/y': 2 }).map(({ path, keyword }) => `${path} ${keyword}`), [
    ' required',
    '/a minLength',
    '/x~1y enum'
  ])
  t.match(validator.validate({ zz: 1 }), [{ message: /required property 'b'/ }, { message: /"zz"/ }])
  t.same(compileValidator(true).validate(1), [])
  t.match(compileValidator(false).validate(1), [{ path: '', keyword: 'false' }])
  t.end()
})

t.test('the number of issues is limited', t => {
  const validator = compileValidator({ items: { type: 'string' } })
  t.equal(validator.validate(Array.from({ length: 500 }, () => 1)).length, issuesMax)
  t.equal(validator.validate(Array.from({ length: 200_000 }, () => 1)).length, 1, 'one issue for a large payload')
  t.end()
})

t.test('2020-12 is the default; $schema selects draft-07 or an earlier draft', t => {
  t.equal(accepts({ prefixItems: [{ type: 'string' }], items: false }, ['a', 1]), false)
  t.equal(accepts({ ...draft07, items: [{ type: 'string' }], additionalItems: false }, ['a', 1]), false)
  t.equal(accepts({ ...draft07, prefixItems: [{ type: 'string' }] }, [1]), true, 'a later keyword is an annotation')
  const sibling = { ...draft07, $ref: '#/definitions/a', type: 'string', definitions: { a: { type: 'number' } } }
  t.equal(accepts(sibling, 1), true)
  t.equal(
    accepts({ ...draft07, properties: { a: { $ref: '#n' } }, definitions: { n: { $id: '#n', type: 'number' } } }, {
      a: 'x'
    }),
    false
  )
  t.equal(accepts({ $schema: 'http://json-schema.org/draft-04/schema#', minimum: 1, exclusiveMinimum: true }, 1), false)
  t.equal(accepts({ ...draft07, contains: {}, minContains: 0 }, []), false, 'minContains came later')
  t.end()
})

t.test('references stay within the document, by pointer, anchor and id', t => {
  t.equal(accepts({ $ref: '#/$defs/a~1b/items', $defs: { 'a/b': { items: { type: 'number' } } } }, 'x'), false)
  t.equal(
    accepts({ $ref: '#/components/x', components: { x: { type: 'number' } } }, 'x'), false,
    'below a word that is not a keyword'
  )
  t.equal(accepts({ $ref: '#there', $defs: { a: { $anchor: 'there', type: 'number' } } }, 'x'), false)
  t.equal(
    accepts({ $id: 'https://a.test/root', $ref: 'item', $defs: { i: { $id: 'item', type: 'number' } } }, 'x'),
    false
  )
  t.equal(
    accepts({
      $id: 'https://a.test/root',
      $ref: 'https://a.test/item#/$defs/n',
      $defs: { i: { $id: 'item', $defs: { n: { type: 'number' } } } }
    }, 'x'),
    false
  )
  t.equal(accepts({ $dynamicRef: '#n', $defs: { n: { $dynamicAnchor: 'n', type: 'number' } } }, 'x'), false)
  t.equal(accepts({ properties: { next: { $ref: '#' } }, required: ['v'] }, { v: 1, next: { v: 1, next: {} } }), false)
  t.end()
})

t.test('formats are asserted; unknown formats are annotations', t => {
  t.equal(accepts({ format: 'date-time' }, '2024-02-30T00:00:00Z'), false)
  t.equal(accepts({ ...draft07, format: 'ipv4' }, '256.1.1.1'), false)
  t.equal(accepts({ format: 'int32' }, 2 ** 31), false)
  t.equal(accepts({ format: 'shade-of-red' }, 'x'), true)
  t.end()
})

t.test('values are compared and divided as JSON Schema requires', t => {
  t.equal(accepts({ multipleOf: 0.01 }, 19.99), true)
  t.equal(accepts({ multipleOf: 0.01 }, 19.995), false)
  t.equal(accepts({ multipleOf: 5 }, 6e21), true)
  t.equal(accepts({ multipleOf: 1e-8, type: 'integer' }, 12391239123), true)
  t.equal(accepts({ multipleOf: 0.123456789 }, 1e308), false)
  t.equal(accepts({ type: 'integer' }, 1.0), true)
  t.equal(accepts({ const: { a: 1, b: [1] } }, { b: [1.0], a: 1 }), true)
  t.equal(accepts({ const: { valueOf: 1 } }, { valueOf: 1 }), true)
  t.equal(accepts({ enum: [] }, 1), false)
  t.equal(accepts({ uniqueItems: true }, [{ a: 1, b: 2 }, { b: 2, a: 1 }]), false)
  t.equal(accepts({ uniqueItems: true }, [1, '1', true, 'true', null, [1]]), true)
  t.equal(accepts({ maxLength: 1 }, '😀'), true)
  t.equal(accepts({ required: ['toString'] }, {}), false)
  t.equal(accepts({ properties: { constructor: { type: 'number' } } }, {}), true)
  t.equal(accepts({ type: 'string', nullable: true }, null), false, 'a keyword of OpenAPI is an annotation')
  t.equal(accepts({ prefixItems: [{ type: 'string' }], contains: { type: 'number' } }, []), false)
  t.equal(accepts({ contains: { type: 'number' }, unevaluatedItems: { type: 'string' } }, [1, 'a']), true)
  t.equal(accepts({ contains: { type: 'number' }, unevaluatedItems: { type: 'string' } }, [1, null]), false)
  t.equal(
    accepts({
      oneOf: [{ properties: { a: {} }, required: ['a'] }, { properties: { b: {} }, required: ['b'] }],
      unevaluatedProperties: false
    }, { a: 1, c: 1 }),
    false
  )
  t.end()
})

t.test('patterns have the meaning of ECMAScript', t => {
  t.equal(
    accepts(
      { patternProperties: { '^a': { type: 'string' }, '^b': { type: 'number' } }, additionalProperties: false },
      { a: 'x', b: 1 }
    ),
    true,
    'each its own'
  )
  const patternSources = [
    '^[a-z]+$', '\\d{3}-\\d', '^$', 'a|b|^c', '[^]', '^.$', '[\\w-]', '\\bfoo\\b', '^\\s$', '(?<n>a)b', '\\cA',
    'x{2,}y', '\\u{1F600}', '^[\\p{Lu}0-9]+$', '[\\]]', '^\\u0041'
  ]
  const texts = [
    '', 'a', 'abc', 'c', 'A', '123-4', 'x foo y', '\u2028', '\n', '\u00a0', 'xxxy', '😀', '-', ']', 'É9', '\u0001', 'ab'
  ]
  for (const source of patternSources) {
    const validator = compileValidator({ pattern: source })
    t.same(
      texts.filter(text => validator.isValid(text)), texts.filter(text => new RegExp(source, 'u').test(text)),
      source
    )
  }
  t.end()
})

// Without a limit, each of these would take 2^40 steps or more and exceed the file's timeout.
t.test('no payload stalls the process', t => {
  const quick = (name: string, schema: JsonSchema, payload: unknown, isValid: boolean): void => {
    t.equal(compileValidator(schema).validate(payload).length === 0, isValid, name)
  }
  quick('a pattern that explodes elsewhere', { pattern: '^(a+)+$' }, 'a'.repeat(50_000) + 'b', false)
  quick('a property name that explodes elsewhere', { patternProperties: { '^(a|a)*$': false } }, {
    ['a'.repeat(50_000) + 'b']: 1
  }, true)
  quick('many items that must differ', { uniqueItems: true }, Array.from({ length: 30_000 }, (_, i) => ({ i })), true)
  const doubling = {
    $ref: '#/$defs/a',
    $defs: {
      a: {
        oneOf: [{ properties: { x: { $ref: '#/$defs/a' } }, required: ['x'] }, {
          properties: { x: { $ref: '#/$defs/a' }, y: {} }, required: ['x']
        }, { type: 'number' }]
      }
    }
  }
  quick('work that doubles with every level', doubling, chain(40), false)
  const refs = (name: string) => ({ allOf: Array.from({ length: 12 }, () => ({ $ref: `#/$defs/${name}` })) })
  const wide = {
    items: { $ref: '#/$defs/a' }, $defs: { a: refs('b'), b: refs('c'), c: refs('d'), d: { multipleOf: 0.01 } }
  }
  quick('a thousand evaluations for each of many values', wide, Array.from({ length: 20_000 }, () => 0.5), false)
  quick('the same for a few', wide, [0.5, 0.5], true)
  const many = (schema: (i: number) => JsonSchema) => ({ allOf: Array.from({ length: 160 }, (_, i) => schema(i)) })
  const numbers = Array.from({ length: 50_000 }, (_, i) => i)
  quick('many looks at all items', many(() => ({ uniqueItems: true })), numbers, false)
  quick(
    'many comparisons with all of a value', { not: { anyOf: Array.from({ length: 160 }, (_, i) => ({ const: [i] })) } },
    numbers, false
  )
  quick('many measures of a long string', many(i => ({ maxLength: 300_000 + i })), 'ab'.repeat(130_000), false)
  quick(
    'many patterns for each name',
    { patternProperties: Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`^x.*${i}$`, { minimum: 0 }])) },
    Object.fromEntries(numbers.map(i => [`x${i}`, 1])),
    false
  )
  quick(
    'a pattern that follows hundreds of ways at once', { pattern: '^[ab]*a[ab]{900}$' }, 'abbab'.repeat(50_000), false
  )
  const either = { anyOf: [{ properties: { a: true } }, { additionalProperties: { type: 'string' } }] }
  quick(
    'names that are copied from one subschema to the next',
    { ...many(() => either), unevaluatedProperties: true },
    Object.fromEntries(numbers.map(i => [`k${i}`, 1])),
    false
  )
  const nesting = Array.from({ length: 20 }).reduce<JsonSchema>(
    (inner, _, i) => i % 2 === 0 ? { allOf: [inner] } : { anyOf: [inner] }, { properties: { x: { $ref: '#' } } }
  )
  quick('the deepest payload that is accepted, below 20 schemas a level', nesting, chain(64), true)
  quick('a payload that is very deep', { properties: { x: { $ref: '#' } } }, chain(100_000), false)
  for (
    const format of [
      'email', 'uri', 'url', 'hostname', 'uri-template', 'ipv6', 'json-pointer', 'duration', 'uri-reference',
      'date-time'
    ]
  ) {
    for (const unit of ['a', 'a.', 'a-', '-', '1', ':', '/', '%41', '{a}', 'a@']) {
      quick(`${format} of ${unit}`, { format }, unit.repeat(40_000) + '\n', false)
    }
  }
  t.end()
})

function chain (depth: number): unknown {
  let payload: unknown = 1
  for (let i = 0; i < depth; i++) payload = { x: payload }
  return payload
}

t.test('a large schema has the same results as a small one, however it is prepared', async t => {
  const schema = (count: number) => ({
    type: 'object',
    properties: Object.fromEntries(
      Array.from({ length: count }, (_, i) => [`p${i}`, { type: 'string', minLength: 1 }])
    ),
    oneOf: Array.from({ length: count }, (_, i) => ({ properties: { kind: { const: i } }, required: ['kind'] })),
    anyOf: Array.from({ length: count }, (_, i) => ({ properties: { kind: { const: i } } })),
    unevaluatedProperties: true,
    dependentRequired: { p1: ['p2'] },
    patternProperties: { '^k': true },
    additionalProperties: false
  })
  const small = compileValidator(schema(10))
  const large = await prepareValidator(schema(1_000))
  for (
    const payload of [
      { kind: 3 }, { kind: 3, p1: 'a' }, { kind: 3, p1: 'a', p2: 'b' }, { kind: 3, p3: '' }, { kind: -1 },
      { kind: 3, z: 1 }, [], null
    ]
  ) {
    t.equal(large.isValid(payload), small.isValid(payload), JSON.stringify(payload))
  }
  t.match(large.validate({ kind: 3, p900: 1 }), [{ path: '/p900', keyword: 'type' }])
  await t.rejects(prepareValidator({ type: 'nope' }), SchemaError)
})

t.test('checks are refused once their shared budget is spent', t => {
  const branch = { items: { $ref: '#/$defs/tree' } }
  const validator = compileValidator({ $ref: '#/$defs/tree', $defs: { tree: { allOf: [branch, branch, branch] } } })
  const payload = Array.from({ length: 9 }).reduce<unknown>(inner => [inner], 0.5)
  const budget = new Budget()
  t.same(
    Array.from({ length: 1_000 }, () => validator.validate(payload, budget)).at(-1)?.map(({ keyword }) => keyword),
    ['cost']
  )
  t.same(validator.validate(payload), [], 'the payload is valid with its own budget')
  t.same(compileValidator({ type: 'object', required: ['a', 'b'] }).validate({}).map(({ keyword }) => keyword), [
    'required', 'required'
  ], 'other payloads get every issue')
  t.end()
})

t.test('a prepared validator works while other schemas are compiled', async t => {
  const scope = { applicationId: 'app', environment: 'development' } as const
  const pool = createPool({ connectionString: 'postgres://nobody.invalid/none', max: 1, onError: () => {} })
  t.teardown(() => pool.end())
  const validators = new ValidatorCache({ pool, max: 1 })
  await validators.compiled(scope, 'a', 1, '{"type":"string"}')
  const check = await validators.prepare(scope, 'a', 1)
  await validators.compiled(scope, 'b', 1, '{"type":"number"}')
  t.doesNotThrow(() => check('text', '/payload', new Budget()))
  t.throws(() => check(1, '/payload', new Budget()), {
    code: 'SCHEMA_VIOLATED', details: [{ path: '/payload', keyword: 'type' }]
  })
})
