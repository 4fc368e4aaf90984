import type { Kysely } from 'kysely'
import type { Database } from '../../db/tables.ts'
import type { LoginAnswer, LoginOutcome, User } from '../../schemas/auth.ts'
import type { Notices } from '../cluster/notices.ts'
import { UnauthorizedError } from '../errors.ts'
import type { Metrics } from '../metrics.ts'
import { canonicalEmail } from './email-address.ts'
import { isKnownNetwork } from './known-networks.ts'
import { AccountGate, Failures } from './login-gate.ts'
import { loginNetworkOf, networkOf } from './network.ts'
import { hashPassword, isOutdated, verifyPassword } from './passwords.ts'
import type { SecondFactor } from './second-factor.ts'
import type { Sessions, Visitor } from './sessions.ts'
import { holdUser, type Users } from './users.ts'

/** Wrong passwords from one network, whoever's they are, that cost nothing: an office is behind one address. */
const freeFailuresOfNetwork = 20
/** Wrong passwords for one account from all networks that are new to it, that cost nothing. */
const freeFailuresOfAccount = 50

export interface LoginOptions {
  db: Kysely<Database>
  users: Users
  sessions: Sessions
  secondFactor: SecondFactor
  metrics: Pick<Metrics, 'logins'>
  notices: Notices
}

/** Somebody, and the hash that their password was right for. */
export interface Proven { user: User, passwordHash: string }

export type Login = ReturnType<typeof createLogin>

/**
 * From a password, and a code where the user has a second factor, to a session. An address that nobody has is answered
 * as a wrong password is, in words and in time. Guessing is slowed down by account and network (`AccountGate`), and by
 * network; open sessions are not affected.
 */
export function createLogin ({ db, users, sessions, secondFactor, metrics, notices }: LoginOptions) {
  const accounts = new AccountGate({ what: 'failed logins for this address', freeOfAccount: freeFailuresOfAccount, notices })
  const networks = new Failures({ free: freeFailuresOfNetwork, forgives: 'one', what: 'failed logins from this network', notices })

  /** Throws UnauthorizedError `LOGIN_FAILED`, RateLimitError after several failures. */
  async function requirePassword (email: string, password: string, visitor: Visitor): Promise<Proven> {
    const address = networkOf(visitor.address ?? '')
    const share = { owner: address, isLogin: true }
    networks.refuseEarly(address)
    const isKnown = async () => {
      const found = await users.findByEmail(email)
      return await isKnownNetwork(db, found?.user.id ?? '', visitor.address)
    }
    const found = await accounts.attempt({ account: canonicalEmail(email), network: loginNetworkOf(visitor.address), isKnown }, async () => {
      const found = await users.findByEmail(email)
      return await verifyPassword(found?.passwordHash, password, share) ? found : undefined
    })
    if (found === undefined) {
      networks.failed(address)
      throw refused()
    }
    networks.succeeded(address)
    if (!isOutdated(found.passwordHash)) return found
    const passwordHash = await hashPassword(password, share)
    const renewed = await db.updateTable('users').set({ password_hash: passwordHash })
      .where('id', '=', found.user.id).where('password_hash', '=', found.passwordHash).returning('id').executeTakeFirst()
    // It was changed meanwhile, or hashed anew by another login.
    if (renewed === undefined) return await requirePassword(email, password, visitor)
    return { user: found.user, passwordHash }
  }

  /** For somebody whose password was right, and still is: a session, or first the question for a code. Throws UnauthorizedError `LOGIN_FAILED`. */
  async function enter ({ user, passwordHash }: Proven, visitor: Visitor): Promise<LoginOutcome> {
    await sessions.sweep()
    return await db.transaction().execute(async trx => {
      if (await holdUser(trx, user.id, passwordHash) === undefined) throw refused()
      if (await secondFactor.isEnabled(trx, user.id)) return { mfaRequired: true as const, mfaToken: await secondFactor.challenge(trx, user.id) }
      return await open(trx, user, visitor)
    })
  }

  async function open (trx: Kysely<Database>, user: User, visitor: Visitor): Promise<LoginAnswer> {
    const { token } = await sessions.createWithin(trx, user.id, visitor)
    metrics.logins.inc({ outcome: 'opened' })
    return { sessionToken: token, user }
  }

  function refused (): UnauthorizedError {
    metrics.logins.inc({ outcome: 'refused' })
    return new UnauthorizedError('LOGIN_FAILED', 'Invalid email or password')
  }

  return {
    requirePassword,
    enter,

    async login ({ email, password }: { email: string, password: string }, visitor: Visitor): Promise<LoginOutcome> {
      return await enter(await requirePassword(email, password, visitor), visitor)
    },

    /** Throws UnauthorizedError `MFA_CODE_INVALID`, RateLimitError after several wrong codes. */
    async verifyCode ({ mfaToken, code }: { mfaToken: string, code: string }, visitor: Visitor): Promise<LoginAnswer> {
      await sessions.sweep()
      return await secondFactor.answer(mfaToken, code, visitor.address, async (trx, user) => await open(trx, user, visitor))
    }
  }
}
