import * as client from 'openid-client'
import type { OidcSettings } from '../../config/oidc-settings.ts'
import { ForbiddenError, PublicError, ServiceUnavailableError } from '../../errors.ts'
import { plainText } from '../../foundation/plain-text.ts'
import { limitedFetch } from './limited-fetch.ts'
import { hasClaim, isOverage } from './role-claim.ts'

/** The browser takes them to the provider, hashed or in clear. The answer must fit all three. */
export interface SignInSecrets { state: string, nonce: string, verifier: string }

/** The claims of a user, after all checks. */
export type Claims = Readonly<Record<string, unknown>> & { readonly sub: string }

export interface ProviderOptions {
  settings: OidcSettings
  redirectUri: string
  log: { warn (fields: object, message: string): void }
}

/** How long the documents of the provider count as current. Its keys are read again when a token names a new one. */
const discoveredForMs = 3_600_000
/** By how much the clocks of the provider and this server may differ. */
const clockToleranceS = 30
const answerBytesMax = 1024 ** 2
const reasonLengthMax = 300
/** Errors with which a provider says that the user, or its rules, refused (OpenID Connect Core §3.1.2.6). */
const denials = new Set([
  'access_denied', 'interaction_required', 'login_required', 'consent_required', 'account_selection_required'
])

export type Provider = ReturnType<typeof createProvider>

/**
 * The OpenID Connect provider. It is looked up with the first sign-in, so that this server starts without it. Each
 * function throws ServiceUnavailableError `OIDC_UNAVAILABLE` while it cannot be reached.
 */
export function createProvider ({ settings, redirectUri, log }: ProviderOptions) {
  const { issuer, clientId, clientSecret, scopes, roleClaim, requestTimeoutMs } = settings
  let known: { configuration: client.Configuration, at: number } | undefined
  let finding: Promise<client.Configuration> | undefined

  async function discover (): Promise<client.Configuration> {
    const isPlain = issuer.startsWith('http:')
    const configuration = await client.discovery(
      new URL(issuer), clientId, { [client.clockTolerance]: clockToleranceS }, authentication(clientSecret), {
        timeout: requestTimeoutMs / 1000,
        [client.customFetch]: limitedFetch(answerBytesMax),
        execute: [
          // Verifies the signature of the ID token as well, which the specification does not require over https.
          client.enableNonRepudiationChecks,
          ...(isPlain ? [client.allowInsecureRequests] : [])
        ]
      }
    )
    known = { configuration, at: performance.now() }
    return configuration
  }

  /** One lookup serves all requests that wait for it. A provider that is known stays usable while a lookup fails. */
  async function find (): Promise<client.Configuration> {
    if (known !== undefined && performance.now() - known.at < discoveredForMs) return known.configuration
    finding ??= discover().finally(() => { finding = undefined })
    try {
      return await finding
    } catch (error) {
      log.warn({ issuer, ...reasonOf(error) }, 'oidc.discovery_failed')
      if (known !== undefined) return known.configuration
      throw unavailable()
    }
  }

  return {
    /** Creates the secrets of a sign-in. */
    newSecrets: (): SignInSecrets => ({
      state: client.randomState(), nonce: client.randomNonce(), verifier: client.randomPKCECodeVerifier()
    }),

    /** Returns the page of the provider to send a browser to. */
    async authorizationUrl ({ state, nonce, verifier }: SignInSecrets): Promise<URL> {
      const configuration = await find()
      try {
        return client.buildAuthorizationUrl(configuration, {
          redirect_uri: redirectUri, scope: scopes, state, nonce,
          code_challenge: await client.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256'
        })
      } catch (error) {
        log.warn({ issuer, ...reasonOf(error) }, 'oidc.discovery_failed')
        throw unavailable()
      }
    },

    /**
     * Exchanges the code of a callback, whose `query` the provider wrote, and checks every answer. Throws
     * ForbiddenError `OIDC_DENIED`, `OIDC_PROVIDER_ERROR`, `OIDC_RESPONSE_INVALID`.
     */
    async claimsOf (query: string, { state, nonce, verifier }: SignInSecrets): Promise<Claims> {
      const configuration = await find()
      try {
        const tokens = await client.authorizationCodeGrant(configuration, new URL(`${redirectUri}${query}`), {
          expectedState: state, expectedNonce: nonce, pkceCodeVerifier: verifier, idTokenExpected: true
        })
        const claims = tokens.claims()
        // PostgreSQL stores no NUL.
        if (claims === undefined || claims.sub.includes('\0')) throw invalid()
        if (isOverage(claims, roleClaim)) throw incomplete(roleClaim)
        const isComplete = hasClaim(claims, roleClaim) && claims['email'] !== undefined
        if (isComplete || configuration.serverMetadata().userinfo_endpoint === undefined) return claims
        const more = await client.fetchUserInfo(configuration, tokens.access_token, claims.sub)
        if (isOverage(more, roleClaim) && !hasClaim(claims, roleClaim)) throw incomplete(roleClaim)
        return { ...combined(claims, more), sub: claims.sub }
      } catch (error) {
        throw refusalOf(error)
      }
    }
  }

  function refusalOf (error: unknown): PublicError {
    if (error instanceof PublicError) return error
    log.warn({ issuer, ...reasonOf(error) }, 'oidc.refused')
    if (error instanceof client.AuthorizationResponseError) {
      return denials.has(error.error)
        ? new ForbiddenError('OIDC_DENIED', 'The identity provider refused the sign-in', { cause: error })
        : new ForbiddenError('OIDC_PROVIDER_ERROR', 'The identity provider reported an error', { cause: error })
    }
    return isOutage(error) ? unavailable() : invalid(error)
  }
}

/**
 * Combines the claims of the ID token with those of the userinfo endpoint. An address counts as verified only if the
 * part that contains it says so: the other one may mean another address.
 */
function combined (claims: Claims, more: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const all = { ...more, ...claims }
  const said = [claims, more].filter(({ email }) => email === all.email).map(part => part['email_verified'])
  return { ...all, email_verified: said.find(value => value !== undefined) }
}

/** Prefers HTTP Basic, the default of the specification. */
function authentication (secret: string | undefined): client.ClientAuth {
  if (secret === undefined) return client.None()
  const [basic, post] = [client.ClientSecretBasic(secret), client.ClientSecretPost(secret)]
  return (server, ...request) => {
    const supported = server.token_endpoint_auth_methods_supported ?? ['client_secret_basic']
    return (supported.includes('client_secret_basic') ? basic : post)(server, ...request)
  }
}

/** Returns whether a retry may help: no answer, a slow one, or 5xx. */
function isOutage (error: unknown): boolean {
  const { code, cause, status } = error as { code?: unknown, cause?: unknown, status?: unknown }
  if (code === 'OAUTH_TIMEOUT' || code === 'OAUTH_ABORT') return true
  if (cause instanceof Response) return cause.status >= 500 || cause.status === 429
  if (typeof status === 'number') return status >= 500 || status === 429
  return error instanceof TypeError && error.message === 'fetch failed'
}

/** Returns why the provider was refused. The error itself may quote tokens. */
function reasonOf (error: unknown): { reason: string, code: string | undefined } {
  const { message, code, error: given, cause } = error as Record<string, unknown>
  const from = cause instanceof Error ? `: ${(cause as NodeJS.ErrnoException).code ?? cause.message}` : ''
  return {
    reason: plainText(`${String(message)}${from}${given === undefined ? '' : ` (${String(given)})`}`, reasonLengthMax),
    code: typeof code === 'string' ? code : undefined
  }
}

const unavailable = () =>
  new ServiceUnavailableError(
    'OIDC_UNAVAILABLE', 'The identity provider cannot be reached. Retry in a moment', { retryAfterS: 5 }
  )

const invalid = (cause?: unknown) =>
  new ForbiddenError('OIDC_RESPONSE_INVALID', 'The answer of the identity provider is not valid. Sign in again', {
    cause
  })

const incomplete = (claim: string) =>
  new ForbiddenError(
    'OIDC_RESPONSE_INVALID',
    `The identity provider left out the claim ${claim}, because the user has too many values of it`
  )
