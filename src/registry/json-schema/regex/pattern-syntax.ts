import type { Ranges } from './char-ranges.ts'

/**
 * The syntax tree of an ECMAScript regular expression. The linear-time matcher and the automata of the compatibility
 * checker are both built from it, so they cannot read a pattern differently.
 */
export type Pattern =
  | { kind: 'chars', ranges: Ranges }
  | { kind: 'property', re2: string }
  | { kind: 'start' | 'end' | 'boundary' | 'inside' }
  | { kind: 'concat' | 'or', parts: Pattern[] }
  | { kind: 'repeat', part: Pattern, min: number, max: number }

/** Thrown for a pattern that cannot be used. The message is a clause about it: "it is nested too deep". */
export class PatternError extends Error {}
