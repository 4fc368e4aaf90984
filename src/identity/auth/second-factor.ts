import { sql, type Kysely } from 'kysely'
import type { Database } from '../../../db/tables.ts'
import type { MfaSetup, RecoveryCodes, User } from '../../../schemas/auth.ts'
import type { Origin } from '../audit/origin.ts'
import { record } from '../audit/record.ts'
import type { Notices } from '../../cluster/invalidations.ts'
import type { Encryption } from '../../foundation/encryption/encryption.ts'
import { ConflictError, ForbiddenError, UnauthorizedError } from '../../errors.ts'
import { sealedPlaces } from '../../foundation/encryption/reencrypt.ts'
import { isKnownNetwork } from './known-networks.ts'
import { AccountGate } from './login-throttle.ts'
import { loginNetworkOf } from './network.ts'
import { newOneTimeToken, oneTimeHash } from './one-time-tokens.ts'
import { newRecoveryCodes, newSeed, plainRecoveryCode, qrDataUrl, seedUri, stepOf } from './totp.ts'
import { holdUser } from './users.ts'

/** Between the password and the code. */
const challengeMs = 5 * 60_000
const challengeAttemptsMax = 5
/** Wrong codes from all networks that are new to the user, that cost nothing: there are only a million codes. */
const freeFailuresOfAccount = 5

export type SecondFactor = ReturnType<typeof createSecondFactor>

/**
 * Time-based codes (RFC 6238) and recovery codes. Each works once, on whichever node: a time step that was accepted,
 * or one before it, is not accepted again, and a recovery code is deleted as it is used.
 */
export function createSecondFactor (
  { db, encryption, issuer, notices }: {
    db: Kysely<Database>
    encryption: Encryption
    issuer: string
    notices: Notices
  }
) {
  const gate = new AccountGate({ what: 'wrong codes', freeOfAccount: freeFailuresOfAccount, notices })

  /** Somebody who shows a code for a user, from an address. */
  const candidate = (userId: string, address: string | undefined) =>
    ({ account: userId, network: loginNetworkOf(address), isKnown: () => isKnownNetwork(db, userId, address) })

  /** Uses a code up. Throws RateLimitError after several wrong ones. */
  async function use (userId: string, code: string, address: string | undefined): Promise<boolean> {
    const attempt = async () =>
      await useTotp(userId, code) || await useRecoveryCode(db, userId, code) ? true : undefined
    return await gate.attempt(candidate(userId, address), attempt) === true
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
    /** A new seed, which counts once a code of it is confirmed. Throws ConflictError `MFA_ENABLED`. */
    async setUp (user: { id: string, email: string }, by: Origin): Promise<MfaSetup> {
      const secret = newSeed()
      await db.transaction().execute(async trx => {
        const row = await trx.updateTable('users').set({
          mfa_secret_sealed: encryption.encrypt(secret, sealedPlaces.secondFactor(user.id)), mfa_last_step: null
        })
          .where('id', '=', user.id).where('mfa_confirmed_at', 'is', null).returning('id').executeTakeFirst()
        if (row === undefined) throw new ConflictError('MFA_ENABLED', 'A second factor is in use: disable it first')
        await record(trx, by, { action: 'user.mfa_set_up', resourceId: user.id })
      })
      const otpauthUrl = seedUri(secret, { issuer, label: user.email })
      return { secret, otpauthUrl, qrCode: qrDataUrl(otpauthUrl) }
    },

    /**
     * Logins need a code from now on. The recovery codes are shown this once. Throws ConflictError `MFA_NOT_PENDING`,
     * ForbiddenError `MFA_CODE_INVALID`.
     */
    async confirm (userId: string, code: string, by: Origin): Promise<RecoveryCodes> {
      const row = await db.selectFrom('users').select(['mfa_secret_sealed', 'mfa_confirmed_at']).where(
        'id', '=', userId
      ).executeTakeFirst()
      if (row === undefined || row.mfa_secret_sealed === null || row.mfa_confirmed_at !== null) {
        throw new ConflictError('MFA_NOT_PENDING', 'There is no second factor to be confirmed: set it up first')
      }
      const isRight = await gate.attempt(
        candidate(userId, by.address ?? undefined), async () => await useTotp(userId, code) ? true : undefined
      )
      if (isRight !== true) throw wrongCode()
      const recoveryCodes = newRecoveryCodes()
      await db.transaction().execute(async trx => {
        const confirmed = await trx.updateTable('users').set({ mfa_confirmed_at: Date.now() })
          .where('id', '=', userId).where('mfa_confirmed_at', 'is', null).where(
            'mfa_secret_sealed', '=', row.mfa_secret_sealed
          ).returning('id').executeTakeFirst()
        if (confirmed === undefined) { throw new ConflictError('MFA_NOT_PENDING', 'There is no second factor to be confirmed: set it up first') }
        await trx.deleteFrom('recovery_codes').where('user_id', '=', userId).execute()
        await trx.insertInto('recovery_codes').values(
          recoveryCodes.map(code => ({ user_id: userId, code_hash: oneTimeHash(plainRecoveryCode(code)) }))
        ).execute()
        await record(trx, by, { action: 'user.mfa_enabled', resourceId: userId })
      })
      return { recoveryCodes }
    },

    /** With the seed and the recovery codes. Throws ConflictError `MFA_NOT_PENDING` when there is none. */
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

    /** Whether logins of the user need a code. */
    async isEnabled (trx: Kysely<Database>, userId: string): Promise<boolean> {
      const row = await trx.selectFrom('users').select('mfa_confirmed_at').where('id', '=', userId).executeTakeFirst()
      return row !== undefined && row.mfa_confirmed_at !== null
    },

    /** For somebody whose password was right, in a transaction that holds them. */
    async challenge (trx: Kysely<Database>, userId: string): Promise<string> {
      const { token, tokenHash } = newOneTimeToken('mfa_pending_')
      await trx.insertInto('mfa_challenges').values({
        token_hash: tokenHash, user_id: userId, attempts: 0, expires_at: Date.now() + challengeMs
      }).execute()
      return token
    },

    /** Whose challenge it is; undefined for one that is unknown or over. */
    async userOf (token: string): Promise<string | undefined> {
      const row = await db.selectFrom('mfa_challenges').select('user_id').where('token_hash', '=', oneTimeHash(token))
        .executeTakeFirst()
      return row?.user_id
    },

    /**
     * Lets in whose challenge it was, which is then over: `enter` is part of the transaction that ends it. Those that
     * are over are swept on the way. Throws UnauthorizedError `MFA_CODE_INVALID`, RateLimitError.
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
        // A change of the password takes the challenges of the old one away.
        const over = await trx.deleteFrom('mfa_challenges').where('token_hash', '=', tokenHash).returning('user_id')
          .executeTakeFirst()
        if (user === undefined || over === undefined) throw invalidCode()
        return await enter(trx, user)
      })
    },

    /** Of somebody who is logged in. Throws ForbiddenError `MFA_CODE_INVALID`, RateLimitError. */
    async require (userId: string, code: string, by: Origin): Promise<void> {
      if (!await use(userId, code, by.address ?? undefined)) throw wrongCode()
    }
  }
}

const wrongCode = () => new ForbiddenError('MFA_CODE_INVALID', 'The code is wrong, used or out of date')
const invalidCode = () =>
  new UnauthorizedError(
    'MFA_CODE_INVALID', 'The code is wrong, used or out of date, or the login that it belongs to has expired'
  )

async function useRecoveryCode (db: Kysely<Database>, userId: string, code: string): Promise<boolean> {
  const { numAffectedRows } = await sql`delete from recovery_codes where user_id = ${userId} and code_hash = ${
    oneTimeHash(plainRecoveryCode(code))
  }`.execute(db)
  return numAffectedRows === 1n
}
