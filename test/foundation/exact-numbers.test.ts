import fc from 'fast-check'
import t from 'tap'
import type { PublicError } from '../../src/errors.ts'
import { isExactNumber, mayHaveInexactNumber, requireExactNumbers } from '../../src/foundation/exact-numbers.ts'
import { read } from '../support/repository.ts'

function refusalOf (json: string, outer?: number): PublicError | undefined {
  try {
    requireExactNumbers(json, outer)
    return undefined
  } catch (error) {
    return error as PublicError
  }
}

const fails = (json: string, path: string) =>
  t.match(refusalOf(json), { code: 'NUMBER_INEXACT', status: 400, details: [{ path }] }, json.slice(0, 100))

const exact = [
  '0',
  '-0',
  '-0.0',
  '0e400',
  '1',
  '1.0',
  '1e2',
  '1E+02',
  '9007199254740991',
  '-9007199254740991',
  '9007199254740992',
  '1524831183200260000',
  '100000000000000000000',
  '1e21',
  '1e23',
  '123e65',
  '1e308',
  '1.7976931348623157e308',
  '-1.7976931348623157E+308',
  '0.1',
  '0.30000000000000004',
  '3.141592653589793',
  '5e-324',
  '4.9E-324',
  '4.9406564584124654e-324',
  '2.2250738585072014e-308',
  '1.50000000000000000000',
  '1e0002',
  // Doubles printed by C with 17 and 20 digits, and in full.
  '0.10000000000000001',
  '-65.613616999999977',
  '0.10000000000000000555',
  '0.1000000000000000055511151231257827021181583404541015625'
]
const inexact = [
  '9007199254740993',
  '-9007199254740993',
  '9007199254740993.0',
  '9007199254740993e0',
  '9.007199254740993e15',
  '90071992547409930e-1',
  '1524831183200260097',
  '1524831183200260096',
  '9223372036854775807',
  '-9223372036854775807',
  '18446744073709551615',
  '123456789012345678901234567890',
  '1'.repeat(300),
  '1'.repeat(1000),
  '1e309',
  '-1e400',
  '1e0400',
  '1e99999999999999999999',
  '1e-400',
  '0.000001e-330',
  '3e-324',
  '1.23456789012345e-320',
  // A fraction that would become an integer, or has more digits than any double.
  '9007199254740990.9',
  '0.99999999999999999',
  '12345678901234567.89',
  '1234567890123456.78',
  '3.14159265358979323846',
  '1.00000000000000000001',
  `0.${'3'.repeat(200)}`
]

t.test('a number is exact if its double prints as the same value', async t => {
  for (const literal of exact) t.equal(isExactNumber(literal), true, literal)
  for (const literal of inexact) t.equal(isExactNumber(literal), false, literal.slice(0, 60))
})

t.test('every printed form of a double is exact', async () => {
  fc.assert(fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), value => {
    if (!isExactNumber(String(value))) throw new Error(String(value))
    if (!Number.isInteger(value) && !isExactNumber(value.toPrecision(17))) throw new Error(value.toPrecision(17))
  }), { numRuns: 2000 })
})

t.test('an integer is exact if its digits are preserved', async () => {
  fc.assert(fc.property(fc.bigInt({ min: -(2n ** 70n), max: 2n ** 70n }), value => {
    const printed = BigInt(JSON.stringify(Number(value)).replace(/^(-?)(.*)e\+(\d+)$/, inFull))
    if (isExactNumber(String(value)) !== (printed === value)) throw new Error(String(value))
  }), { numRuns: 2000 })
})

/** `1.5e+21` in full. */
const inFull = (_: string, sign: string, mantissa: string, exponent: string) => {
  const [whole = '', fraction = ''] = mantissa.split('.')
  return `${sign}${whole}${fraction.padEnd(Number(exponent), '0')}`
}

t.test('the search for long numbers finds each of them at any place', async t => {
  const around: [string, string][] = [
    ['', ''], ['[', ']'], ['[1,', ',2]'], ['{"a":', '}'], ['{"a": ', ' }'], ['{"a":\n\t', '\n}'], ['[1, ', ']'],
    ['{"a":[[', ']]}'], ['{"a":"x","b":', ',"c":"y"}']
  ]
  for (const [before, after] of around) {
    for (const literal of inexact) {
      t.ok(mayHaveInexactNumber(`${before}${literal}${after}`), `${before}${literal.slice(0, 40)}${after}`)
      t.throws(() => requireExactNumbers(`${before}${literal}${after}`), { code: 'NUMBER_INEXACT' })
    }
    for (const literal of exact) {
      t.doesNotThrow(() => requireExactNumbers(`${before}${literal}${after}`), `${before}${literal}${after}`)
    }
  }
})

t.test('the error names the first place by its JSON Pointer, and shows the number', async t => {
  fails('{"payload":{"id":1524831183200260097}}', '/payload/id')
  fails('{"events":[{"payload":1},{"payload":[0,{"x":-1e400}]}]}', '/events/1/payload/1/x')
  fails('{"a/b":{"m~n":9007199254740993}}', '/a~1b/m~0n')
  fails('{"a":1,"a":9007199254740993}', '/a')
  fails('{"a":9007199254740993,"a":1}', '/a')
  fails('{"":{"__proto__":9007199254740993}}', '//__proto__')
  fails('9007199254740993', '')
  fails(`{"${'k'.repeat(10_000)}":9007199254740993}`, `/${'k'.repeat(100)}`)
  t.match(refusalOf('[[9007199254740993]]', 1), { details: [{ path: '/0' }] })
  t.match(refusalOf('{"id":1524831183200260097}'), {
    message:
      '/id must be a number that a double can hold: 1524831183200260097 would become 1524831183200260000. Send it as ' +
        'a string'
  })
  t.ok(String(refusalOf(`[${'1'.repeat(100_000)}]`)?.message).length < 200, 'a long number is shortened')
})

t.test('digits in strings and keys are not numbers', async t => {
  for (
    const text of [
      '9007199254740993', 'a, 9007199254740993', ': 1e400', '[9007199254740993', '\\", 9007199254740993',
      '\\\\\\", 1e400 ', '1.2.3.4.5.6.7.8.9.10', '- 9007199254740993', ' 2026-11-29 01234567890123456789 '
    ]
  ) {
    const json = `{"${text}":"${text}","n":[1,"${text}"]}`
    JSON.parse(json)
    t.doesNotThrow(() => requireExactNumbers(json), json)
    fails(json.replace('[1,', '[9007199254740993,'), '/n/0')
  }
})

t.test('a text that is too deep is rejected as such; a long one takes linear time', async t => {
  t.throws(() => requireExactNumbers('['.repeat(100_000) + '1e400' + ']'.repeat(100_000)), {
    code: 'VALIDATION_FAILED', message: /levels deep/
  })
  t.doesNotThrow(() => requireExactNumbers('['.repeat(100_000) + '1' + ']'.repeat(100_000)))
  for (const part of ['1', '1.', ', 1', ', 123456789012345', '-', '1e', ',', '12345678901234567890, ', '\\"', ' ']) {
    t.doesNotThrow(() => requireExactNumbers(`"${part.repeat(1_000_000 / part.length)}"`), part)
  }
})

t.test('the table of numbers in docs/ERRORS.md is correct', async t => {
  const page = read('docs/ERRORS.md')
  const rows = [
    ...page.slice(page.indexOf('## Numbers'), page.indexOf('## Codes')).matchAll(
      /^\|[^|]*\|([^|]*)\| (accepted|rejected)/gm
    )
  ]
  t.equal(rows.length, 8)
  for (const [, examples = '', verdict] of rows) {
    for (const [, literal = ''] of examples.matchAll(/`([^`]+)`/g)) {
      t.equal(
        isExactNumber(literal),
        verdict === 'accepted',
        literal
      )
    }
  }
})
