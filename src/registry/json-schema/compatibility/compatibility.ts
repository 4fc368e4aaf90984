import { Comparison, comparisonStepsMax } from './comparison.ts'
import type { CompatibilityPolicy } from './compatibility-mode.ts'
import { emit } from '../emit.ts'
import type { JsonSchema } from '../json.ts'
import { normalise } from '../normalise.ts'
import type { Verdict } from './verdict.ts'

export type { JsonSchema } from '../json.ts'
export type { Reason } from './reasons.ts'
export { reasons } from './reasons.ts'
export { GaveUp } from '../steps.ts'
export type { SchemaChange, Verdict } from './verdict.ts'

/**
 * Returns whether every document that the writer may send is valid for the reader. "Compatible" is always proved; an
 * incompatible change has a witness or one of the `reasons`. The verdict depends only on the schemas: steps are
 * counted, not time. Throws SchemaError if a schema cannot be used, and GaveUp if the steps run out first.
 */
export function compareSchemas (
  writer: JsonSchema, reader: JsonSchema, options: { policy: CompatibilityPolicy, stepsMax?: number }
): Verdict {
  const { policy, stepsMax = comparisonStepsMax } = options
  const from = normalise(writer)
  return new Comparison(from, normalise(reader), { isLenient: policy === 'lenient', stepsMax }).run(from)
}

/** Returns the schema of the documents that a writer may send under a policy, as `compareSchemas` uses it. */
export function writerSchema (writer: JsonSchema, policy: CompatibilityPolicy): JsonSchema {
  const from = normalise(writer)
  return emit(new Comparison(from, from, { isLenient: policy === 'lenient', stepsMax: comparisonStepsMax }).writer)
}
