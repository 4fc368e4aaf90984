import t from 'tap'
import { compareValues, isSameValue } from '../../../src/cdc/mappings/compare-values.ts'

t.test('numbers are equal by value, however they are written', async t => {
  const same = [[1e21, '1000000000000000000000'], [1e-7, '0.0000001'], [19.9, '19.90'], [5, '5'], [-0, '0'], [
    '12345678901234567890.10', '12345678901234567890.1'
  ], ['NaN', 'NaN']]
  for (const [a, b] of same) t.ok(isSameValue(a, b), `${String(a)} ${String(b)}`)
  for (const [a, b] of [['007', '7'], [1, '1x'], [1, null], [1, true], ['Infinity', '-Infinity'], [1e21, '1e22']]) {
    t.notOk(isSameValue(a, b), `${String(a)} ${String(b)}`)
  }
})

t.test('numbers are ordered by value, as PostgreSQL orders them', async t => {
  const ordered = [
    '-Infinity', '-1e21', -5, '-4.5', '-1e-7', 0, '1e-7', 0.5, 5, '9', '10.0', 1e21, '1e400', 'Infinity', 'NaN'
  ]
  for (const [i, a] of ordered.entries()) {
    for (const [j, b] of ordered.entries()) {
      t.equal(
        Math.sign(compareValues(a, b) ?? NaN),
        Math.sign(i - j),
        `${a} ${b}`
      )
    }
  }
})
