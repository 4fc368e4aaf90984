import { lastCodePoint, type Ranges } from './char-ranges.ts'
import type { Pattern } from './pattern-syntax.ts'
import type { Tick } from '../steps.ts'

/** Marks before and after every text, so that `^` and `$` can be handled as characters. */
const startMark = lastCodePoint + 1
const endMark = lastCodePoint + 2

/**
 * A set of texts: a state of a pattern's automaton. Each state is created once. `nullable` is whether the set contains
 * the empty text.
 */
export type Language = { readonly id: number, readonly nullable: boolean } & (
  | { readonly kind: 'none' | 'empty' }
  | { readonly kind: 'chars', readonly ranges: Ranges }
  | { readonly kind: 'concat', readonly first: Language, readonly then: Language }
  | { readonly kind: 'or', readonly parts: readonly Language[] }
  | { readonly kind: 'repeat', readonly part: Language, readonly min: number, readonly max: number }
)
type Shape = Language extends infer L ? L extends Language ? Omit<L, 'id' | 'nullable'> : never : never

/** Thrown when automata would have too many states. */
export class LanguageLimit extends Error {}
const languagesMax = 20_000

/**
 * Builds the automata of patterns state by state, as Brzozowski's derivatives: the state after a character is the set
 * of texts that may follow it.
 */
export class Languages {
  readonly #made = new Map<string, Language>()
  readonly #derivatives = new Map<string, Language>()
  readonly #none = this.#make('none', { kind: 'none' }, false)
  readonly #empty = this.#make('empty', { kind: 'empty' }, true)
  readonly #rest = this.#repeat(this.#chars([[0, endMark]]), 0, Infinity)
  readonly #tick: Tick

  constructor (tick: Tick) {
    this.#tick = tick
  }

  /**
   * Returns the state before the first character of a text in which the pattern is searched, or undefined if the
   * pattern is not supported.
   */
  start (pattern: Pattern): Language | undefined {
    if (!hasPlainAnchors(pattern, true, true)) return undefined
    const search = this.#concat(this.#rest, this.#concat(this.#of(pattern), this.#rest))
    return this.after(search, startMark)
  }

  accepts (state: Language): boolean {
    return this.after(state, endMark).nullable
  }

  isNone (state: Language): boolean {
    return state === this.#none
  }

  /** Returns whether every continuation is accepted. */
  isAll (state: Language): boolean {
    return state === this.#rest
  }

  /** Returns the state after a character. */
  after (state: Language, code: number): Language {
    switch (state.kind) {
      case 'none':
      case 'empty':
        return this.#none
      case 'chars':
        return state.ranges.some(([first, last]) => code >= first && code <= last) ? this.#empty : this.#none
    }
    const key = `${state.id} ${code}`
    const known = this.#derivatives.get(key)
    if (known !== undefined) return known
    this.#tick(2)
    const result = this.#derive(state, code)
    this.#derivatives.set(key, result)
    return result
  }

  #derive (state: Extract<Language, { kind: 'concat' | 'or' | 'repeat' }>, code: number): Language {
    if (state.kind === 'or') return this.#or(state.parts.map(part => this.after(part, code)))
    if (state.kind === 'repeat') {
      return this.#concat(
        this.after(state.part, code), this.#repeat(state.part, Math.max(0, state.min - 1), state.max - 1)
      )
    }
    const taken = this.#concat(this.after(state.first, code), state.then)
    return state.first.nullable ? this.#or([taken, this.after(state.then, code)]) : taken
  }

  #of (pattern: Pattern): Language {
    switch (pattern.kind) {
      case 'chars': return this.#chars(pattern.ranges)
      case 'start': return this.#chars([[startMark, startMark]])
      case 'end': return this.#chars([[endMark, endMark]])
      case 'concat': return pattern.parts.reduceRight((then, part) => this.#concat(this.#of(part), then), this.#empty)
      case 'or': return this.#or(pattern.parts.map(part => this.#of(part)))
      case 'repeat': return this.#repeat(this.#of(pattern.part), pattern.min, pattern.max)
      default: throw new LanguageLimit()
    }
  }

  #make (key: string, shape: Shape, nullable: boolean): Language {
    const known = this.#made.get(key)
    if (known !== undefined) return known
    if (this.#made.size > languagesMax) throw new LanguageLimit()
    const language = { id: this.#made.size, nullable, ...shape } as Language
    this.#made.set(key, language)
    return language
  }

  #chars (ranges: Ranges): Language {
    return ranges.length === 0
      ? this.#none
      : this.#make(`chars ${ranges.map(pair => pair.join('-')).join()}`, { kind: 'chars', ranges }, false)
  }

  #concat (first: Language, then: Language): Language {
    if (first === this.#none || then === this.#none) return this.#none
    if (first === this.#empty) return then
    if (then === this.#empty) return first
    if (first.kind === 'concat') return this.#concat(first.first, this.#concat(first.then, then))
    if (first === this.#rest && then === this.#rest) return first
    return this.#make(`concat ${first.id} ${then.id}`, { kind: 'concat', first, then }, first.nullable && then.nullable)
  }

  #or (parts: readonly Language[]): Language {
    const flat = new Map<number, Language>()
    for (const part of parts) {
      if (part === this.#rest) return part
      for (const inner of part.kind === 'or' ? part.parts : [part]) if (inner !== this.#none) flat.set(inner.id, inner)
    }
    this.#tick(flat.size)
    const list = [...flat.values()].sort((a, b) => a.id - b.id)
    const [only] = list
    if (only === undefined) return this.#none
    if (list.length === 1) return only
    return this.#make(
      `or ${list.map(part => part.id).join()}`,
      { kind: 'or', parts: list },
      list.some(part => part.nullable)
    )
  }

  #repeat (part: Language, min: number, max: number): Language {
    if (max <= 0 || part === this.#empty) return this.#empty
    if (part === this.#none) return min === 0 ? this.#empty : part
    if (min === 1 && max === 1) return part
    const least = part.nullable ? 0 : min
    return this.#make(`repeat ${part.id} ${least} ${max}`, { kind: 'repeat', part, min: least, max }, least === 0)
  }
}

/** Returns the code points at which the next state may change, ascending. Each represents all up to the next. */
export function cuts (states: readonly Language[]): number[] {
  const found = new Set([0])
  const seen = new Set<Language>()
  const visit = (state: Language): void => {
    if (seen.has(state)) return
    seen.add(state)
    if (state.kind === 'chars') for (const [first, last] of state.ranges) found.add(first).add(last + 1)
    else if (state.kind === 'or') state.parts.forEach(visit)
    else if (state.kind === 'repeat') visit(state.part)
    else if (state.kind === 'concat') {
      visit(state.first)
      if (state.first.nullable) visit(state.then)
    }
  }
  states.forEach(visit)
  return [...found].filter(code => code <= lastCodePoint).sort((a, b) => a - b)
}

/** Returns whether `^` and `$` occur only where they can be read as the first and last character of the text. */
function hasPlainAnchors (pattern: Pattern, isFirst: boolean, isLast: boolean): boolean {
  switch (pattern.kind) {
    case 'start':
      return isFirst
    case 'end':
      return isLast
    case 'chars':
      return true
    case 'property':
    case 'boundary':
    case 'inside':
      return false
    case 'or':
      return pattern.parts.every(part => hasPlainAnchors(part, isFirst, isLast))
    case 'concat':
      return pattern.parts.every((part, i) =>
        hasPlainAnchors(part, isFirst && i === 0, isLast && i === pattern.parts.length - 1)
      )
    case 'repeat':
      return hasPlainAnchors(pattern.part, isFirst && pattern.max === 1, isLast && pattern.max === 1)
  }
}
