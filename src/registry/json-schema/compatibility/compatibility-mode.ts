/**
 * The earlier versions to which a new version of a schema must be compatible: the latest one, or all (`_transitive`).
 * `backward`: readers of the new version accept documents of the earlier one. `forward`: readers of the earlier version
 * accept documents of the new one. `full`: both.
 */
export type CompatibilityMode =
  | 'none'
  | 'backward'
  | 'forward'
  | 'full'
  | 'backward_transitive'
  | 'forward_transitive'
  | 'full_transitive'

/**
 * The documents that a writer is assumed to send. `strict`: every document that its schema accepts. `lenient`: those
 * without undeclared properties only; see `close` in `closing.ts`.
 */
export type CompatibilityPolicy = 'strict' | 'lenient'

/** Which of two versions is the writer: the earlier one (`backward`) or the new one (`forward`). */
export type Direction = 'backward' | 'forward'

/** Returns the directions of a mode: none for the mode `none`. */
export function directionsOf (mode: CompatibilityMode): Direction[] {
  return (['backward', 'forward'] as const).filter(direction => mode.startsWith(direction) || mode.startsWith('full'))
}
