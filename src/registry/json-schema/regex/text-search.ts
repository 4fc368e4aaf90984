import { lastCodePoint } from './char-ranges.ts'
import { cuts, type Language, type Languages } from './pattern-language.ts'
import type { Tick } from '../steps.ts'

/** Describes a text: patterns that match, patterns that do not, the length in code points, and excluded texts. */
export interface TextProblem {
  readonly matching: readonly Language[]
  readonly avoiding: readonly Language[]
  readonly excluded: ReadonlySet<string>
  readonly min: number
  readonly max: number
}

/** Limits the length of a text to search for: every character of it takes a step at least. */
export const textLengthMax = 20_000

interface Trie {
  readonly isEnd: boolean
  readonly next: ReadonlyMap<number, Trie>
}
interface Place {
  readonly states: readonly Language[]
  readonly trie: Trie | undefined
  readonly from: Place | undefined
  readonly code: number
}

/**
 * Returns the shortest such text, or undefined if there is none. Walks all automata at once. Calls `tick` for every
 * step; if it throws, the search ends.
 */
export function findText (problem: TextProblem, languages: Languages, tick: Tick): string | undefined {
  const { matching, avoiding, min, max } = problem
  if (min > max) return undefined
  const start: Place = { states: [...matching, ...avoiding], trie: trieOf(problem.excluded), from: undefined, code: 0 }
  const isPossible = (states: readonly Language[]): boolean =>
    !states.some((state, i) => i < matching.length ? languages.isNone(state) : languages.isAll(state))
  const isWanted = ({ states, trie }: Place): boolean =>
    trie?.isEnd !== true &&
    states.every((state, i) => languages.accepts(state) === (i < matching.length))
  const seen = new Set<string>()
  let layer = isPossible(start.states) ? [start] : []
  for (let length = 0; length <= max && layer.length > 0; length++) {
    if (length >= min) {
      const found = layer.find(isWanted)
      if (found !== undefined) return textTo(found)
    }
    const next = new Map<string, Place>()
    for (const place of layer) {
      for (const following of steps(place, languages)) {
        tick(2 + following.states.length)
        const key = keyOf(following)
        if (next.has(key) || seen.has(key) || !isPossible(following.states)) continue
        // Below the minimum, a place must be visited again at a greater length.
        if (length + 1 >= min) seen.add(key)
        next.set(key, following)
      }
    }
    layer = [...next.values()]
  }
  return undefined
}

function * steps (from: Place, languages: Languages): Generator<Place> {
  const live = from.states.filter(state => !languages.isAll(state) && !languages.isNone(state))
  const ends = new Set(cuts(live))
  for (const code of from.trie?.next.keys() ?? []) ends.add(code).add(code + 1)
  const starts = [...ends].filter(code => code <= lastCodePoint).sort((a, b) => a - b)
  const ranges = starts.map((first, i) => ({ first, last: (starts[i + 1] ?? lastCodePoint + 1) - 1 }))
  ranges.sort((a, b) => rank(a.first) - rank(b.first) || a.first - b.first)
  for (const { first, last } of ranges) {
    const code = nicest(first, last)
    yield {
      states: from.states.map(state => languages.after(state, code)), trie: from.trie?.next.get(code), from, code
    }
  }
}

/** Readable characters come first, so that a witness is readable. */
const readableCodes = ['a', 'A', '0', '-', '_', ' ', '.', '!'].map(char => char.charCodeAt(0))
function nicest (first: number, last: number): number {
  return readableCodes.find(code => code >= first && code <= last) ?? (first < 32 && last >= 33 ? 33 : first)
}

function rank (code: number): number {
  if (code >= 97 && code <= 122) return 0
  if (code >= 48 && code <= 90) return 1
  return code < 32 || code > 126 ? 3 : 2
}

function keyOf ({ states, trie }: Place): string {
  return states.map(state => state.id).join() + (trie === undefined ? '' : ` ${trieId(trie)}`)
}

const trieIds = new WeakMap<Trie, number>()
let lastTrie = 0
function trieId (trie: Trie): number {
  const id = trieIds.get(trie) ?? ++lastTrie
  trieIds.set(trie, id)
  return id
}

function trieOf (texts: ReadonlySet<string>): Trie | undefined {
  interface Growing { isEnd: boolean, next: Map<number, Growing> }
  if (texts.size === 0) return undefined
  const root: Growing = { isEnd: false, next: new Map() }
  for (const text of texts) {
    let at = root
    for (const char of text) {
      const code = char.codePointAt(0) ?? 0
      const next = at.next.get(code) ?? { isEnd: false, next: new Map() }
      at.next.set(code, next)
      at = next
    }
    at.isEnd = true
  }
  return root
}

function textTo (place: Place): string {
  const codes: number[] = []
  for (let at = place; at.from !== undefined; at = at.from) codes.push(at.code)
  return codes.reverse().map(code => String.fromCodePoint(code)).join('')
}
