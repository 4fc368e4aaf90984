import { LRUCache } from 'lru-cache'
import { RE2JS } from 're2js'
import { parsePattern } from './pattern-parser.ts'
import { PatternError } from './pattern-syntax.ts'
import { toRe2 } from './re2-syntax.ts'

/** Limits the steps per character of matching. RE2 itself limits repeats to 1,000, so this limits alternatives. */
const programSizeMax = 4_000
const patternLengthMax = 4_000

export interface Matcher {
  test (text: string): boolean
  /** Returns the maximum steps per character. Most characters take one. */
  programSize (): number
}

const matchers = new LRUCache<string, Matcher>({ max: 2_000 })

/**
 * Returns the matcher of an ECMAScript pattern. It uses a linear-time engine: `^(a+)+$` on 50 kB of `a` takes
 * milliseconds. Throws PatternError with the reason if the engine does not support the pattern.
 */
export function patternMatcher (source: string): Matcher {
  const known = matchers.get(source)
  if (known !== undefined) return known
  const matcher = compile(source)
  matchers.set(source, matcher)
  return matcher
}

function compile (source: string): Matcher {
  if (source.length > patternLengthMax) throw new PatternError(`it is longer than ${patternLengthMax} characters`)
  const re2 = toRe2(parsePattern(source))
  let matcher: RE2JS
  try {
    matcher = RE2JS.compile(re2)
  } catch (error) {
    throw new PatternError(
      'the linear-time engine does not support it (a repeat above 1,000, or an unknown character property)',
      { cause: error }
    )
  }
  if (matcher.programSize() > programSizeMax) {
    throw new PatternError('it is too large after its repeats are expanded')
  }
  return matcher
}
