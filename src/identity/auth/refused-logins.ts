import type { Kysely } from 'kysely'
import type { Database } from '../../../db/tables.ts'
import type { Origin } from '../audit/origin.ts'
import { logOnly, record, type Change } from '../audit/record.ts'

/**
 * Entries that a node writes in a minute. They are limited because anyone can cause them, and they are kept for long.
 */
const entriesMax = 100
const windowMs = 60_000

export interface Refusal {
  /** Undefined if no account has the address. */
  userId: string | undefined
  /**
   * The proof that was wrong, `rate_limited` if too many attempts came before it, or `provider` for a sign-in with the
   * identity provider.
   */
  reason: 'password' | 'code' | 'rate_limited' | 'provider'
  /** Why a sign-in with the identity provider was refused. */
  code?: string | undefined
}

export type RefusedLogins = ReturnType<typeof createRefusedLogins>

/**
 * Records refused logins, and refused passwords or codes that a logged-in user repeats. The log has each of them. The
 * audit log has at most 100 a minute, and the next entry counts those that were left out. The address that was typed is
 * not recorded, because it may be a password in the wrong field.
 */
export function createRefusedLogins (
  { db, log }: { db: Kysely<Database>, log: { warn(fields: object, message: string): void } }
) {
  let windowEndsAt = 0
  let entries = 0
  let omitted = 0

  /** Never rejects: the refusal itself must reach the client. */
  async function note (by: Origin, change: Change): Promise<void> {
    const now = performance.now()
    if (now >= windowEndsAt) [windowEndsAt, entries] = [now + windowMs, 0]
    if (++entries > entriesMax) {
      omitted++
      return logOnly(by, change)
    }
    const left = omitted
    omitted = 0
    try {
      await record(db, by, { ...change, details: { ...change.details, ...(left > 0 && { omittedBefore: left }) } })
    } catch (err) {
      omitted += left + 1
      logOnly(by, change)
      log.warn({ err }, 'audit.refusal_not_stored')
    }
  }

  return {
    login: async (by: Origin, { userId, reason, code }: Refusal) =>
      await note(by, {
        action: 'user.login_refused', resourceId: userId, details: { reason, ...(code !== undefined && { code }) }
      }),
    repetition: async (by: Origin, { userId, reason }: Omit<Refusal, 'code'>) =>
      await note(by, { action: 'user.proof_refused', resourceId: userId, details: { reason } })
  }
}
