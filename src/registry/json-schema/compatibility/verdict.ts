import type { Reason } from './reasons.ts'

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
