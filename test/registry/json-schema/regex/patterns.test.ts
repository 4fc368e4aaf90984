import t from 'tap'
import { Languages } from '../../../../src/registry/json-schema/regex/pattern-language.ts'
import { patternMatcher } from '../../../../src/registry/json-schema/regex/pattern-matcher.ts'
import { parsePattern } from '../../../../src/registry/json-schema/regex/pattern-parser.ts'
import { PatternError } from '../../../../src/registry/json-schema/regex/pattern-syntax.ts'
import { Random } from '../../../support/random.ts'

const atoms = [
  'a', 'b', '.', '\\d', '\\D', '\\w', '\\W', '\\s', '\\S', '\\b', '\\B', '^', '$', '[a-z]', '[^a-c0-9]', '[]', '[^]',
  '[\\w-]', '[-a]', '[\\]]', '[[]', '[\\b]', '[{}]', '[\\-x]', '\\p{Lu}', '\\P{Letter}', '\\p{Script=Greek}',
  '\\p{gc=Nd}', '[\\p{L}x]', '[^\\p{L}\\d]', '\\x41', '\\u0041', '\\u{1F600}', '\\ud83d\\ude00', '😀', '[😀-😃]', '\\cA',
  '\\0', '\\/', '\\.', '\\{', '\\t', '(?<n>a)', '(?:ab|a)', '(a|)'
]
const malformedAtoms = [
  '\\c1', '\\01', '\\k<m>', '[a-\\d]', '[z-a]', '(', ')', '[', '\\q', '\\x4', '\\u12', '\\u{110000}', '\\p{Foo}',
  '\\p', '*', '(?i:a', '(?<1>a)'
]
const quantifiers = ['', '', '', '', '*', '+', '?', '{2}', '{2,}', '{1,3}', '*?', '+?', '{2}?']
const texts = [
  '', 'a', 'b', 'ab', 'aab', 'abab', 'A', 'É', 'Ω', 'ω1', '7', '٣', '_', '-', ' ', '\n', '\u2028', '\u00a0', ']', '[',
  '{', '/', '.', '\t', '\u0001', '\0', '\b', '😀', '😁a', 'a-b', 'aa bb', '-😀y', 'a\nb'
]

function generate (random: Random, pick: (random: Random) => string): string {
  const parts = Array.from({ length: 1 + random.below(4) }, () => {
    const quantifier = random.pick(quantifiers)
    return random.chance(0.3) ? `(${pick(random)}|${pick(random)})${quantifier}` : `${pick(random)}${quantifier}`
  })
  return parts.join(random.pick(['', '', '|']))
}

const isRegExp = (source: string): boolean => {
  try {
    return new RegExp(source, 'u') instanceof RegExp
  } catch {
    return false
  }
}

t.test('generated patterns match the texts that RegExp matches, and so do their automata', t => {
  const different: unknown[] = []
  let [matched, decided] = [0, 0]
  for (let seed = 0; seed < 1_500; seed++) {
    const source = generate(new Random(seed * 31 + 5), random => random.pick(atoms))
    if (!isRegExp(source)) continue
    const regExp = new RegExp(source, 'u')
    const matcher = patternMatcher(source)
    const languages = new Languages(() => {})
    const start = languages.start(parsePattern(source))
    for (const text of texts) {
      const expected = regExp.test(text)
      if (matcher.test(text) !== expected) different.push({ source, text, expected })
      matched++
      if (start === undefined) continue
      const end = Array.from(text).reduce((state, char) => languages.after(state, char.codePointAt(0) ?? 0), start)
      if (languages.accepts(end) !== expected) different.push({ source, text, expected, by: 'automaton' })
      decided++
    }
  }
  t.comment(`${matched} texts matched, ${decided} by automata`)
  t.ok(matched > 20_000 && decided > 10_000)
  t.same(different, [])
  t.end()
})

t.test('what RegExp refuses with the flag u is refused, and nothing else fails', t => {
  const different: unknown[] = []
  for (let seed = 0; seed < 1_500; seed++) {
    const random = new Random(seed * 37 + 3)
    const bad = random.pick(malformedAtoms)
    const source = generate(random, () => random.chance(0.3) ? bad : random.pick(atoms))
    try {
      parsePattern(source)
      if (!isRegExp(source)) different.push(source)
    } catch (error) {
      if (!(error instanceof PatternError) || isRegExp(source)) different.push({ source, error: String(error) })
    }
  }
  t.same(different, [])
  t.end()
})

t.test('a needless backslash and a lone brace or bracket are themselves', t => {
  const lenient: [source: string, strict: string][] = [
    ['^[\\w\\-.]+\\@[a-z\\.\\-]+$', '^[\\w\\-.]+@[a-z.\\-]+$'], ['a\\-b', 'a-b'], ['\\_\\ \\"', '_ "'],
    ['{', '\\{'], ['a}]', 'a\\}\\]'], ['x{,3}', 'x\\{,3\\}'], ['x{a}', 'x\\{a\\}'], ['[{}]{2}', '[{}]{2}'],
    ['\\u{61}\\p{L}{2}', 'a\\p{L}{2}'], ['(?\\:a)', '('], ['a{1\\,2}', 'a\\{1,2\\}']
  ]
  for (const [source, strict] of lenient) {
    if (isRegExp(strict)) t.same(parsePattern(source), parsePattern(strict), source)
    else t.throws(() => parsePattern(source), /it has/, source)
  }
  t.end()
})

t.test('hostile patterns are refused or matched in bounded time', t => {
  const nested = (open: string, depth: number): string => open.repeat(depth) + ')'.repeat(depth)
  for (const source of ['('.repeat(2_000), nested('(?:', 1_000), nested('(', 101)]) {
    t.throws(() => patternMatcher(source), /nested deeper than 100|not closed/, source.slice(0, 10))
  }
  t.doesNotThrow(() => patternMatcher(nested('(', 99)))
  t.throws(() => patternMatcher('a'.repeat(4_001)), /longer than 4000 characters/)
  t.throws(() => patternMatcher('(?:a{1000}){1000}'), /1,000/)
  for (const source of ['^(a+)+$', '^(a|a)*$', '^(a|aa)+$', '(.*a){20}$', '^(\\w+\\s?)*$']) {
    t.notOk(patternMatcher(source).test('a'.repeat(2_000) + '!\n'), source)
  }
  t.end()
})
