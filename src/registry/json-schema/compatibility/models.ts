import type { Formula, Formulas } from './formula.ts'
import type { Json } from '../json.ts'
import type { Languages } from '../regex/pattern-language.ts'
import type { Reason } from './reasons.ts'
import type { Tick } from '../steps.ts'

/**
 * Values that satisfy a formula. `exhausted` is a proof that there are no others; with no values it is a proof that the
 * formula cannot be satisfied. Otherwise `reason` may say why no more were found.
 */
export interface Models { readonly values: readonly Json[], readonly exhausted: boolean, readonly reason?: Reason }

export const NONE: Models = { values: [], exhausted: true }
export function unknown (reason: Reason): Models {
  return { values: [], exhausted: false, reason }
}

/** The questions that the rules of one type ask about the values inside of it. The solver answers them. */
export interface Questions {
  readonly formulas: Formulas
  readonly languages: Languages
  readonly tick: Tick
  /** Reports whether the value satisfies the formula. */
  holds (formula: Formula, value: Json): boolean
  /** Returns up to `want` values that satisfy all parts. */
  models (parts: readonly Formula[], want?: number): Models
}
