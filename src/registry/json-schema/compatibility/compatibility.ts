import { Comparison, COMPARISON_STEPS_MAX } from './comparison.ts'
import { emit } from '../emit.ts'
import type { JsonSchema } from '../json.ts'
import { normalise } from '../normalise.ts'
import type { SchemaNode } from '../schema-node.ts'
import { GaveUp } from '../steps.ts'
import type { SchemaChange, Verdict } from './verdict.ts'

export type { JsonSchema } from '../json.ts'
export type { Reason } from './reasons.ts'
export { REASONS } from './reasons.ts'
export { GaveUp } from '../steps.ts'

export type CompatibilityMode =
  | 'none'
  | 'backward'
  | 'forward'
  | 'full'
  | 'backward_transitive'
  | 'forward_transitive'
  | 'full_transitive'

/** `strict`: set inclusion. `lenient`: the same, once the writer's schema is closed as `close` in `closing.ts` says. */
export type CompatibilityPolicy = 'strict' | 'lenient'

export type { SchemaChange, Verdict } from './verdict.ts'

/**
 * Whether every document that the writer may send is valid for the reader. "Compatible" is always proved; an
 * incompatible change carries a witness, or is one of the `REASONS`. The verdict depends on the schemas alone: steps
 * are counted, not time. Throws SchemaError for a schema that cannot be used, and GaveUp when the steps run out first.
 */
export function compareSchemas (
  writer: JsonSchema, reader: JsonSchema, options: { policy: CompatibilityPolicy, stepsMax?: number }
): Verdict {
  const { policy, stepsMax = COMPARISON_STEPS_MAX } = options
  const from = normalise(writer)
  return new Comparison(from, normalise(reader), { isLenient: policy === 'lenient', stepsMax }).run(from)
}

/** The documents that a writer may send under a policy, as a schema: what `compareSchemas` and its witnesses go by. */
export function writerSchema (writer: JsonSchema, policy: CompatibilityPolicy): JsonSchema {
  const from = normalise(writer)
  return emit(new Comparison(from, from, { isLenient: policy === 'lenient', stepsMax: COMPARISON_STEPS_MAX }).writer)
}

/** The steps that reading a schema and preparing its comparison take for a character of its text. */
const STEPS_PER_CHARACTER = 1

export type Direction = 'backward' | 'forward'

/** What a schema is compared with in one job. */
export interface ComparisonJob {
  schema: JsonSchema
  earlier: readonly { version: number, schema: JsonSchema, directions: readonly Direction[] }[]
  policy: CompatibilityPolicy
}

/** The verdict on a schema and one earlier version: its changes, or that the steps ran out. */
export interface PairVerdict {
  version: number
  direction: Direction
  changes: SchemaChange[] | 'gave-up'
}

/** None for the mode `none`. */
export function directionsOf (mode: CompatibilityMode): Direction[] {
  return (['backward', 'forward'] as const).filter((direction) => mode.startsWith(direction) || mode.startsWith('full'))
}

/**
 * Compares a schema with earlier versions, pair by pair, each with steps of its own. Ends early, after a pair, once
 * more than `jobStepsMax` are used. Throws SchemaError for a schema that cannot be used.
 */
export function comparePairs (
  { schema, earlier, policy }: ComparisonJob, { stepsMax = COMPARISON_STEPS_MAX, jobStepsMax = Infinity } = {}
): { pairs: PairVerdict[], steps: number } {
  const pairs: PairVerdict[] = []
  const text = JSON.stringify(schema)
  const latest = normalise(schema)
  let steps = 0
  for (const { version, schema: other, directions } of earlier) {
    const otherText = JSON.stringify(other)
    const before = text === otherText ? latest : normalise(other)
    steps += text.length * STEPS_PER_CHARACTER
    for (const direction of directions) {
      if (steps > jobStepsMax && pairs.length > 0) return { pairs, steps }
      const [writer, reader] = direction === 'backward' ? [before, latest] : [latest, before]
      const result = before === latest ? { changes: [], steps: 0 } : comparePair(writer, reader, policy, stepsMax)
      steps += result.steps + (text.length + otherText.length) * STEPS_PER_CHARACTER
      const { changes } = result
      pairs.push({
        version,
        direction,
        changes: changes === 'gave-up'
          ? changes
          : changes.map((change) => ({ ...change, direction, comparedWith: version }))
      })
    }
  }
  return { pairs, steps }
}

function comparePair (
  writer: SchemaNode, reader: SchemaNode, policy: CompatibilityPolicy, stepsMax: number
): { changes: SchemaChange[] | 'gave-up', steps: number } {
  let comparison: Comparison | undefined
  try {
    comparison = new Comparison(writer, reader, { isLenient: policy === 'lenient', stepsMax })
    const { changes } = comparison.run(writer)
    return { changes, steps: comparison.stepsUsed }
  } catch (error) {
    if (!(error instanceof GaveUp)) throw error
    return { changes: 'gave-up', steps: comparison?.stepsUsed ?? stepsMax }
  }
}

/** The verdict over all pairs. Throws GaveUp when the steps of some ran out and no other is incompatible. */
export function sumUp (pairs: readonly PairVerdict[]): Verdict {
  const changes = pairs.flatMap((pair) => pair.changes === 'gave-up' ? [] : pair.changes)
  const compatible = changes.every((change) => change.compatible)
  if (compatible && pairs.some((pair) => pair.changes === 'gave-up')) throw new GaveUp()
  return { compatible, changes }
}
