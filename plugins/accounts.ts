import fp from 'fastify-plugin'
import { createAccount, type Account } from '../src/identity/auth/account.ts'
import { createLogin, type Login } from '../src/identity/auth/login.ts'
import { createRefusedLogins, type RefusedLogins } from '../src/identity/auth/refused-logins.ts'
import { createSecondFactor, type SecondFactor } from '../src/identity/auth/second-factor.ts'
import { createSignInMethods, type SignInMethods } from '../src/identity/auth/sign-in-methods.ts'
import { isElsewhere, Setup } from '../src/identity/auth/setup.ts'
import { createUsers, type Users } from '../src/identity/auth/users.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** The ways in which people may sign in. */
    signInMethods: SignInMethods
    /** Finds users for logins. */
    users: Users
    /** Opens sessions for users. */
    login: Login
    /** Counts failed logins by account. */
    refusedLogins: RefusedLogins
    secondFactor: SecondFactor
    /** The caller's own identity and sessions. */
    account: Account
    /** Creates the first user. */
    setup: Setup
  }
}

/**
 * Adds the setup of the first user, the login with its limits and second factor, and the account of the caller with its
 * sessions.
 */
export default fp(async (app) => {
  const { db, encryption, invalidations, sessions, instruments: metrics, config: { auth, http, oidc } } = app
  const methods = createSignInMethods(oidc)
  const users = createUsers({ db })
  const secondFactor = createSecondFactor({ db, encryption, issuer: auth.issuer, invalidations })
  const refusedLogins = createRefusedLogins({ db, log: app.log })
  const setup = new Setup({
    db, isProxied: http.trustProxy.length > 0 || isElsewhere(http.publicUrl), methods, token: auth.setupToken
  })
  app.decorate('signInMethods', methods)
  app.decorate('users', users)
  app.decorate(
    'login', createLogin({ db, users, sessions, secondFactor, refusedLogins, methods, metrics, invalidations })
  )
  app.decorate('refusedLogins', refusedLogins)
  app.decorate('secondFactor', secondFactor)
  app.decorate('account', createAccount({ sessions }))
  app.decorate('setup', setup)
  await setup.start()
}, { name: 'accounts', dependencies: ['config', 'credentials', 'database', 'encryption', 'metrics', 'invalidations'] })
