import type { Kysely } from 'kysely'
import type { Database } from '../../db/tables.ts'
import type { LoginAnswer, LoginOutcome, User } from '../../schemas/auth.ts'
import type { Notices } from '../cluster/notices.ts'
import { UnauthorizedError } from '../errors.ts'
import type { Metrics } from '../metrics.ts'
import { Failures, LoginGate, networkOf } from './login-gate.ts'
import { hashPassword, isOutdated, verifyPassword } from './passwords.ts'
import type { SecondFactor } from './second-factor.ts'
import type { Sessions, Visitor } from './sessions.ts'
import type { Users } from './users.ts'

/** Wrong passwords from one network, whoever's they are, that cost nothing: an office is behind one address. */
const freeFailuresOfNetwork = 20

export interface LoginOptions {
  db: Kysely<Database>
  users: Users
  sessions: Sessions
  secondFactor: SecondFactor
  metrics: Pick<Metrics, 'logins'>
  notices: Notices
}

export type Login = ReturnType<typeof createLogin>

/**
 * From a password, and a code where the user has a second factor, to a session. An address that nobody has is answered
 * as a wrong password is, in words and in time. Guessing is slowed down by account and by network; sessions that are
 * open know nothing of it.
 */
export function createLogin ({ db, users, sessions, secondFactor, metrics, notices }: LoginOptions) {
  const accounts = new LoginGate({ notices })
  const networks = new Failures({ free: freeFailuresOfNetwork, forgives: 'one', what: 'failed logins from this network', notices })

  /** Throws UnauthorizedError `LOGIN_FAILED`, RateLimitError after several failures. */
  async function requirePassword (email: string, password: string, visitor: Visitor): Promise<User> {
    const network = networkOf(visitor.address ?? '')
    networks.refuseEarly(network)
    const found = await accounts.attempt(email, async () => {
      const found = await users.findByEmail(email)
      return await verifyPassword(found?.passwordHash, password) ? found : undefined
    })
    if (found === undefined) {
      networks.failed(network)
      metrics.logins.inc({ outcome: 'refused' })
      throw new UnauthorizedError('LOGIN_FAILED', 'E-mail address and password do not belong together')
    }
    networks.succeeded(network)
    if (isOutdated(found.passwordHash)) {
      // Unless it was changed meanwhile.
      await db.updateTable('users').set({ password_hash: await hashPassword(password) })
        .where('id', '=', found.user.id).where('password_hash', '=', found.passwordHash).execute()
    }
    return found.user
  }

  /** For somebody whose password was right: a session, or first the question for a code. */
  async function enter (user: User, visitor: Visitor): Promise<LoginOutcome> {
    if (await secondFactor.isEnabled(user.id)) return { mfaRequired: true, mfaToken: await secondFactor.challenge(user.id) }
    return await open(user, visitor)
  }

  async function open (user: User, visitor: Visitor): Promise<LoginAnswer> {
    const { token } = await sessions.create(user.id, visitor)
    metrics.logins.inc({ outcome: 'opened' })
    return { sessionToken: token, user }
  }

  return {
    requirePassword,
    enter,

    async login ({ email, password }: { email: string, password: string }, visitor: Visitor): Promise<LoginOutcome> {
      return await enter(await requirePassword(email, password, visitor), visitor)
    },

    /** Throws UnauthorizedError `MFA_CODE_INVALID`, RateLimitError after several wrong codes. */
    async verifyCode ({ mfaToken, code }: { mfaToken: string, code: string }, visitor: Visitor): Promise<LoginAnswer> {
      const user = await users.find(await secondFactor.answer(mfaToken, code))
      if (user === undefined) throw new UnauthorizedError('LOGIN_FAILED', 'The user is gone')
      return await open(user, visitor)
    }
  }
}
