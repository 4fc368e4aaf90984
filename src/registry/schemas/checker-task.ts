import type { CompatibilityPolicy, Direction } from '../json-schema/compatibility/compatibility.ts'

/** Schemas as JSON text: to copy thousands of objects to a thread takes longer than to parse them there. */
export interface CheckerJob {
  schema: string
  earlier: readonly { version: number, schema: string, directions: readonly Direction[] }[]
  policy: CompatibilityPolicy
}

export type CheckerTask =
  | { kind: 'compare', job: CheckerJob, stepsMax?: number }
  | { kind: 'compile', schema: string }

export type CheckerReply =
  | { result: unknown }
  | { schemaError: { sentence: string, path: string } }
