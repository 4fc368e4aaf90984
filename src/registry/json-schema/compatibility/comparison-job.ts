import { Comparison, comparisonStepsMax } from './comparison.ts'
import type { CompatibilityPolicy, Direction } from './compatibility-mode.ts'
import type { JsonSchema } from '../json.ts'
import { normalise } from '../normalise.ts'
import type { SchemaNode } from '../schema-node.ts'
import { GaveUp } from '../steps.ts'
import type { SchemaChange, Verdict } from './verdict.ts'

/** The steps per character of a schema for reading it and preparing its comparison. */
const stepsPerCharacter = 1

/** A schema and the earlier versions to compare it with in one job. */
export interface ComparisonJob {
  schema: JsonSchema
  earlier: readonly { version: number, schema: JsonSchema, directions: readonly Direction[] }[]
  policy: CompatibilityPolicy
}

/** The verdict on a schema and one earlier version: the changes, or `gave-up` if the steps ran out. */
export interface PairVerdict {
  version: number
  direction: Direction
  changes: SchemaChange[] | 'gave-up'
}

/**
 * Compares a schema with earlier versions, pair by pair, each with its own steps. Ends early, after a pair, once more
 * than `jobStepsMax` steps are used. Throws SchemaError if a schema cannot be used.
 */
export function comparePairs (
  { schema, earlier, policy }: ComparisonJob, { stepsMax = comparisonStepsMax, jobStepsMax = Infinity } = {}
): { pairs: PairVerdict[], steps: number } {
  const pairs: PairVerdict[] = []
  const text = JSON.stringify(schema)
  const latest = normalise(schema)
  let steps = 0
  for (const { version, schema: other, directions } of earlier) {
    const otherText = JSON.stringify(other)
    const before = text === otherText ? latest : normalise(other)
    steps += text.length * stepsPerCharacter
    for (const direction of directions) {
      if (steps > jobStepsMax && pairs.length > 0) return { pairs, steps }
      const [writer, reader] = direction === 'backward' ? [before, latest] : [latest, before]
      const result = before === latest ? { changes: [], steps: 0 } : comparePair(writer, reader, policy, stepsMax)
      steps += result.steps + (text.length + otherText.length) * stepsPerCharacter
      const { changes } = result
      pairs.push({
        version,
        direction,
        changes: changes === 'gave-up'
          ? changes
          : changes.map(change => ({ ...change, direction, comparedWith: version }))
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

/** Returns the verdict over all pairs. Throws GaveUp if the steps of a pair ran out and no other is incompatible. */
export function sumUp (pairs: readonly PairVerdict[]): Verdict {
  const changes = pairs.flatMap(pair => pair.changes === 'gave-up' ? [] : pair.changes)
  const compatible = changes.every(change => change.compatible)
  if (compatible && pairs.some(pair => pair.changes === 'gave-up')) throw new GaveUp()
  return { compatible, changes }
}
