import fc from 'fast-check'
import t from 'tap'
import { jsonEqual } from '../../src/documents/json-equal.ts'
import { applyMutations, checkMutations } from '../../src/documents/mutations.ts'
import { escapeToken, parsePointer } from '../../src/documents/json-pointer.ts'
import { ConflictError, ValidationError } from '../../src/errors.ts'
import { mutationsMax, type Mutation } from '../../schemas/documents.ts'
import { deepFreeze, jsonObject, jsonValue, roundTrip } from './json-arbitraries.ts'

type JsonObject = Record<string, unknown>
const mutate = (data: JsonObject, ...mutations: Mutation[]) =>
  applyMutations(deepFreeze(data), checkMutations(deepFreeze(mutations)))

await t.test('each op has its documented effect', async t => {
  const cases: [string, JsonObject, Mutation, JsonObject][] = [
    ['set puts a member', {}, { op: 'set', path: '/a', value: 1 }, { a: 1 }],
    ['set replaces a member', { a: 1 }, { op: 'set', path: '/a', value: null }, { a: null }],
    ['set replaces an item', { a: [1, 2] }, { op: 'set', path: '/a/0', value: 9 }, { a: [9, 2] }],
    ['set at - appends', { a: [1] }, { op: 'set', path: '/a/-', value: 2 }, { a: [1, 2] }],
    ['set one past the end appends', { a: [1] }, { op: 'set', path: '/a/1', value: 2 }, { a: [1, 2] }],
    ['set at the root replaces all', { a: 1 }, { op: 'set', path: '', value: { b: 1 } }, { b: 1 }],
    ['set takes the empty key', {}, { op: 'set', path: '/', value: 1 }, { '': 1 }],
    ['set unescapes', {}, { op: 'set', path: '/a~1b~01', value: 1 }, { 'a/b~1': 1 }],
    ['set may shadow what objects inherit', {}, { op: 'set', path: '/toString', value: 1 }, { toString: 1 }],
    ['- is a key of objects', {}, { op: 'set', path: '/-', value: 1 }, { '-': 1 }],
    ['increment adds', { n: 1 }, { op: 'increment', path: '/n', value: -3 }, { n: -2 }],
    ['increment adds one', { n: 1 }, { op: 'increment', path: '/n' }, { n: 2 }],
    ['increment starts at 0', {}, { op: 'increment', path: '/toString', value: 5 }, { toString: 5 }],
    ['increment works on items', { a: [1] }, { op: 'increment', path: '/a/0', value: 0.5 }, { a: [1.5] }],
    ['remove removes a member', { a: 1, b: 2 }, { op: 'remove', path: '/a' }, { b: 2 }],
    ['remove removes a null', { a: null }, { op: 'remove', path: '/a' }, {}],
    ['remove removes an item', { a: [1, 2, 3] }, { op: 'remove', path: '/a/1' }, { a: [1, 3] }],
    ['append adds an item', { a: [1] }, { op: 'append', path: '/a', value: [2] }, { a: [1, [2]] }],
    ['append makes the array', {}, { op: 'append', path: '/a', value: 1 }, { a: [1] }],
    ['append takes -', { a: [1] }, { op: 'append', path: '/a/-', value: 2 }, { a: [1, 2] }],
    ['merge merges', { a: { b: 1, c: 2 } }, { op: 'merge', path: '/a', value: { b: null, d: 3 } }, {
      a: { c: 2, d: 3 }
    }],
    ['merge makes the object', {}, { op: 'merge', path: '/a', value: { b: { c: null } } }, { a: { b: {} } }],
    ['merge at the root', { a: 1 }, { op: 'merge', path: '', value: { a: null, b: 1 } }, { b: 1 }],
    ['test holds', { a: { b: [1, { c: null }] } }, { op: 'test', path: '/a', value: { b: [1, { c: null }] } }, {
      a: { b: [1, { c: null }] }
    }],
    ['test of the root', { b: 1, a: 2 }, { op: 'test', path: '', value: { a: 2, b: 1 } }, { b: 1, a: 2 }]
  ]
  for (const [name, before, mutation, after] of cases) t.strictSame(mutate(before, mutation), after, name)
})

await t.test('a mutation that cannot be applied is refused with index, op, path and reason', async t => {
  const cases: [JsonObject, Mutation, RegExp][] = [
    [{}, { op: 'set', path: '/a/b', value: 1 }, /\(set "\/a\/b"\) failed: "\/a" does not exist/],
    [{}, { op: 'set', path: '/toString/b', value: 1 }, /"\/toString" does not exist/],
    [{ a: 'x' }, { op: 'set', path: '/a/b', value: 1 }, /"\/a" is a string, which has no members/],
    [{ a: null }, { op: 'set', path: '/a/b', value: 1 }, /"\/a" is null/],
    [{ a: [] }, { op: 'set', path: '/a/1', value: 1 }, /index 1 is outside the array of 0/],
    [{ a: [] }, { op: 'set', path: '/a/length', value: 1 }, /"length" is not an array index/],
    [{ a: [1, 2] }, { op: 'set', path: '/a/01', value: 1 }, /"01" is not an array index/],
    [{ a: [1, 2] }, { op: 'set', path: '/a/-1', value: 1 }, /"-1" is not an array index/],
    [{ a: [1] }, { op: 'set', path: '/a/-/b', value: 1 }, /"\/a\/-" does not exist/],
    [{}, { op: 'set', path: '', value: [] }, /must stay an object/],
    [{ a: '1' }, { op: 'increment', path: '/a' }, /the target is a string, not a number/],
    [{ a: null }, { op: 'increment', path: '/a' }, /the target is null, not a number/],
    [{ a: 1.7e308 }, { op: 'increment', path: '/a', value: 1.7e308 }, /not a finite number/],
    [{ a: 9007199254740991 }, { op: 'increment', path: '/a' }, /must be between ±9007199254740991/],
    [{ a: -9007199254740991 }, { op: 'increment', path: '/a', value: -1 }, /must be between ±9007199254740991/],
    [{ a: 9007199254740992 }, { op: 'increment', path: '/a', value: -1 }, /must be between ±9007199254740991/],
    [{ a: 0.5 }, { op: 'increment', path: '/a', value: 9007199254740992 }, /must be between ±9007199254740991/],
    [{ a: 1e15 }, { op: 'increment', path: '/a', value: 1e-4 }, /0\.0001 is too small to change 1000000000000000/],
    [{}, { op: 'increment', path: '' }, /the document itself cannot be the target/],
    [{}, { op: 'remove', path: '/a' }, /the target does not exist/],
    [{ a: [1] }, { op: 'remove', path: '/a/1' }, /the target does not exist/],
    [{ a: [1] }, { op: 'remove', path: '/a/-' }, /the target does not exist/],
    [{}, { op: 'remove', path: '' }, /the document itself/],
    [{ a: {} }, { op: 'append', path: '/a', value: 1 }, /the target is an object, not an array/],
    [{}, { op: 'append', path: '', value: 1 }, /the document itself/]
  ]
  for (const [data, mutation, message] of cases) {
    t.throws(() => mutate(data, { op: 'test', path: '', value: data }, mutation), {
      code: 'MUTATION_FAILED', status: 400, message
    })
    try {
      mutate(data, mutation)
    } catch (error) {
      t.ok(error instanceof ValidationError && error.details?.[0]?.path === '/mutations/0')
    }
  }
})

await t.test('a failed test is a conflict', async t => {
  for (
    const mutation of [
      { op: 'test', path: '/a', value: 2 }, { op: 'test', path: '/b', value: 1 },
      { op: 'test', path: '/toString', value: {} }, { op: 'test', path: '', value: {} }
    ] as Mutation[]
  ) {
    t.throws(() => mutate({ a: 1 }, { op: 'set', path: '/x', value: 1 }, mutation), {
      code: 'MUTATION_FAILED', status: 409, message: /^Mutation 1 \(test /
    })
  }
  t.throws(() => mutate({ a: 1 }, { op: 'test', path: '/a/b', value: 1 }), ConflictError)
})

await t.test('a malformed mutation is refused with the path of the field', async t => {
  const deep = (levels: number): unknown => levels === 0 ? 1 : [deep(levels - 1)]
  const cases: [Mutation, string][] = [
    [{ op: 'set', path: 'a', value: 1 }, '/mutations/0/path'],
    [{ op: 'set', path: '/~2', value: 1 }, '/mutations/0/path'],
    [{ op: 'set', path: '/~', value: 1 }, '/mutations/0/path'],
    [{ op: 'set', path: '/__proto__/polluted', value: 1 }, '/mutations/0/path'],
    [{ op: 'set', path: '/constructor', value: 1 }, '/mutations/0/path'],
    [{ op: 'remove', path: '/a/prototype' }, '/mutations/0/path'],
    [{ op: 'set', path: '/a' }, '/mutations/0/value'],
    [{ op: 'append', path: '/a' }, '/mutations/0/value'],
    [{ op: 'test', path: '/a' }, '/mutations/0/value'],
    [{ op: 'merge', path: '/a' }, '/mutations/0/value'],
    [{ op: 'merge', path: '/a', value: [] }, '/mutations/0/value'],
    [{ op: 'remove', path: '/a', value: 1 }, '/mutations/0/value'],
    [{ op: 'increment', path: '/a', value: '1' }, '/mutations/0/value'],
    [{ op: 'increment', path: '/a', value: null }, '/mutations/0/value'],
    [{ op: 'increment', path: '/a', value: Infinity }, '/mutations/0/value'],
    [
      { op: 'set', path: '/a', value: { b: JSON.parse('{"__proto__":1}') as unknown } },
      '/mutations/0/value/b/__proto__'
    ],
    [{ op: 'set', path: '/a', value: [1, Infinity] }, '/mutations/0/value/1'],
    [{ op: 'set', path: '/a', value: 'nul\0' }, '/mutations/0/value'],
    [{ op: 'set', path: '/a', value: 'x'.repeat(300_000) }, '/mutations/0/value'],
    [{ op: 'set', path: '/a', value: deep(64) }, '/mutations/0/value'],
    [{ op: 'append', path: '/a', value: deep(63) }, '/mutations/0/value']
  ]
  for (const [mutation, path] of cases) {
    try {
      checkMutations([mutation])
      t.fail(`accepted ${JSON.stringify(mutation).slice(0, 100)}`)
    } catch (error) {
      t.ok(error instanceof ValidationError, String(error))
      t.equal((error as ValidationError).details?.[0]?.path, path)
    }
  }
  t.doesNotThrow(() =>
    checkMutations([{ op: 'set', path: '/a', value: deep(63) }, { op: 'append', path: '/a', value: deep(62) }, {
      op: 'append', path: '/a/-', value: deep(62)
    }])
  )
})

await t.test('each mutation applies to the result of earlier ones, and the input is not modified', async t => {
  const before = { kept: { x: 1 }, list: [{ n: 1 }], count: 1 }
  const after = mutate(before,
    { op: 'set', path: '/fresh', value: { items: [] } },
    { op: 'append', path: '/fresh/items', value: 1 },
    { op: 'append', path: '/fresh/items', value: 2 },
    { op: 'increment', path: '/list/0/n', value: 4 },
    { op: 'test', path: '/list/0/n', value: 5 },
    { op: 'remove', path: '/count' })
  t.strictSame(after, { kept: { x: 1 }, list: [{ n: 5 }], fresh: { items: [1, 2] } })
  t.equal(after['kept'], before.kept, 'untouched members are shared')
})

await t.test('a full list of appends and merges copies a large value only once', async t => {
  let made = 0
  class Counted extends Array<number> {
    constructor (...items: number[]) {
      super(...items)
      made++
    }
  }
  const data = {
    list: Counted.from({ length: 50_000 }, (_, i) => i),
    map: Object.fromEntries(Array.from({ length: 30_000 }, (_, i) => [`k${i}`, i]))
  }
  made = 0
  const mutations: Mutation[] = Array.from({ length: mutationsMax }, (_, i) =>
    i % 2 === 0 ? { op: 'append', path: '/list', value: i } : { op: 'merge', path: '/map', value: { [`n${i}`]: i } })
  const start = performance.now()
  const after = mutate(data, ...mutations) as typeof data
  t.equal(after.list.length, 50_500)
  t.equal(Object.keys(after.map).length, 30_500)
  t.equal(made, 1, 'the list')
  // Copies of an object show only in the time: a tenth of a second for one, half a minute for five hundred.
  t.ok(performance.now() - start < 10_000, 'the map')
})

await t.test('set and then test succeeds for any path and value, and remove undoes it', async () => {
  fc.assert(
    fc.property(jsonObject, fc.string({ maxLength: 5 }), jsonValue, (data, key, value) => {
      fc.pre(!['__proto__'].includes(key) && !key.includes('\0') && !JSON.stringify(value).includes('\\u0000'))
      const path = `/${escapeToken(key)}`
      const copy = roundTrip(data)
      const after = mutate(data, { op: 'set', path, value }, { op: 'test', path, value })
      const { [key]: _, ...rest } = copy
      return jsonEqual(after[key], value) && jsonEqual(data, copy) &&
        jsonEqual(mutate(after, { op: 'remove', path }), rest)
    }),
    { numRuns: 500 }
  )
})

await t.test('increments commute', async () => {
  fc.assert(fc.property(fc.array(fc.integer({ min: -1000, max: 1000 })), amounts => {
    const mutations = amounts.map(value => ({ op: 'increment' as const, path: '/n', value }))
    return jsonEqual(mutate({ n: 0 }, ...mutations), mutate({ n: 0 }, ...mutations.reverse()))
  }))
})

await t.test('pointers parse as in the examples of RFC 6901 §5', async t => {
  const table: [string, string[]][] = [
    ['', []],
    ['/foo', ['foo']],
    ['/foo/0', ['foo', '0']],
    ['/', ['']],
    ['/a~1b', ['a/b']],
    ['/c%d', ['c%d']],
    ['/e^f', ['e^f']],
    ['/g|h', ['g|h']],
    ['/i\\j', ['i\\j']],
    ['/k"l', ['k"l']],
    ['/ ', [' ']],
    ['/m~0n', ['m~n']],
    ['/~01', ['~1']]
  ]
  for (const [pointer, tokens] of table) t.strictSame(parsePointer(pointer), tokens)
  for (const wrong of ['foo', '/~', '/~2', '#/foo']) t.equal(parsePointer(wrong), undefined)
})
