import type { Formula, Formulas } from './formula.ts'
import type { Json } from '../json.ts'
import type { Languages } from '../regex/pattern-language.ts'
import type { Reason } from './reasons.ts'
import type { Tick } from '../steps.ts'

/**
 * Values that satisfy a formula. `exhausted` means that there are provably no others: without values, the formula
 * cannot be satisfied. Otherwise `reason` may be why no more were found.
 */
export interface Models { readonly values: readonly Json[], readonly exhausted: boolean, readonly reason?: Reason }

export const noModels: Models = { values: [], exhausted: true }
export function unknown (reason: Reason): Models {
  return { values: [], exhausted: false, reason }
}

/** The parts of the solver that the rules of one type use for the values inside of a value. */
export interface Questions {
  readonly formulas: Formulas
  readonly languages: Languages
  readonly tick: Tick
  /** Returns whether the value satisfies the formula. */
  holds (formula: Formula, value: Json): boolean
  /** Returns up to `want` values that satisfy all parts. */
  models (parts: readonly Formula[], want?: number): Models
}
