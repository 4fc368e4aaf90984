import type { PublicError } from '../errors.ts'

/** The payload that was being checked when an intent was refused. */
export interface CheckedPayload { topic: string, schemaVersion: number, payload: unknown }

/** The result of one intent. */
export type Outcome = { answer: unknown } | { refusal: PublicError, checked?: CheckedPayload | undefined }
