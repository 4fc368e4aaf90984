import type { LoginAnswer } from '../../schemas/auth.ts'
import { ForbiddenError, UnauthorizedError } from '../errors.ts'
import { LoginGate } from './login-gate.ts'
import { verifyPassword } from './passwords.ts'
import type { Principal } from './principal.ts'
import type { Sessions, Visitor } from './sessions.ts'
import type { Users } from './users.ts'

export type Login = ReturnType<typeof createLogin>

/** From a password to a session. An address that nobody has is answered as a wrong password is, in words and in time. */
export function createLogin ({ users, sessions }: { users: Users, sessions: Sessions }) {
  const gate = new LoginGate()

  /** Throws UnauthorizedError `LOGIN_FAILED`, RateLimitError after several failures. */
  return async function login ({ email, password }: { email: string, password: string }, visitor: Visitor): Promise<LoginAnswer> {
    const user = await gate.attempt(email, async () => {
      const found = await users.findByEmail(email)
      return await verifyPassword(found?.passwordHash, password) ? found?.user : undefined
    })
    if (user === undefined) throw new UnauthorizedError('LOGIN_FAILED', 'E-mail address and password do not belong together')
    const { token } = await sessions.create(user.id, visitor)
    return { sessionToken: token, user }
  }
}

export type Logout = ReturnType<typeof createLogout>

/** Ends the session that asks. Throws ForbiddenError for a token: it ends by itself, or with its key. */
export function createLogout ({ sessions }: { sessions: Sessions }) {
  return async function logout (principal: Principal): Promise<void> {
    if (principal.kind === 'token') throw new ForbiddenError('PERMISSION_DENIED', 'Only a session can log out; a token ends by itself, or with its key')
    await sessions.end(principal.sessionKey)
  }
}
