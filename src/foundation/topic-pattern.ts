/** Segments of topics or `*`, and `**` only at the end. */
const patternForm = /^(?:\*\*|(?:\*|[a-z0-9_-]+)(?:\.(?:\*|[a-z0-9_-]+))*(?:\.\*\*)?)$/
const patternLengthMax = 300

/** Returns whether a text is a topic pattern: `*` stands for one segment, `**` at the end for one or more segments. */
export const isTopicPattern = (text: string): boolean => text.length <= patternLengthMax && patternForm.test(text)

/** A set of topics, given by patterns. A topic is a pattern that matches only itself. */
export class TopicPatterns {
  static readonly none = new TopicPatterns([])
  static readonly all = new TopicPatterns(['**'])

  readonly patterns: readonly string[]
  readonly isAll: boolean
  readonly #exact: ReadonlySet<string>
  readonly #wild: readonly (readonly string[])[]

  constructor (patterns: readonly string[]) {
    this.isAll = patterns.includes('**')
    this.patterns = this.isAll ? ['**'] : [...new Set(patterns)].sort()
    this.#exact = new Set(this.patterns.filter(pattern => !pattern.includes('*')))
    this.#wild = this.patterns.filter(pattern => pattern.includes('*')).map(pattern => pattern.split('.'))
  }

  get isEmpty (): boolean { return this.patterns.length === 0 }

  /** Returns whether one of the patterns covers every topic that `wanted`, a topic or a pattern, can match. */
  covers (wanted: string): boolean {
    if (this.isAll || this.#exact.has(wanted)) return true
    if (this.#wild.length === 0) return false
    const segments = wanted.split('.')
    return this.#wild.some(held => coversSegments(held, segments))
  }

  /** Returns whether the set contains some topic that `wanted`, a topic or a pattern, can match. */
  meets (wanted: string): boolean {
    if (this.isAll || this.#exact.has(wanted)) return true
    const segments = wanted.split('.')
    return this.patterns.some(held => segmentsMeet(held.split('.'), segments))
  }

  union (other: TopicPatterns): TopicPatterns {
    if (this.isAll || other.isEmpty) return this
    if (other.isAll || this.isEmpty) return other
    return new TopicPatterns([...this.patterns, ...other.patterns])
  }

  /**
   * Returns the patterns of each set that the other one covers. Of two patterns that only overlap, such as `a.*` and
   * `*.b`, nothing remains.
   */
  intersection (other: TopicPatterns): TopicPatterns {
    if (this.isAll) return other
    if (other.isAll) return this
    return new TopicPatterns([
      ...this.patterns.filter(pattern => other.covers(pattern)),
      ...other.patterns.filter(pattern => this.covers(pattern))
    ])
  }
}

function segmentsMeet (a: readonly string[], b: readonly string[]): boolean {
  const fixed = (segments: readonly string[]) => segments.at(-1) === '**' ? segments.length - 1 : segments.length
  const [fixedA, fixedB] = [fixed(a), fixed(b)]
  const [isOpenA, isOpenB] = [fixedA < a.length, fixedB < b.length]
  // `**` stands for at least one segment.
  if (!isOpenA && !isOpenB ? fixedA !== fixedB : (!isOpenA && fixedA <= fixedB) || (!isOpenB && fixedB <= fixedA)) {
    return false
  }
  for (let i = 0; i < Math.min(fixedA, fixedB); i++) if (a[i] !== '*' && b[i] !== '*' && a[i] !== b[i]) return false
  return true
}

function coversSegments (held: readonly string[], wanted: readonly string[]): boolean {
  const isOpen = held.at(-1) === '**'
  const fixed = isOpen ? held.length - 1 : held.length
  if (isOpen ? wanted.length <= fixed : wanted.length !== fixed) return false
  for (let i = 0; i < fixed; i++) {
    if (wanted[i] === '**' || (held[i] !== '*' && held[i] !== wanted[i])) return false
  }
  return true
}
