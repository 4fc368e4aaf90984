import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fullFormats } from 'ajv-formats/dist/formats.js'
import fc from 'fast-check'
import t from 'tap'
import {
  formatPatterns, formatSamples, stringFormats, unlimitedFormats
} from '../../../src/registry/json-schema/formats.ts'
import { isUrl } from '../../../src/registry/json-schema/url-format.ts'
import { build } from '../../support/build.ts'
import { root } from '../../support/repository.ts'
import { tenant } from '../../support/tenant.ts'

/*
 * Proves that formats and the API's patterns take linear time for every string. Quadratic checks would take minutes
 * here.
 */

const heads = [
  '',
  'a',
  'http://',
  'https://a',
  'http://a@',
  'a@a.',
  'a:',
  'a://',
  'a:/',
  '#/',
  '/',
  'P',
  'PT',
  '2024-01-01T00:00:00.',
  '00:00:00.',
  '{a',
  'http://[',
  '1.1.1.',
  '(?<a>'
]
const repeats = [
  'a',
  'A',
  '1',
  '-',
  'a-',
  '.',
  'a.',
  '1.',
  '/',
  'a/',
  ':',
  '::',
  'a:',
  '1:',
  '@',
  'a@',
  'a:@',
  'a@a.',
  '@a.co/',
  '%',
  '%a',
  '%41',
  '~',
  '~0',
  '{',
  '{a',
  '{a}',
  '{a,',
  '{a.',
  "'",
  '"',
  '\\\\',
  '[',
  '[IPv6:',
  ':00.0',
  '#',
  '?',
  '+',
  '=',
  'AAAA',
  '\n',
  'a\n',
  ' ',
  'T',
  't ',
  '[',
  '1Y',
  'P1Y',
  '(',
  '(?:',
  '[a-',
  '\\1',
  '(?<a>',
  'é',
  '😀',
  'a|'
]
const tails = ['', '!', ' ', '\n', '\0', '@', '.', '}', ']', '%', '=', ' a']

function * hostileTexts (length: number) {
  for (const head of heads) {
    for (const repeat of repeats) {
      for (const tail of tails) {
        yield head +
          repeat.repeat(Math.ceil(length / repeat.length)) + tail
      }
    }
  }
}

/** A linear check takes a hundredth of this. */
const budgetMs = 20_000
function within (t: { ok (isOk: boolean, message: string): unknown }, name: string, work: () => void) {
  const start = performance.now()
  work()
  t.ok(performance.now() - start < budgetMs, `${name}: ${Math.round(performance.now() - start)} ms`)
}

t.test('every format checks 800 texts of the maximum length in every hostile shape in time', async t => {
  for (const [name, check] of stringFormats) {
    within(t, name, () => { for (const text of hostileTexts(2000)) check(text) })
  }
})

t.test('every format checks a megabyte of each shape in time', async t => {
  for (const [name, check] of unlimitedFormats) {
    // The engine reads a `regex` twice and keeps its parts, so a megabyte does not measure the format.
    const length = name === 'regex' ? 20_000 : 1_000_000
    const shapes = repeats.filter((_, i) => i % 4 === 0 || name === 'url')
    within(t, name, () => {
      for (const repeat of shapes) {
        for (const head of ['', 'http://a@']) check(`${head}${repeat.repeat(Math.ceil(length / repeat.length))} !`)
      }
    })
  }
})

t.test('url accepts the same texts as the expression of ajv-formats', async t => {
  const expression = fullFormats.url as RegExp
  const piece = fc.constantFrom(
    'http://',
    'HTTPS://',
    'ftp://',
    'a',
    'Z',
    '-',
    '.',
    '@',
    ':',
    '/',
    ' ',
    '\u3000',
    '\u2028',
    'é',
    '😀',
    '\ud800',
    '0',
    '1',
    '10',
    '127',
    '169.254',
    '172.16',
    '192.168',
    '223',
    '224',
    '255',
    '80',
    '65536',
    '?',
    '#',
    'com',
    'ſ',
    '_',
    '%'
  )
  const text = fc.tuple(fc.constantFrom('', 'http://', 'https://', 'httpſ://'), fc.array(piece, { maxLength: 12 })).map(
    ([head, pieces]) => head + pieces.join('')
  )
  const address = fc.array(
    fc.constantFrom(
      '0', '1', '10', '16', '31', '99', '100', '127', '168', '169', '172', '192', '199', '223', '224', '254', '255',
      '01', '016'
    ),
    { minLength: 3, maxLength: 5 }
  ).map(parts => `http://${parts.join('.')}`)
  const named = fc.tuple(
    fc.constantFrom('', 'a@', 'a:b@', '@', 'a@b@', ' @'),
    fc.constantFrom('a.co', 'a-b.co', '-a.co', 'a--b.co', 'a.c', 'é.éé', 'a.c1', '1.1.1.1', 'a_b.co'),
    fc.constantFrom('', ':8', ':80', ':65536', ':123456', ':'),
    fc.constantFrom('', '/', '/a b', '/@a.co', '/@a.co/ ', '?a')
  )
    .map(parts => `http://${parts.join('')}`)
  fc.assert(fc.property(fc.oneof(text, address, named), one => isUrl(one) === expression.test(one)), {
    numRuns: 20_000
  })
  t.pass('20,000 texts')
})

t.test('formats accept valid texts of the JSON Schema Test Suite that ajv-formats rejects', async t => {
  const cases: [format: string, valid: string[], invalid: string[]][] = [
    ['email', [
      '"joe bloggs"@example.com',
      '"joe..bloggs"@example.com',
      '"joe@bloggs"@example.com',
      'joe.bloggs@[127.0.0.1]',
      'joe.bloggs@[IPv6:::1]',
      '""@example.com',
      '"\\""@example.com',
      '"a\\\\"@example.com',
      '"a"@[IPv6:2001:db8::1]',
      'joe@localhost',
      'te~st@example.com',
      'a.b+c@x.io'
    ], [
      '',
      '@',
      'joe',
      '@example.com',
      'joe@',
      'joe@bloggs@example.com',
      'joe bloggs@example.com',
      'joe..bloggs@example.com',
      '.joe@example.com',
      'joe.@example.com',
      '"joe@example.com',
      'joe"@example.com',
      '"jo"e"@example.com',
      '"joe\\"@example.com',
      '"joe\n"@example.com',
      '"é"@example.com',
      'joe@[127.0.0.300]',
      'joe@[::1]',
      'joe@[IPv6:1]',
      'joe@[127.0.0.1',
      'joe@127.0.0.1]',
      'joe@-a.com',
      'joe@a-.com',
      'joe@a..com',
      'joe@a.com.',
      'joe@a_b.com',
      '"a"."b"@',
      '"a"b@example.com'
    ]],
    ['uri-template', ['{a.b}', "a'b", '{?a.b*,c.d.e:3}', '{/a_b.c%20}', 'http://example.com/{term:1}/{term}', ''], [
      '{a..b}', '{.}', '{a.}', '{a', 'a}', '{a b}', 'a\x7fb', '"', '{}'
    ]],
    ['date-time', [
      '1985-04-12T00:59:59.999999999999999Z', '1985-04-12T23:59:60.999999999999999Z', '1985-04-12T00:59:59.9Z'
    ], ['1985-04-12T00:59:61.9Z', '1985-04-12T00:59:59.9.9Z', '1985-04-12T00:59:59.Z', '1985-04-12T00:58:60.9Z']],
    ['time', ['00:59:59.999999999999999Z'], ['00:59:59.9', '00:59:60.0Z']],
    ['iso-time', ['00:59:59.999999999999999'], ['00:59:60.0.0']],
    ['iso-date-time', ['1985-04-12 00:59:59.999999999999999'], ['1985-04-12 00:59']]
  ]
  for (const [format, valid, invalid] of cases) {
    for (const text of valid) t.ok(stringFormats.get(format)?.(text), `${format}: ${JSON.stringify(text)}`)
    for (const text of invalid) t.notOk(stringFormats.get(format)?.(text), `not ${format}: ${JSON.stringify(text)}`)
  }
})

t.test('every text of a format matches the checker\'s expression for the format', async t => {
  const pieces = fc.constantFrom(
    'a', '"', '@', '.', '[', ']', 'IPv6:', '::1', '127.0.0.1', ' ', '\\', 'x.io', '-', '+', 'é', '2024-02-29', 'T',
    '12:30:45', '.5', 'Z', '+01:00'
  )
  fc.assert(
    fc.property(fc.array(pieces, { maxLength: 8 }).map(parts => parts.join('')), text => {
      for (const [format, source] of formatPatterns) {
        if (stringFormats.get(format)?.(text) === true && !new RegExp(source, 'u').test(text)) return false
      }
      return true
    }),
    { numRuns: 20_000 }
  )
  for (const [format, samples] of formatSamples) {
    for (const text of samples) t.ok(stringFormats.get(format)?.(text), `${format}: ${text}`)
  }
})

t.test('every pattern of the API checks a hundred kilobytes of each shape in time', async t => {
  const patterns = new Set<string>()
  JSON.stringify(JSON.parse(readFileSync(join(root, 'openapi.json'), 'utf8')), (key, value: unknown) => {
    if (key === 'pattern' && typeof value === 'string') patterns.add(value)
    return value
  })
  t.ok(patterns.size > 5)
  for (const pattern of patterns) {
    const expression = new RegExp(pattern, 'u')
    within(t, pattern, () => {
      for (const repeat of [...repeats, 'a_', 'a*.', '*.', '**', 'é ']) {
        for (const head of ['', 'a', '/', 'http://']) {
          expression.test(`${head}${repeat.repeat(100_000 / repeat.length)}\n!`)
        }
      }
    })
  }
})

t.test('publishing and validating many hostile texts does not block the server', async t => {
  const { app } = await build(t)
  const shop = await tenant(app)
  const payload = Array.from({ length: 400 }, () => `http://a@${'::'.repeat(1015)}@`)
  for (const format of ['url', 'date-time']) {
    const topic = await shop.topic(`format.${format.replace('-', '')}`)
    t.equal(
      (await shop.request('POST', `/api/schemas/${topic}`, { schema: { type: 'array', items: { format } } })).status,
      201
    )
    for (
      const request of [
        () => shop.request('POST', `/api/topics/${topic}/events`, { payload }),
        () => shop.request('POST', `/api/schemas/${topic}/validate`, { payload })
      ]
    ) {
      const start = performance.now()
      const { status } = await request()
      t.ok([200, 201, 400, 422].includes(status), `${format}: ${status}`)
      t.ok(performance.now() - start < budgetMs)
    }
  }
})
