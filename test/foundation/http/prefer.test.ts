import t from 'tap'
import { prefersMinimal } from '../../../src/foundation/http/prefer.ts'

t.test('return=minimal is found in every form of RFC 7240', async t => {
  for (
    const header of [
      'return=minimal', 'Return=minimal', 'return="minimal"', ' return = minimal ', 'return=minimal; foo="a, b"',
      'respond-async, return=minimal', 'foo="a, return=representation", return=minimal', 'wait=10,return=minimal',
      'foo="\\", return=representation", return=minimal', ', ,return=minimal'
    ]
  ) t.ok(prefersMinimal(header), header)
  t.ok(prefersMinimal(['respond-async', 'return=minimal']), 'a repeated header')
})

t.test('anything else is no preference', async t => {
  for (
    const header of [
      undefined, '', 'minimal', 'return', 'return=', 'return=representation', 'return=representation, return=minimal',
      'foo="return=minimal"', 'foo="x, return=minimal"', 'foo=return=minimal', 'return=minimalist', 'returns=minimal',
      'return="minimal', '"', ',', '"'.repeat(10_000), 'return='.repeat(10_000), `return=${' '.repeat(10_000)}x`
    ]
  ) t.notOk(prefersMinimal(header), header?.slice(0, 40) ?? 'no header')
})
