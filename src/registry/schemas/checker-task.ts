import type { CompatibilityPolicy, Direction } from '../json-schema/compatibility/compatibility-mode.ts'

/** Schemas are JSON text: parsing it in the thread is faster than copying thousands of objects to the thread. */
export interface CheckerJob {
  schema: string
  earlier: readonly { version: number, schema: string, directions: readonly Direction[] }[]
  policy: CompatibilityPolicy
}

/** A topic, and the text of its active schema, or null without one. */
export interface TopicSchema { topic: string, schema: string | null }

export type CheckerTask =
  | { kind: 'compare', job: CheckerJob, stepsMax?: number }
  | { kind: 'compile', schema: string }
  | { kind: 'print', topics: readonly TopicSchema[] }
  | { kind: 'translate', topics: readonly TopicSchema[] }
  | { kind: 'sample', schema: string }

export type CheckerReply =
  | { result: unknown }
  | { schemaError: { sentence: string, path: string } }
