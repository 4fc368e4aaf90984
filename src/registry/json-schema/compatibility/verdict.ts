import type { Reason } from './reasons.ts'

export interface SchemaChange {
  /** JSON Pointer into the reader's schema, or into the writer's for a removed keyword or property. */
  path: string
  /** A stable name, such as `min-length-changed`, or `cannot-be-shown` if neither proof nor witness was found. */
  rule: string
  compatible: boolean
  message: string
  direction: 'backward' | 'forward'
  comparedWith?: number
  /** A document that the writer may send and the reader rejects, confirmed by the validator that checks payloads. */
  witness?: unknown
  /** Why compatibility cannot be proved. */
  reason?: Reason
}

export interface Verdict { compatible: boolean, changes: SchemaChange[] }
