import { Comparison } from './comparison.ts'
import { emit } from './emit.ts'
import type { JsonSchema } from './json.ts'
import { normalise } from './normalise.ts'
import type { Reason } from './reasons.ts'

export type { JsonSchema } from './json.ts'
export type { Reason } from './reasons.ts'
export { REASONS } from './reasons.ts'

export type CompatibilityMode = 'none' | 'backward' | 'forward' | 'full' | 'backward_transitive' | 'forward_transitive' | 'full_transitive'

/** `strict`: set inclusion. `lenient`: the same, once the writer's schema is closed as `close` in `closing.ts` says. */
export type CompatibilityPolicy = 'strict' | 'lenient'

export interface SchemaChange {
  /** JSON Pointer into the reader's schema, or into the writer's for what is gone from the reader's. */
  path: string
  /** A stable name, such as `min-length-changed`; `cannot-be-shown` when neither proof nor witness was found. */
  rule: string
  compatible: boolean
  message: string
  direction: 'backward' | 'forward'
  comparedWith?: number
  /** A document that the writer may send and the reader refuses, confirmed by the validator that guards payloads. */
  witness?: unknown
  /** Why it cannot be shown. */
  reason?: Reason
}

export interface Verdict { compatible: boolean, changes: SchemaChange[] }

const DEADLINE_MS = 600

/**
 * Whether every document that the writer may send is valid for the reader. "Compatible" is always proved; an
 * incompatible change carries a witness, or is one of the `REASONS`. Throws SchemaError for a schema that cannot be used.
 */
export function compareSchemas (writer: JsonSchema, reader: JsonSchema, options: { policy: CompatibilityPolicy, deadlineMs?: number }): Verdict {
  const deadlineMs = options.deadlineMs ?? DEADLINE_MS
  const from = normalise(writer)
  return new Comparison(from, normalise(reader), { isLenient: options.policy === 'lenient', deadlineMs }).run(from)
}

/** The documents that a writer may send under a policy, as a schema: what `compareSchemas` and its witnesses go by. */
export function writerSchema (writer: JsonSchema, policy: CompatibilityPolicy): JsonSchema {
  const from = normalise(writer)
  return emit(new Comparison(from, from, { isLenient: policy === 'lenient', deadlineMs: DEADLINE_MS }).writer)
}

export interface CompatibilityInput {
  schema: JsonSchema
  /** In ascending order. */
  earlier: readonly { version: number, schema: JsonSchema }[]
  mode: CompatibilityMode
  policy: CompatibilityPolicy
  deadlineMs?: number
}

/** Compares a schema with the version before it, or with all of them, in the directions of the mode. */
export function checkCompatibility (input: CompatibilityInput): Verdict & { comparedWith: number[] } {
  const { schema, mode, policy, deadlineMs = DEADLINE_MS } = input
  const earlier = mode === 'none' ? [] : mode.endsWith('_transitive') ? [...input.earlier] : input.earlier.slice(-1)
  const directions = (['backward', 'forward'] as const).filter((direction) => mode.startsWith(direction) || mode.startsWith('full'))
  const until = performance.now() + deadlineMs
  const changes = earlier.reverse().flatMap((version, i) => directions.flatMap((direction, j) => {
    const left = (until - performance.now()) / ((earlier.length - i) * directions.length - j)
    const [writer, reader] = direction === 'backward' ? [version.schema, schema] : [schema, version.schema]
    return compareSchemas(writer, reader, { policy, deadlineMs: Math.max(left, 20) }).changes
      .map((change): SchemaChange => ({ ...change, direction, comparedWith: version.version }))
  }))
  return { compatible: changes.every(({ compatible }) => compatible), changes, comparedWith: earlier.map(({ version }) => version).reverse() }
}
