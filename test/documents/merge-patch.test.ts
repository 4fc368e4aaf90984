import fc from 'fast-check'
import t from 'tap'
import { jsonEqual } from '../../src/documents/json-equal.ts'
import { mergePatch } from '../../src/documents/merge-patch.ts'
import { deepFreeze, jsonObject, jsonValue, roundTrip } from './json-arbitraries.ts'

/** RFC 7396, Appendix A: original, patch, result. */
const table: [unknown, unknown, unknown][] = [
  [{ a: 'b' }, { a: 'c' }, { a: 'c' }],
  [{ a: 'b' }, { b: 'c' }, { a: 'b', b: 'c' }],
  [{ a: 'b' }, { a: null }, {}],
  [{ a: 'b', b: 'c' }, { a: null }, { b: 'c' }],
  [{ a: ['b'] }, { a: 'c' }, { a: 'c' }],
  [{ a: 'c' }, { a: ['b'] }, { a: ['b'] }],
  [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }],
  [{ a: [{ b: 'c' }] }, { a: [1] }, { a: [1] }],
  [['a', 'b'], ['c', 'd'], ['c', 'd']],
  [{ a: 'b' }, ['c'], ['c']],
  [{ a: 'foo' }, null, null],
  [{ a: 'foo' }, 'bar', 'bar'],
  [{ e: null }, { a: 1 }, { e: null, a: 1 }],
  [[1, 2], { a: 'b', c: null }, { a: 'b' }],
  [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }]
]

await t.test('every example of RFC 7396 has the documented result', async t => {
  for (const [original, patch, result] of table) {
    t.strictSame(
      mergePatch(deepFreeze(original), deepFreeze(patch)),
      result,
      `${JSON.stringify(original)} + ${JSON.stringify(patch)}`
    )
  }
})

await t.test('inherited members are ignored', async t => {
  t.strictSame(mergePatch({}, { toString: { a: 1 }, valueOf: null }), { toString: { a: 1 } })
})

await t.test('untouched members are shared with the target, and the arguments are not modified', async t => {
  const target = deepFreeze({ kept: { a: 1 }, changed: { b: 1, kept: [1] } })
  const result = mergePatch(target, { changed: { b: 2 } })
  t.equal(result['kept'], target.kept)
  t.equal((result['changed'] as typeof target.changed).kept, target.changed.kept)
  t.strictSame(result, { kept: { a: 1 }, changed: { b: 2, kept: [1] } })
})

await t.test('the result equals that of the pseudo-code of the RFC for any values', async () => {
  fc.assert(fc.property(jsonValue, jsonValue, (target, patch) => {
    const expected = pseudoCode(roundTrip(target), roundTrip(patch))
    const result = mergePatch(deepFreeze(target), deepFreeze(patch))
    return jsonEqual(result, expected)
  }), { numRuns: 300 })
})

await t.test('applying a patch twice has the effect of applying it once', async () => {
  fc.assert(fc.property(jsonObject, jsonObject, (target, patch) => {
    const once = mergePatch(target, patch)
    return jsonEqual(mergePatch(once, patch), once)
  }), { numRuns: 300 })
})

await t.test('one copy serves many merges', async t => {
  let copies = 0
  const owned = new WeakSet<object>()
  const own = (object: Record<string, unknown>) => {
    if (owned.has(object)) return object
    copies++
    const copy = { ...object }
    owned.add(copy)
    return copy
  }
  let value: Record<string, unknown> = deepFreeze({ list: { a: 0 } })
  for (let i = 0; i < 100; i++) value = mergePatch(value, { list: { a: i } }, own)
  t.strictSame(value, { list: { a: 99 } })
  t.equal(copies, 2)
})

/** The pseudo-code of RFC 7396 §2. */
function pseudoCode (target: unknown, patch: unknown): unknown {
  if (typeof patch !== 'object' || patch === null || Array.isArray(patch)) return patch
  let result = target
  if (typeof result !== 'object' || result === null || Array.isArray(result)) result = {}
  const object = result as Record<string, unknown>
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) {
      if (Object.hasOwn(object, name)) delete object[name]
    } else {
      object[name] = pseudoCode(Object.hasOwn(object, name) ? object[name] : undefined, value)
    }
  }
  return object
}
