import type { Origin } from '../audit/origin.ts'
import { LoginThrottle } from '../auth/login-throttle.ts'
import { verifyPassword } from '../auth/passwords.ts'
import type { RefusedLogins } from '../auth/refused-logins.ts'
import type { Users } from '../auth/users.ts'
import type { Invalidations } from '../../cluster/invalidations.ts'
import { ForbiddenError, RateLimitError } from '../../errors.ts'
import { hashingShareOfUser } from './hashing-share.ts'

export type Reauthentication = ReturnType<typeof createReauthentication>

/** Checks the password of logged-in users again, so that an open session is not enough for a change of credentials. */
export function createReauthentication (
  { users, refusedLogins, invalidations }: { users: Users, refusedLogins: RefusedLogins, invalidations: Invalidations }
) {
  const passwordGate = new LoginThrottle({ what: 'wrong passwords', invalidations })

  /** Runs the check of a user's password or code, and records its refusal. */
  async function recordRefusal<T> (by: Origin, userId: string, check: () => Promise<T>): Promise<T> {
    try {
      return await check()
    } catch (error) {
      const reason = reasonOf(error)
      if (reason !== undefined) await refusedLogins.repetition(by, { userId, reason })
      throw error
    }
  }

  return {
    recordRefusal,

    /** Throws ForbiddenError `PASSWORD_WRONG`, RateLimitError after several wrong passwords. */
    async requirePassword (id: string, currentPassword: string | undefined, by: Origin): Promise<void> {
      if (currentPassword === undefined) throw passwordWrong()
      await recordRefusal(by, id, async () => {
        const isRight = await passwordGate.attempt(
          id,
          async () =>
            await verifyPassword(await users.passwordHashOf(id), currentPassword, hashingShareOfUser(id)) || undefined
        )
        if (isRight !== true) throw passwordWrong()
      })
    }
  }
}

/** Returns why a password or code was refused; undefined for another error. */
function reasonOf (error: unknown): 'password' | 'code' | 'rate_limited' | undefined {
  if (error instanceof RateLimitError) return 'rate_limited'
  if (!(error instanceof ForbiddenError)) return undefined
  return error.code === 'PASSWORD_WRONG' ? 'password' : error.code === 'MFA_CODE_INVALID' ? 'code' : undefined
}

const passwordWrong = () => new ForbiddenError('PASSWORD_WRONG', 'The current password is missing or wrong')
