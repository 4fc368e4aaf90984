import fc from 'fast-check'
import jsonpatch, { type Operation } from 'fast-json-patch'
import t from 'tap'
import { createdDiffText, diffText } from '../../src/documents/diff.ts'
import { jsonEqual } from '../../src/documents/json-equal.ts'
import { mergePatch } from '../../src/documents/merge-patch.ts'
import { deepFreeze, jsonObject, roundTrip } from './json-arbitraries.ts'

const diff = (before: unknown, after: unknown) =>
  JSON.parse(diffText(deepFreeze(before), deepFreeze(after), JSON.stringify(after))) as Operation[]
const apply = (before: unknown, patch: Operation[]) =>
  jsonpatch.applyPatch(roundTrip(before), patch, true).newDocument as unknown

await t.test('an independent implementation of RFC 6902 applies the patch and gets the second value', async () => {
  fc.assert(fc.property(jsonObject, jsonObject, (before, after) => {
    return jsonEqual(apply(before, diff(before, after)), after)
  }), { numRuns: 1000 })
})

await t.test('the patch is correct for values that share parts', async () => {
  fc.assert(fc.property(jsonObject, jsonObject, (before, patch) => {
    const after = mergePatch(before, patch)
    return jsonEqual(apply(before, diff(before, after)), after)
  }), { numRuns: 500 })
})

await t.test('the patch is correct for lists that lose, gain and change items', async () => {
  const list = fc.array(fc.oneof(fc.integer({ min: 0, max: 3 }), fc.constant({ a: 1 }), fc.constant([0])), {
    maxLength: 8
  })
  fc.assert(
    fc.property(list, list, (before, after) => {
      return jsonEqual(apply({ list: before }, diff({ list: before }, { list: after })), { list: after })
    }),
    { numRuns: 1000 }
  )
})

await t.test('the patch of equal values is empty', async () => {
  fc.assert(fc.property(jsonObject, value => diff(value, roundTrip(value)).length === 0))
})

await t.test('each change is one operation', async t => {
  t.strictSame(diff({ status: 'active', n: 3, gone: 1 }, { status: 'ended', n: 3, fresh: [1] }), [
    { op: 'replace', path: '/status', value: 'ended' },
    { op: 'remove', path: '/gone' },
    { op: 'add', path: '/fresh', value: [1] }
  ])
  t.strictSame(diff({ 'a/b': 1, 'm~n': { x: 1 } }, { 'a/b': 2, 'm~n': { x: 2 } }), [
    { op: 'replace', path: '/a~1b', value: 2 }, { op: 'replace', path: '/m~0n/x', value: 2 }
  ])
})

await t.test('removing or adding an item at the front is one operation', async t => {
  const items = Array.from({ length: 100 }, (_, i) => ({ i }))
  t.strictSame(diff({ items }, { items: items.slice(1) }), [{ op: 'remove', path: '/items/0' }])
  t.strictSame(diff({ items }, { items: [{ i: -1 }, ...items] }), [{ op: 'add', path: '/items/0', value: { i: -1 } }])
})

await t.test('a patch that would be larger than the document is a replacement', async t => {
  const before = { items: Array.from({ length: 50_000 }, (_, i) => i % 10) }
  const after = { items: [...before.items.slice(1).map(n => n === 9 ? 0 : n + 1), 5] }
  const text = diffText(before, after, JSON.stringify(after))
  t.ok(text.length < 1.1 * JSON.stringify(after).length)
  t.strictSame(apply(before, JSON.parse(text) as Operation[]), after)
})

await t.test('a creation adds the whole document', async t => {
  t.strictSame(JSON.parse(createdDiffText('{"a":1}')), [{ op: 'add', path: '', value: { a: 1 } }])
})
