import { LRUCache } from 'lru-cache'
import { RE2JS } from 're2js'
import { parsePattern, PatternError, toRe2 } from './pattern-syntax.ts'

/**
 * Matching costs at most this many steps for each character. RE2 itself allows 1,000 repeats, so this bounds
 * alternatives.
 */
const PROGRAM_SIZE_MAX = 4_000
const PATTERN_LENGTH_MAX = 4_000

export interface Matcher {
  test (text: string): boolean
  /** How many steps a character may take. Most take one. */
  programSize (): number
}

const matchers = new LRUCache<string, Matcher>({ max: 2_000 })

/**
 * The matcher of an ECMAScript pattern, by an engine whose time grows with the text and never explodes: `^(a+)+$` on
 * 50 kB of `a` takes milliseconds. Throws PatternError with the reason for what cannot be matched that way.
 */
export function patternMatcher (source: string): Matcher {
  const known = matchers.get(source)
  if (known !== undefined) return known
  const matcher = compile(source)
  matchers.set(source, matcher)
  return matcher
}

function compile (source: string): Matcher {
  if (source.length > PATTERN_LENGTH_MAX) throw new PatternError(`it is longer than ${PATTERN_LENGTH_MAX} characters`)
  const re2 = toRe2(parsePattern(source))
  let matcher: RE2JS
  try {
    matcher = RE2JS.compile(re2)
  } catch (error) {
    throw new PatternError(
      'the linear-time engine refuses it (a repeat above 1,000, or an unknown character property)', { cause: error }
    )
  }
  if (matcher.programSize() > PROGRAM_SIZE_MAX) { throw new PatternError('it is too large once its repeats are written out') }
  return matcher
}
