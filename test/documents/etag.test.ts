import t from 'tap'
import { etagOf, isMatch, isNoneMatch } from '../../src/documents/etag.ts'

await t.test('If-Match matches by strong comparison', async t => {
  t.equal(etagOf(4), '"4"')
  for (const header of ['"4"', '*', ' * ', '"3", "4"', '"3","4" , "5"', 'W/"4", "4"']) t.ok(isMatch(header, 4), header)
  for (const header of ['"3"', 'W/"4"', '"44"', '"a,4"']) t.notOk(isMatch(header, 4), header)
})

await t.test('a malformed If-Match is refused, and the error names the header', async t => {
  for (const header of ['4', '', '"4', '"4 "', '"4" "5"', '"4",', 'w/"4"', '*, "4"', '"4"; x']) {
    t.throws(() => isMatch(header, 4), { status: 400, code: 'VALIDATION_FAILED', message: /^\/if-match must be/ })
  }
})

await t.test('If-None-Match matches by weak comparison, and a malformed one never matches', async t => {
  for (const header of ['"4"', 'W/"4"', '*', '"3", W/"4"']) t.ok(isNoneMatch(header, 4), header)
  for (const header of ['"3"', '4', '', 'W/4']) t.notOk(isNoneMatch(header, 4), header)
})
