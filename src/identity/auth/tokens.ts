import { hash, randomBytes } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { Claims } from '../../../schemas/auth.ts'
import type { Environment } from '../../../schemas/scope.ts'
import type { ApplicationCache } from './application-cache.ts'
import { ValidationError } from '../../errors.ts'
import { isPlainObject } from '../../foundation/json.ts'
import { expiredToken, invalidCredential, readClaims } from './claims.ts'
import { parsePermissions } from '../access/permission-set.ts'
import type { JwtPrincipal } from '../access/principal.ts'
import type { Algorithm } from './key-material.ts'
import type { SigningKey, SigningKeys } from './signing-keys.ts'

/** The part of `app.jwt` that tokens use. Each call passes its own key. */
export interface Jwt {
  sign (payload: object, options: { key: Buffer | string, algorithm: Algorithm, kid: string }): string
  verify (
    token: string,
    options: { key: Buffer | string, algorithms: [Algorithm], ignoreExpiration: true, ignoreNotBefore: true }
  ): unknown
  decode (token: string, options: { complete: true }): unknown
}

export interface TokensOptions {
  jwt: Jwt
  keys: SigningKeys
  applications: ApplicationCache
  issuer: string
  defaultTtlS: number
}

/** The content of a new token. */
export interface TokenInput {
  subject: string
  applicationId: string
  permissions: readonly string[]
  environment: Environment | undefined
  /** The default lifetime applies if undefined. */
  expiresInS: number | undefined
  /** Latest expiry, in epoch milliseconds. */
  notAfter?: number
}

export interface VerifiedToken {
  readonly claims: Claims
  readonly principal: JwtPrincipal
}

const tokenBytesMax = 8192
/** About 1.5 KB each with its principal. */
const cachedTokensMax = 20_000

export type Tokens = ReturnType<typeof createTokens>

/**
 * Issues and verifies the platform's JWTs. A verified token is cached by its hash until it expires; revoking a key
 * clears the cache.
 */
export function createTokens ({ jwt, keys, applications, issuer, defaultTtlS }: TokensOptions) {
  const verified = new LRUCache<string, VerifiedToken>({ max: cachedTokensMax })
  keys.onRevoked(() => verified.clear())

  /** Returns the claims and the principal of a valid token, if this node has verified it before. */
  function peek (token: string): VerifiedToken | undefined {
    if (token.length > tokenBytesMax) return undefined
    const known = verified.get(keyOfToken(token))
    return known !== undefined && known.principal.expiresAt > Date.now() && applications.peek(known.claims.aud) === true
      ? known
      : undefined
  }

  /** Returns the claims and the principal. Rejects with UnauthorizedError `CREDENTIAL_INVALID`. */
  async function verify (token: string): Promise<VerifiedToken> {
    if (token.length > tokenBytesMax) throw invalidCredential('the token is too long')
    const tokenKey = keyOfToken(token)
    const known = verified.get(tokenKey) ?? verifyWith(await keys.find(keyIdOf(token)), token, tokenKey)
    if (known.principal.expiresAt <= Date.now()) {
      verified.delete(tokenKey)
      throw expiredToken()
    }
    if (!await applications.has(known.claims.aud)) {
      throw invalidCredential('the application that its claim aud names does not exist')
    }
    return known
  }

  function keyIdOf (token: string): string {
    const decoded = attempt(() => jwt.decode(token, { complete: true }))
    const kid = isPlainObject(decoded) && isPlainObject(decoded['header']) ? decoded['header']['kid'] : undefined
    if (typeof kid !== 'string' || !isCanonical(token)) throw invalidCredential('the token is malformed')
    if (token.split('.', 2).some(part => hasRepeatedNames(Buffer.from(part, 'base64url').toString()))) {
      throw invalidCredential('the token repeats a member name')
    }
    return kid
  }

  function verifyWith (key: SigningKey | undefined, token: string, tokenKey: string): VerifiedToken {
    // A revocation while the key was looked up has cleared the cache before this token enters it.
    if (key === undefined || !keys.isGood(key.id)) throw invalidCredential("the token's key is unknown")
    // `readClaims` checks the times, so that a refusal names the claim.
    const checked = {
      key: key.verifying, algorithms: [key.algorithm] as [Algorithm], ignoreExpiration: true, ignoreNotBefore: true
    } as const
    const claims = readClaims(attempt(() => jwt.verify(token, checked)), issuer, Date.now())
    const entry = { claims, principal: toPrincipal(claims, key.id, tokenKey) }
    verified.set(tokenKey, entry)
    return entry
  }

  /**
   * Signs a token with the active key. `id` is the `jti`, which is not secret. Throws ValidationError if `verify` would
   * refuse the token for its length.
   */
  function mint (input: TokenInput): { token: string, expiresAt: number, id: string, keyId: string } {
    const key = keys.active
    if (key === undefined) throw new Error('there is no active signing key')
    const iat = Math.floor(Date.now() / 1000)
    const exp = Math.min(iat + (input.expiresInS ?? defaultTtlS), Math.floor((input.notAfter ?? Infinity) / 1000))
    const claims: Claims & { jti: string } = {
      sub: input.subject,
      aud: input.applicationId,
      iss: issuer,
      iat,
      exp,
      jti: randomBytes(9).toString('base64url'),
      permissions: [...input.permissions],
      ...(input.environment !== undefined && { environment: input.environment })
    }
    const token = jwt.sign(claims, { key: key.signing, algorithm: key.algorithm, kid: key.id })
    if (token.length > tokenBytesMax) {
      throw new ValidationError(
        'VALIDATION_FAILED',
        `The token would be longer than ${tokenBytesMax} bytes. Request fewer permissions`,
        {
          details: [{ path: '/permissions', message: 'make the token too long' }]
        }
      )
    }
    return { token, expiresAt: exp * 1000, id: claims.jti, keyId: key.id }
  }

  return { peek, verify, mint }
}

const keyOfToken = (token: string): string => hash('sha256', token, 'base64url')

/** Hides fast-jwt's reason from the client. */
function attempt<T> (work: () => T): T {
  try {
    return work()
  } catch {
    throw invalidCredential('the token is malformed, or its signature is wrong')
  }
}

/**
 * Returns whether each part has canonical base64url. Other spellings of the same bytes are refused, so that a changed
 * token is never accepted as the same one.
 */
function isCanonical (token: string): boolean {
  const parts = token.split('.')
  return parts.length === 3 &&
    parts.every(part => part !== '' && Buffer.from(part, 'base64url').toString('base64url') === part)
}

function toPrincipal (claims: Claims, keyId: string, tokenKey: string): JwtPrincipal {
  const held = parsePermissions(claims.permissions)
  return {
    kind: 'token',
    credential: 'jwt',
    id: `${claims.aud}/${claims.sub}`,
    subject: claims.sub,
    applicationId: claims.aud,
    environment: claims.environment,
    permissions: claims.permissions,
    held: claims.environment === undefined ? held : held.withinEnvironment(),
    keyId,
    tokenKey,
    // A NumericDate may have a fraction; `expiresAt` is in whole milliseconds.
    expiresAt: Math.floor(claims.exp * 1000)
  }
}

const token = /"(?:[^"\\]|\\.)*"|[{}[\]:]/g

/**
 * Returns whether an object in a JSON text has a member name twice. Parsers differ in which value they use, so such a
 * token could mean one thing here and another to a third party that verifies it (RFC 7519 §4).
 */
export function hasRepeatedNames (json: string): boolean {
  const open: (Set<string> | undefined)[] = []
  const tokens = json.match(token) ?? []
  for (const [i, text] of tokens.entries()) {
    if (text === '{') open.push(new Set())
    else if (text === '[') open.push(undefined)
    else if (text === '}' || text === ']') open.pop()
    else if (text !== ':' && tokens[i + 1] === ':') {
      const name = JSON.parse(text) as string
      const names = open.at(-1)
      if (names?.has(name) === true) return true
      names?.add(name)
    }
  }
  return false
}
