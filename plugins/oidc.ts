import fp from 'fastify-plugin'
import { createOidcLogin, noOidcLogin, type OidcLogin } from '../src/identity/oidc/oidc-login.ts'
import { createProviderAccounts } from '../src/identity/oidc/provider-accounts.ts'
import { createProvider } from '../src/identity/oidc/provider.ts'
import { createRoleSync } from '../src/identity/oidc/role-sync.ts'
import { createSignInCodes } from '../src/identity/oidc/sign-in-codes.ts'
import { createStartedSignIns } from '../src/identity/oidc/started-sign-ins.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** Signs people in with the identity provider. Refuses everything without one. */
    oidcLogin: OidcLogin
  }
}

/** Adds the sign-in with an OpenID Connect provider, if `OIDC_ISSUER` is set. */
export default fp(async (app) => {
  const { db, log, encryption, login, notify, sessions, config: { oidc: settings } } = app
  if (settings === undefined) {
    app.decorate('oidcLogin', noOidcLogin)
    return
  }
  const { issuer, publicUrl } = settings
  const roles = createRoleSync({ db, settings, log })
  app.decorate('oidcLogin', createOidcLogin({
    settings,
    provider: createProvider({ settings, redirectUri: `${publicUrl}/api/auth/oidc/callback`, log }),
    started: createStartedSignIns({ encryption, publicUrl }),
    codes: createSignInCodes({ db, now: app.clock.now }),
    accounts: createProviderAccounts({ db, issuer, roles, sessions, notify }),
    login
  }))
  app.addHook('onReady', async () => roles.reportUnknown())
}, { name: 'oidc', dependencies: ['accounts', 'config', 'credentials', 'database', 'encryption', 'people'] })
