/**
 * A type as alternatives: none for `never`. After the named types are resolved, `size` is the number of members of the
 * union, and `height` the length of the longest chain of names.
 */
export interface TypeExpression {
  readonly alternatives: readonly string[]
  readonly size: number
  readonly height: number
}

/** The compiler refuses intersections of unions with more than 100,000 combinations, and slows down long before. */
const combinationsMax = 500
const membersMax = 5_000

export const never: TypeExpression = { alternatives: [], size: 0, height: 0 }
export const one = (alternative: string, size = 1, height = 0): TypeExpression =>
  ({ alternatives: [alternative], size, height })
export const unknown = one('unknown')

/** Returns the union, or undefined if it has too many members. */
export function union (parts: readonly TypeExpression[]): TypeExpression | undefined {
  const alternatives = new Set(parts.flatMap(part => part.alternatives))
  const size = parts.reduce((sum, part) => sum + part.size, 0)
  if (alternatives.has('unknown')) return unknown
  return size > membersMax ? undefined : { alternatives: [...alternatives], size, height: heightOf(parts) }
}

/**
 * Returns the intersection. If there would be too many combinations of members, it leaves out the largest parts, so
 * that the type is wider.
 */
export function intersection (parts: readonly TypeExpression[]): TypeExpression {
  const distinct = new Map(parts.map(part => [part.alternatives.join(' | '), part]))
  distinct.delete('unknown')
  const kept = [...distinct.values()]
  if (kept.some(({ size }) => size === 0)) return never
  while (kept.length > 1 && combinations(kept) > combinationsMax) {
    const largest = kept.reduce((a, b) => b.size > a.size ? b : a)
    kept.splice(kept.indexOf(largest), 1)
  }
  const [first] = kept
  if (first === undefined) return unknown
  if (kept.length === 1) return first
  const joined = kept.map(part => part.alternatives.length === 1 ? textOf(part) : `(${textOf(part)})`).join(' & ')
  return one(joined, combinations(kept), heightOf(kept))
}

const combinations = (parts: readonly TypeExpression[]): number =>
  parts.reduce((product, { size }) => product * size, 1)

const heightOf = (parts: readonly TypeExpression[]): number => Math.max(0, ...parts.map(({ height }) => height))

/** A union that is longer has a line for each member. */
const columnsMax = 80

export function textOf ({ alternatives }: TypeExpression): string {
  if (alternatives.length === 0) return 'never'
  const line = alternatives.join(' | ')
  return alternatives.length === 1 || line.includes('\n') || line.length <= columnsMax
    ? line
    : alternatives.map(alternative => `\n  | ${alternative}`).join('')
}

/** Returns the text of a type as the operand of `[]`, `?` or `...`. */
export function operandOf (expression: TypeExpression): string {
  const text = textOf(expression)
  return /^[A-Za-z_$][\w$]*$/.test(text) ? text : `(${text})`
}
