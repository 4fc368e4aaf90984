import type { Claims } from '../../../schemas/auth.ts'
import { isEnvironment } from '../../../schemas/scope.ts'
import { UnauthorizedError } from '../../errors.ts'
import { isPlainObject } from '../../foundation/json.ts'

/* Checks the claims of a token whose signature has been verified. Each refusal names the claim. */

/** The last second of the year 9999. JavaScript dates with later years have another text form. */
const timeMax = 253_402_300_799
const permissionsMax = 1000

export const invalidCredential = (reason: string) =>
  new UnauthorizedError('CREDENTIAL_INVALID', `The credential is not valid: ${reason}`)
export const expiredToken = () => invalidCredential('the token has expired (exp)')

const isText = (value: unknown, lengthMax: number): value is string =>
  typeof value === 'string' && value.length > 0 && value.length <= lengthMax && !value.includes('\0')
/** A NumericDate, which may have a fraction (RFC 7519 §2). */
const isTime = (value: unknown): value is number => typeof value === 'number' && value >= 0 && value <= timeMax
const isAbsentOr = (isGood: (value: unknown) => boolean) => (value: unknown) => value === undefined || isGood(value)

interface Rule { isGood (value: unknown): boolean, must: string }

const time = 'must be a number of seconds since 1970, before the year 10000'
const text = (lengthMax: number): Rule => ({
  isGood: value => isText(value, lengthMax),
  must: `must be a text of 1 to ${lengthMax} characters`
})

const rules: Record<string, Rule> = {
  sub: text(255),
  aud: { isGood: value => isText(audienceOf(value), 64), must: 'must be the id of one application' },
  iss: text(1000),
  exp: { isGood: isTime, must: time },
  iat: { isGood: isTime, must: time },
  nbf: { isGood: isAbsentOr(isTime), must: time },
  jti: { isGood: isAbsentOr(value => isText(value, 255)), must: 'must be a text of 1 to 255 characters' },
  permissions: {
    isGood: value =>
      Array.isArray(value) && value.length <= permissionsMax && value.every(permission => isText(permission, 400)),
    must: `must be a list of at most ${permissionsMax} permissions`
  },
  environment: { isGood: isAbsentOr(isEnvironment), must: 'must be development, staging or production' }
}

/** Returns the one application of an audience, which is a name or a list of names (RFC 7519 §4.1.3). */
const audienceOf = (aud: unknown): unknown => Array.isArray(aud) && aud.length === 1 ? aud[0] : aud

/**
 * Returns the claims. Throws UnauthorizedError `CREDENTIAL_INVALID`, which names the first claim that is malformed,
 * names another issuer, or is out of its time.
 */
export function readClaims (payload: unknown, issuer: string, now: number): Claims {
  if (!isPlainObject(payload)) throw invalidCredential('the token has no claims')
  requireRules(payload)
  const { aud, nbf, ...claims } = payload
  if (claims.iss !== issuer) throw invalidCredential('its claim iss names another issuer')
  if (claims.exp * 1000 <= now) throw expiredToken()
  if (nbf !== undefined && nbf * 1000 > now) throw invalidCredential('the token is not valid yet (nbf)')
  const { sub, iss, exp, iat, permissions, environment } = claims
  return {
    sub,
    aud: audienceOf(aud) as string,
    iss,
    exp,
    iat,
    permissions,
    ...(environment !== undefined && { environment })
  }
}

type CheckedClaims = Omit<Claims, 'aud'> & { aud: string | string[], nbf?: number }

/** Checks each claim by its rule. */
function requireRules (payload: Record<string, unknown>): asserts payload is Record<string, unknown> & CheckedClaims {
  for (const [name, { isGood, must }] of Object.entries(rules)) {
    const value = Object.hasOwn(payload, name) ? payload[name] : undefined
    if (!isGood(value)) throw invalidCredential(`its claim ${name} ${value === undefined ? 'is missing' : must}`)
  }
}
