import type { FastifyInstance } from 'fastify'
import { browser, type Browser } from './browser.ts'
import { publicUrl, type IdentityProvider } from './identity-provider.ts'

export const startUrl = `${publicUrl}/api/auth/oidc/start`
export const callbackUrl = `${publicUrl}/api/auth/oidc/callback`

/** Returns what the fragment of the sign-in page says. */
export const fragmentOf = (url: string) => Object.fromEntries(new URLSearchParams(new URL(url).hash.slice(1)))

/** Starts a sign-in and logs in at the provider. Returns the URL of the callback, not yet visited. */
export const comeBack = async (window: Browser, query = '') => await window.follow(startUrl + query, callbackUrl)

/** Visits a callback. Returns the fragment of the sign-in page. */
export async function finish (window: Browser, callback: string): Promise<Record<string, string>> {
  const { location, text } = await window.get(callback)
  if (location === undefined) throw new Error(`The callback has no redirect: ${text}`)
  return fragmentOf(location)
}

/** Signs a user of the provider in. Returns the answer with the session, or the code of the refusal. */
export async function signIn (app: FastifyInstance, provider: IdentityProvider, user: string) {
  provider.state.user = user
  const window = browser(app)
  const { code, error } = await finish(window, await comeBack(window))
  if (code === undefined) return { error, window, status: 0, body: undefined }
  const { status, body } = await window.post('/api/auth/oidc/exchange', { code })
  return { error, window, status, body: body as { sessionToken: string, user: { id: string, email: string } } }
}
