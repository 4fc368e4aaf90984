import { sql, type Kysely } from 'kysely'
import type { Database } from '../../../db/tables.ts'
import type { MfaSetup, RecoveryCodes, User } from '../../../schemas/auth.ts'
import type { Origin } from '../audit/origin.ts'
import { record } from '../audit/record.ts'
import type { Invalidations } from '../../cluster/invalidations.ts'
import type { Encryption } from '../../foundation/encryption/encryption.ts'
import { ConflictError, ForbiddenError, UnauthorizedError } from '../../errors.ts'
import { sealedPlaces } from '../../foundation/encryption/reencrypt.ts'
import { isKnownNetwork } from './known-networks.ts'
import { AccountThrottle } from './login-throttle.ts'
import { loginNetworkOf } from './network.ts'
import { newOneTimeToken, oneTimeHash } from './one-time-tokens.ts'
import { newRecoveryCodes, newSeed, plainRecoveryCode, qrDataUrl, seedUri, stepOf } from './totp.ts'
import { holdUser } from './users.ts'

/** The time between the password and the code. */
const challengeMs = 5 * 60_000
const challengeAttemptsMax = 5
/** Free wrong codes from all networks that are new to the user. Few, because there are only a million codes. */
const freeFailuresOfAccount = 5

export type SecondFactor = ReturnType<typeof createSecondFactor>

/**
 * Handles time-based codes (RFC 6238) and recovery codes. Each code works once, across all nodes: a time step is
 * refused once it or a later one has been accepted, and a recovery code is deleted when it is used.
 */
export function createSecondFactor (
  { db, encryption, issuer, invalidations }: {
    db: Kysely<Database>
    encryption: Encryption
    issuer: string
    invalidations: Invalidations
  }
) {
  const throttle = new AccountThrottle({ what: 'wrong codes', freeOfAccount: freeFailuresOfAccount, invalidations })

  /** Describes an attempt to show a code of a user, from an address. */
  const candidate = (userId: string, address: string | undefined) =>
    ({ account: userId, network: loginNetworkOf(address), isKnown: () => isKnownNetwork(db, userId, address) })

  /** Checks a code and invalidates it. Throws RateLimitError after several wrong ones. */
  async function use (userId: string, code: string, address: string | undefined): Promise<boolean> {
    const attempt = async () =>
      await useTotp(userId, code) || await useRecoveryCode(db, userId, code) ? true : undefined
    return await throttle.attempt(candidate(userId, address), attempt) === true
  }

  async function useTotp (userId: string, code: string): Promise<boolean> {
    const row = await db.selectFrom('users').select('mfa_secret_sealed').where('id', '=', userId).executeTakeFirst()
    if (row === undefined || row.mfa_secret_sealed === null) return false
    const step = stepOf(encryption.decrypt(row.mfa_secret_sealed, sealedPlaces.secondFactor(userId)), code)
    if (step === undefined) return false
    const taken = await db.updateTable('users').set({ mfa_last_step: step })
      .where('id', '=', userId).where('mfa_secret_sealed', '=', row.mfa_secret_sealed)
      .where(eb => eb.or([eb('mfa_last_step', 'is', null), eb('mfa_last_step', '<', step)])).returning('id')
      .executeTakeFirst()
    return taken !== undefined
  }

  return {
    /** Creates a seed, which takes effect when a code of it is confirmed. Throws ConflictError `MFA_ENABLED`. */
    async setUp (user: { id: string, email: string }, by: Origin): Promise<MfaSetup> {
      const secret = newSeed()
      await db.transaction().execute(async trx => {
        const row = await trx.updateTable('users').set({
          mfa_secret_sealed: encryption.encrypt(secret, sealedPlaces.secondFactor(user.id)), mfa_last_step: null
        })
          .where('id', '=', user.id).where('mfa_confirmed_at', 'is', null).returning('id').executeTakeFirst()
        if (row === undefined) {
          throw new ConflictError('MFA_ENABLED', 'A second factor is already enabled. Disable it first')
        }
        await record(trx, by, { action: 'user.mfa_set_up', resourceId: user.id })
      })
      const otpauthUrl = seedUri(secret, { issuer, label: user.email })
      return { secret, otpauthUrl, qrCode: qrDataUrl(otpauthUrl) }
    },

    /**
     * Enables the second factor: logins require a code from now on. Returns the recovery codes, which cannot be read
     * again. Throws ConflictError `MFA_NOT_PENDING`, ForbiddenError `MFA_CODE_INVALID`.
     */
    async confirm (userId: string, code: string, by: Origin): Promise<RecoveryCodes> {
      const row = await db.selectFrom('users').select(['mfa_secret_sealed', 'mfa_confirmed_at']).where(
        'id', '=', userId
      ).executeTakeFirst()
      if (row === undefined || row.mfa_secret_sealed === null || row.mfa_confirmed_at !== null) {
        throw new ConflictError('MFA_NOT_PENDING', 'There is no second factor to confirm. Set one up first')
      }
      const isRight = await throttle.attempt(
        candidate(userId, by.address ?? undefined), async () => await useTotp(userId, code) ? true : undefined
      )
      if (isRight !== true) throw wrongCode()
      const recoveryCodes = newRecoveryCodes()
      await db.transaction().execute(async trx => {
        const confirmed = await trx.updateTable('users').set({ mfa_confirmed_at: Date.now() })
          .where('id', '=', userId).where('mfa_confirmed_at', 'is', null).where(
            'mfa_secret_sealed', '=', row.mfa_secret_sealed
          ).returning('id').executeTakeFirst()
        if (confirmed === undefined) {
          throw new ConflictError('MFA_NOT_PENDING', 'There is no second factor to confirm. Set one up first')
        }
        await trx.deleteFrom('recovery_codes').where('user_id', '=', userId).execute()
        await trx.insertInto('recovery_codes').values(
          recoveryCodes.map(code => ({ user_id: userId, code_hash: oneTimeHash(plainRecoveryCode(code)) }))
        ).execute()
        await record(trx, by, { action: 'user.mfa_enabled', resourceId: userId })
      })
      return { recoveryCodes }
    },

    /**
     * Disables the second factor, and deletes its seed and recovery codes. Throws ConflictError `MFA_NOT_PENDING` if
     * there is none.
     */
    async disable (trx: Kysely<Database>, userId: string, by: Origin): Promise<void> {
      const row = await trx.updateTable('users').set({
        mfa_secret_sealed: null, mfa_confirmed_at: null, mfa_last_step: null
      })
        .where('id', '=', userId).where('mfa_secret_sealed', 'is not', null).returning('id').executeTakeFirst()
      if (row === undefined) throw new ConflictError('MFA_NOT_PENDING', 'There is no second factor to disable')
      await trx.deleteFrom('recovery_codes').where('user_id', '=', userId).execute()
      await trx.deleteFrom('mfa_challenges').where('user_id', '=', userId).execute()
      await record(trx, by, { action: 'user.mfa_disabled', resourceId: userId })
    },

    /** Returns whether logins of the user require a code. */
    async isEnabled (trx: Kysely<Database>, userId: string): Promise<boolean> {
      const row = await trx.selectFrom('users').select('mfa_confirmed_at').where('id', '=', userId).executeTakeFirst()
      return row !== undefined && row.mfa_confirmed_at !== null
    },

    /** Creates a challenge for a user whose password was right, in a transaction that locks the user (`holdUser`). */
    async challenge (trx: Kysely<Database>, userId: string): Promise<string> {
      const { token, tokenHash } = newOneTimeToken('mfa_pending_')
      await trx.insertInto('mfa_challenges').values({
        token_hash: tokenHash, user_id: userId, attempts: 0, expires_at: Date.now() + challengeMs
      }).execute()
      return token
    },

    /** Returns the user of a challenge, or undefined if it is unknown or has expired. */
    async userOf (token: string): Promise<string | undefined> {
      const row = await db.selectFrom('mfa_challenges').select('user_id').where('token_hash', '=', oneTimeHash(token))
        .executeTakeFirst()
      return row?.user_id
    },

    /**
     * Ends a challenge that is answered with a right code. `enter` runs in the same transaction. Also deletes expired
     * challenges. Throws UnauthorizedError `MFA_CODE_INVALID`, RateLimitError.
     */
    async answer<T> (
      token: string, code: string, address: string | undefined, enter: (trx: Kysely<Database>, user: User) => Promise<T>
    ): Promise<T> {
      const tokenHash = oneTimeHash(token)
      const now = Date.now()
      await db.deleteFrom('mfa_challenges').where('expires_at', '<=', now).execute()
      const challenge = await db.updateTable('mfa_challenges').set(eb => ({ attempts: eb('attempts', '+', 1) }))
        .where('token_hash', '=', tokenHash).where('expires_at', '>', now).where('attempts', '<', challengeAttemptsMax)
        .returning('user_id').executeTakeFirst()
      if (challenge === undefined || !await use(challenge.user_id, code, address)) throw invalidCode()
      return await db.transaction().execute(async trx => {
        const user = await holdUser(trx, challenge.user_id)
        // A password change deletes the user's challenges.
        const over = await trx.deleteFrom('mfa_challenges').where('token_hash', '=', tokenHash).returning('user_id')
          .executeTakeFirst()
        if (user === undefined || over === undefined) throw invalidCode()
        return await enter(trx, user)
      })
    },

    /** Requires a code of a logged-in user. Throws ForbiddenError `MFA_CODE_INVALID`, RateLimitError. */
    async require (userId: string, code: string, by: Origin): Promise<void> {
      if (!await use(userId, code, by.address ?? undefined)) throw wrongCode()
    }
  }
}

const wrongCode = () => new ForbiddenError('MFA_CODE_INVALID', 'The code is wrong, already used or expired')
const invalidCode = () =>
  new UnauthorizedError(
    'MFA_CODE_INVALID', 'The code is wrong, already used or expired, or the login has expired'
  )

async function useRecoveryCode (db: Kysely<Database>, userId: string, code: string): Promise<boolean> {
  const { numAffectedRows } = await sql`delete from recovery_codes where user_id = ${userId} and code_hash = ${
    oneTimeHash(plainRecoveryCode(code))
  }`.execute(db)
  return numAffectedRows === 1n
}
