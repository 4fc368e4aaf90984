import type { ConnectionCheck } from '../../../../schemas/database.ts'
import { PublicError } from '../../../errors.ts'
import { explainForeignError } from '../../../foundation/foreign-errors.ts'
import type { SlotRow } from '../../source/slot.ts'
import { SourceError } from '../../source/source.ts'

/** The connection that is tested. */
export interface Subject {
  connectionString: string
  publication: string
  slot: string
  user: string
  /** Returns whether the stored connection created the slot. */
  isOwn (slot: SlotRow): boolean
}

export const ok = (name: string, message: string): ConnectionCheck => ({ name, status: 'ok', message })

/** Returns a failed check with the statement that fixes it, if there is one. */
export const failed = (name: string, message: string, sql?: string): ConnectionCheck => ({
  name,
  status: 'failed',
  message,
  ...(sql !== undefined && { sql })
})

/** Returns an error's text for the tenant. */
export const problemOf = (error: unknown): string =>
  error instanceof SourceError || error instanceof PublicError ? error.message : explainForeignError(error)
