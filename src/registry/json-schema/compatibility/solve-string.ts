import { formatPatterns, formatSamples, isPartOf, stringFormats } from '../formats.ts'
import type { Literal } from './formula.ts'
import { type Language, LanguageLimit } from '../regex/pattern-language.ts'
import { parsePattern } from '../regex/pattern-parser.ts'
import type { Reason } from './reasons.ts'
import { type Models, noModels, type Questions } from './models.ts'
import { findText, textLengthMax } from '../regex/text-search.ts'

/** The number of texts to try when only the validator can test a format. */
const formatTriesMax = 24

/**
 * Finds strings that satisfy all literals: by automata for lengths, patterns and exceptions, by samples for formats.
 */
export function solveString (literals: readonly Literal[], want: number, solver: Questions): Models {
  const formats = literals.filter(literal => literal.kind === 'format')
  if (formats.some(a => formats.some(b => !a.negated && b.negated && isPartOf(a.name, b.name)))) return noModels
  const found = new Set<string>()
  const take = (text: string): void => {
    if (found.size < want && literals.every(literal => solver.holds(literal, text))) found.add(text)
  }
  for (const { name, negated } of formats) if (!negated) formatSamples.get(name)?.forEach(take)
  if (found.size >= want) return { values: [...found], exhausted: false }
  const reason = search(literals, want, found, take, solver)
  return { values: [...found], exhausted: reason === undefined, ...reason === undefined ? {} : { reason } }
}

/** Returns why the search ended early, or undefined if there are no more strings. */
function search (
  literals: readonly Literal[], want: number, found: Set<string>, take: (text: string) => void, solver: Questions
): Reason | undefined {
  const [min, max] = lengths(literals)
  if (min > max) return undefined
  if (min > textLengthMax) return 'cardinality'
  const excluded = new Set(found)
  for (const literal of literals) {
    if (literal.kind === 'in') {
      for (const value of literal.values.values()) if (typeof value === 'string') excluded.add(value)
    }
  }
  // Why a text that the automata accept may still violate a literal. The reverse does not happen: without any accepted
  // text, no string satisfies the literals.
  let blind: Reason | undefined = literals.some(literal => literal.kind === 'format') ? 'format' : undefined
  try {
    const { matching, avoiding, isWhole } = automata(literals, solver)
    if (!isWhole) blind = 'pattern'
    for (let i = 0; i < Math.max(want, blind === undefined ? 0 : formatTriesMax); i++) {
      if (found.size >= want) return blind ?? 'cardinality'
      const text = findText({ matching, avoiding, excluded, min, max }, solver.languages, solver.tick)
      if (text === undefined) return undefined
      take(text)
      excluded.add(text)
    }
  } catch (error) {
    if (!(error instanceof LanguageLimit)) throw error
    return 'pattern'
  }
  return blind ?? 'cardinality'
}

function lengths (literals: readonly Literal[]): [number, number] {
  let [min, max] = [0, Infinity]
  for (const literal of literals) {
    if (literal.kind === 'size') [min, max] = [Math.max(min, literal.min), Math.min(max, literal.max)]
  }
  return [min, max]
}

function automata (
  literals: readonly Literal[], solver: Questions
): { matching: Language[], avoiding: Language[], isWhole: boolean } {
  const result = { matching: [] as Language[], avoiding: [] as Language[], isWhole: true }
  for (const literal of literals) {
    const source = literal.kind === 'pattern'
      ? literal.source
      : literal.kind === 'format' && !literal.negated && stringFormats.has(literal.name)
        ? formatPatterns.get(literal.name)
        : undefined
    if (source === undefined) continue
    const start = solver.languages.start(parsePattern(source))
    if (start === undefined) result.isWhole = false
    else if (literal.kind === 'pattern' && literal.negated) result.avoiding.push(start)
    else result.matching.push(start)
  }
  return result
}
