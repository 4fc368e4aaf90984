import type { LoginAnswer } from '../../../schemas/auth.ts'
import type { OidcSettings } from '../../config/oidc-settings.ts'
import type { Origin } from '../audit/origin.ts'
import type { Login } from '../auth/login.ts'
import { ForbiddenError, isDatabaseUnavailable, NotFoundError, PublicError, toPublicError } from '../../errors.ts'
import type { ProviderAccounts } from './provider-accounts.ts'
import type { Provider } from './provider.ts'
import { readReturnTo, type ReturnTarget } from './return-to.ts'
import type { SignInCodes } from './sign-in-codes.ts'
import { signInMs, type StartedSignIn, type StartedSignIns } from './started-sign-ins.ts'

export interface OidcLoginOptions {
  settings: Pick<OidcSettings, 'publicUrl' | 'consoleOrigins'>
  provider: Provider
  started: StartedSignIns
  codes: SignInCodes
  accounts: ProviderAccounts
  login: Pick<Login, 'enterFromProvider' | 'refusedByProvider'>
}

/** Where to send a browser, with a `Set-Cookie` header. */
export interface Redirect { location: string, cookie: string }

/** A sign-in with the identity provider, in three requests of one browser. */
export interface OidcLogin {
  /** Throws ValidationError for a foreign `returnTo`, ServiceUnavailableError `OIDC_UNAVAILABLE`. */
  start (request: { returnTo?: string | undefined, cookies: string | undefined }): Promise<Redirect>
  /** Returns the sign-in page, with a code or an error behind its `#`, which browsers do not send to servers. */
  callback (
    request: { query: string, state: string | undefined, cookies: string | undefined }, by: Origin
  ): Promise<Redirect>
  /** Opens the session. Throws UnauthorizedError `OIDC_CODE_INVALID`. */
  exchange (
    request: { code: string, cookies: string | undefined }, by: Origin
  ): Promise<{ answer: LoginAnswer, cookie: string }>
}

export function createOidcLogin (
  { settings: { publicUrl, consoleOrigins }, provider, started, codes, accounts, login }: OidcLoginOptions
): OidcLogin {
  const signInPage = ({ origin }: ReturnTarget, result: Record<string, string>): string =>
    `${origin ?? publicUrl}/login#${new URLSearchParams(result)}`

  /** Completes a sign-in. Returns the one-time code. */
  async function complete (query: string, { state, ...secrets }: StartedSignIn, by: Origin): Promise<string> {
    const refuse = async (error: unknown, userId?: string): Promise<never> => {
      throw error instanceof PublicError ? await login.refusedByProvider(by, userId, error) : error
    }
    const claims = await codes.useState(state)
      .then(async isFirst => {
        if (!isFirst) throw stateInvalid()
        return await provider.claimsOf(query, { state, ...secrets })
      }).catch(refuse)
    const outcome = await accounts.admit(claims, by, async (trx, userId) => await codes.create(trx, state, userId))
      .catch(refuse)
    return 'admitted' in outcome ? outcome.admitted : await refuse(outcome.refusal, outcome.userId)
  }

  return {
    async start ({ returnTo, cookies }) {
      const target = readReturnTo(returnTo, consoleOrigins)
      const secrets = provider.newSecrets()
      const location = await provider.authorizationUrl(secrets)
      const begun = { ...secrets, returnTo: target, expiresAt: Date.now() + signInMs }
      return { location: location.href, cookie: started.write([...started.read(cookies), begun]) }
    },

    async callback ({ query, state, cookies }, by) {
      const open = started.read(cookies)
      const cookie = started.write(open)
      const found = open.find(one => one.state === state)
      if (found === undefined) {
        const { code } = await login.refusedByProvider(by, undefined, stateInvalid())
        return { location: signInPage({ origin: undefined, path: '/' }, { error: code }), cookie }
      }
      const { returnTo } = found
      try {
        const code = await complete(query, found, by)
        return { location: signInPage(returnTo, { code, returnTo: returnTo.path }), cookie }
      } catch (error) {
        if (!(error instanceof PublicError) && !isDatabaseUnavailable(error)) throw error
        const { code } = toPublicError(error)
        return { location: signInPage(returnTo, { error: code, returnTo: returnTo.path }), cookie }
      }
    },

    async exchange ({ code, cookies }, by) {
      const open = started.read(cookies)
      const states = open.map(({ state }) => state)
      let used: string | undefined
      const answer = await login.enterFromProvider(async trx => {
        const redeemed = await codes.redeem(trx, code, states)
        used = redeemed?.state
        return redeemed?.userId
      }, by)
      return { answer, cookie: started.write(open.filter(({ state }) => state !== used)) }
    }
  }
}

/** Takes the place of a provider that is not configured. */
export const noOidcLogin: OidcLogin = {
  start: refuse, callback: refuse, exchange: refuse
}

async function refuse (): Promise<never> {
  throw new NotFoundError('OIDC_NOT_CONFIGURED', 'The platform has no identity provider. Sign in with a password')
}

const stateInvalid = () =>
  new ForbiddenError(
    'OIDC_STATE_INVALID',
    'The sign-in was not started in this browser, took too long, or was already completed. Sign in again'
  )
