import fc from 'fast-check'
import t from 'tap'
import { decodeCursor, encodeCursor, toPage } from '../../src/foundation/paging.ts'
import { codeOf } from '../support/refusal.ts'

t.test('a decoded cursor equals the original', async () => {
  const part = fc.oneof(fc.maxSafeInteger(), fc.string({ unit: 'grapheme' }).filter(text => !text.includes('\0')))
  fc.assert(fc.property(fc.array(part, { minLength: 1, maxLength: 3 }), parts => {
    const cursor = encodeCursor(parts)
    return /^[\w-]+$/.test(cursor) && JSON.stringify(decodeCursor(cursor)) === JSON.stringify(parts)
  }))
})

t.test('a cursor that the server did not issue gets 400', async t => {
  const coded = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
  for (
    const cursor of [
      '', 'x', '!!', coded({}), coded([]), coded([null]), coded([1.5]), coded([1e300]), coded(['\0']), coded([[1]])
    ]
  ) {
    t.equal(await codeOf(() => decodeCursor(cursor)), 'VALIDATION_FAILED', cursor)
  }
  t.equal(await codeOf(() => decodeCursor(coded(['a', 1]), ['number', 'string'])), 'VALIDATION_FAILED')
  t.equal(await codeOf(() => decodeCursor(coded([1]), ['number', 'string'])), 'VALIDATION_FAILED')
  t.same(decodeCursor(coded([1, 'a']), ['number', 'string']), [1, 'a'])
})

t.test('a page has a cursor only if another page follows', async t => {
  const page = (rows: number[], limit: number) => toPage(rows, limit, row => row * 10, row => [row])
  t.same(page([1, 2], 2), { items: [10, 20], nextCursor: undefined })
  t.same(page([1, 2, 3], 2), { items: [10, 20], nextCursor: encodeCursor([2]) })
  t.same(page([], 2), { items: [], nextCursor: undefined })
})
