import type { Kysely } from 'kysely'
import type { Database } from '../../../db/tables.ts'
import type { LoginAnswer, LoginOutcome, User } from '../../../schemas/auth.ts'
import { asUser, type Origin } from '../audit/origin.ts'
import { record } from '../audit/record.ts'
import type { Invalidations } from '../../cluster/invalidations.ts'
import { PublicError, RateLimitError, UnauthorizedError } from '../../errors.ts'
import type { Metrics } from '../../foundation/observability/metrics.ts'
import { canonicalEmail } from './email-address.ts'
import type { HashingShare } from './hashing-queue.ts'
import { isKnownNetwork } from './known-networks.ts'
import { AccountThrottle, Failures } from './login-throttle.ts'
import { loginNetworkOf, networkOf } from './network.ts'
import { hashPassword, isOutdated, verifyPassword } from './passwords.ts'
import type { RefusedLogins } from './refused-logins.ts'
import type { SecondFactor } from './second-factor.ts'
import type { Sessions } from './sessions.ts'
import type { SignInMethods } from './sign-in-methods.ts'
import { holdUser, type Users } from './users.ts'

/** Free wrong passwords from one network, for all accounts: an office may share one address. */
const freeFailuresOfNetwork = 20
/** Free wrong passwords for one account, from all networks that are new to it. */
const freeFailuresOfAccount = 50

export interface LoginOptions {
  db: Kysely<Database>
  users: Users
  sessions: Sessions
  secondFactor: SecondFactor
  refusedLogins: RefusedLogins
  methods: Pick<SignInMethods, 'requirePasswords'>
  metrics: Pick<Metrics, 'logins'>
  invalidations: Invalidations
}

/** A user, and the hash that their password matched. */
export interface Proven { user: User, passwordHash: string }

export type Login = ReturnType<typeof createLogin>

/**
 * Opens sessions for a password, and a code if the user has a second factor. An unknown address gets the same response
 * as a wrong password, after the same time. Guessing is slowed down by account and network (`AccountThrottle`), and by
 * network. Open sessions are not affected.
 */
export function createLogin (
  { db, users, sessions, secondFactor, refusedLogins, methods, metrics, invalidations }: LoginOptions
) {
  const accounts = new AccountThrottle({
    what: 'failed logins for this address', freeOfAccount: freeFailuresOfAccount, invalidations
  })
  const networks = new Failures({
    free: freeFailuresOfNetwork, forgives: 'one', what: 'failed logins from this network', invalidations
  })

  /**
   * Returns the user of an address and a password. Throws UnauthorizedError `LOGIN_FAILED`, RateLimitError after
   * several failures.
   */
  async function requirePassword (email: string, password: string, by: Origin): Promise<Proven> {
    const from = by.address ?? undefined
    const address = networkOf(from ?? '')
    const share = (isKnown: boolean): HashingShare => ({ owner: address, kind: isKnown ? 'knownLogin' : 'login' })
    let userId: string | undefined
    const attempt = async () => {
      networks.refuseEarly(address)
      const isKnown = async () => {
        const found = await users.findByEmail(email)
        return await isKnownNetwork(db, found?.user.id ?? '', from)
      }
      return await accounts.attempt(
        { account: canonicalEmail(email), network: loginNetworkOf(from), isKnown },
        async isKnown => {
          const found = await users.findByEmail(email)
          userId = found?.user.id
          return await verifyPassword(found?.passwordHash, password, share(isKnown)) ? found : undefined
        }
      )
    }
    const found = await attempt().catch(async (error: unknown) => { throw await noted(error, by) })
    if (found === undefined) {
      networks.failed(address)
      throw await refused(by, userId)
    }
    networks.succeeded(address)
    if (!isOutdated(found.passwordHash)) return found
    // The password was right, so the hashing goes to the queue of known logins.
    const passwordHash = await hashPassword(password, share(true))
    const renewed = await db.updateTable('users').set({ password_hash: passwordHash })
      .where('id', '=', found.user.id).where('password_hash', '=', found.passwordHash).returning('id')
      .executeTakeFirst()
    // The password was changed meanwhile, or another login has updated the hash.
    if (renewed === undefined) return await requirePassword(email, password, by)
    return { user: found.user, passwordHash }
  }

  /**
   * Opens a session if the password has not changed since it was checked, or returns a challenge for a code. Throws
   * UnauthorizedError `LOGIN_FAILED`.
   */
  async function enter ({ user, passwordHash }: Proven, by: Origin): Promise<LoginOutcome> {
    await sessions.sweep()
    const outcome = await db.transaction().execute(async trx => {
      if (await holdUser(trx, user.id, passwordHash) === undefined) return undefined
      if (!await secondFactor.isEnabled(trx, user.id)) return await open(trx, user, by, { secondFactor: false })
      await record(trx, asUser(by, user), { action: 'user.login_code_required', resourceId: user.id })
      return { mfaRequired: true as const, mfaToken: await secondFactor.challenge(trx, user.id) }
    })
    if (outcome === undefined) throw await refused(by, user.id)
    return outcome
  }

  async function open (
    trx: Kysely<Database>, user: User, by: Origin, proof: { secondFactor: boolean } | { provider: true }
  ): Promise<LoginAnswer> {
    const { token, id } = await sessions.createWithin(trx, user.id, by, { isFinal: 'provider' in proof })
    await record(trx, asUser(by, user), {
      action: 'user.logged_in', resourceId: user.id, details: { session: id, ...proof }
    })
    metrics.logins.inc({ outcome: 'opened' })
    return { sessionToken: token, user }
  }

  async function refused (by: Origin, userId: string | undefined): Promise<UnauthorizedError> {
    metrics.logins.inc({ outcome: 'refused' })
    await refusedLogins.login(by, { userId, reason: 'password' })
    return new UnauthorizedError('LOGIN_FAILED', 'Invalid email or password')
  }

  /** Records a sign-in with the identity provider that was refused. Returns the error. */
  async function refusedByProvider<E extends PublicError> (
    by: Origin, userId: string | undefined, error: E
  ): Promise<E> {
    metrics.logins.inc({ outcome: 'refused' })
    await refusedLogins.login(by, { userId, reason: 'provider', code: error.code })
    return error
  }

  /** Records a login that was refused because of too many attempts. Returns the error. */
  async function noted (error: unknown, by: Origin): Promise<unknown> {
    if (error instanceof RateLimitError) await refusedLogins.login(by, { userId: undefined, reason: 'rate_limited' })
    return error
  }

  return {
    requirePassword,
    enter,

    /** Opens a session without a further proof, for the first user. */
    async enterFirst (user: User, by: Origin): Promise<LoginAnswer> {
      await sessions.sweep()
      return await db.transaction().execute(async trx => await open(trx, user, by, { secondFactor: false }))
    },

    /**
     * Opens a session for the user whom `redeem` returns, on behalf of the identity provider, which is also responsible
     * for a second factor. The session ends after its lifetime even if it is used, so that the provider decides again.
     * Throws UnauthorizedError `OIDC_CODE_INVALID`.
     */
    async enterFromProvider (
      redeem: (trx: Kysely<Database>) => Promise<string | undefined>, by: Origin
    ): Promise<LoginAnswer> {
      await sessions.sweep()
      const answer = await db.transaction().execute(async trx => {
        const id = await redeem(trx)
        const user = id === undefined ? undefined : await holdUser(trx, id)
        return user === undefined ? undefined : await open(trx, user, by, { provider: true })
      })
      if (answer !== undefined) return answer
      throw await refusedByProvider(by, undefined, new UnauthorizedError(
        'OIDC_CODE_INVALID', 'The code is unknown, used or expired, or belongs to another browser. Sign in again'
      ))
    },

    refusedByProvider,

    async login ({ email, password }: { email: string, password: string }, by: Origin): Promise<LoginOutcome> {
      methods.requirePasswords()
      return await enter(await requirePassword(email, password, by), by)
    },

    /**
     * Opens a session for a challenge and its code. Throws UnauthorizedError `MFA_CODE_INVALID`, RateLimitError after
     * several wrong codes.
     */
    async verifyCode ({ mfaToken, code }: { mfaToken: string, code: string }, by: Origin): Promise<LoginAnswer> {
      methods.requirePasswords()
      await sessions.sweep()
      const userId = await secondFactor.userOf(mfaToken)
      try {
        return await secondFactor.answer(
          mfaToken, code, by.address ?? undefined,
          async (trx, user) => await open(trx, user, by, { secondFactor: true })
        )
      } catch (error) {
        if (error instanceof PublicError && error.code === 'MFA_CODE_INVALID') {
          await refusedLogins.login(by, { userId, reason: 'code' })
        }
        throw await noted(error, by)
      }
    }
  }
}
