import type { MappedRole } from '../../config/oidc-settings.ts'

type Claims = Readonly<Record<string, unknown>>

/** Values of the claim that are looked at. */
const valuesMax = 10_000

/**
 * Returns the values of the claim that decides about roles: a text, or a list of texts. `realm_access.roles` is the
 * claim of this name if there is one, and otherwise a nested one.
 */
export function valuesOf (claims: Claims, claim: string): string[] {
  // An address that the user only claims to have must not grant a role.
  if (claim === 'email' && claims['email_verified'] !== true) return []
  const value = find(claims, claim)
  if (typeof value === 'string') return [value]
  if (!Array.isArray(value)) return []
  return value.slice(0, valuesMax).filter(item => typeof item === 'string')
}

export const hasClaim = (claims: Claims, claim: string): boolean => find(claims, claim) !== undefined

/**
 * Returns whether the provider left the claim out because it is too long, and only names where to read it (OpenID
 * Connect Core §5.6.2). Entra ID does so for users with many groups.
 */
export function isOverage (claims: Claims, claim: string): boolean {
  const names = claims['_claim_names']
  return !hasClaim(claims, claim) && isRecord(names) && Object.hasOwn(names, claim)
}

/** Returns the roles that the values grant, each once. */
export function rolesFor (values: readonly string[], map: ReadonlyMap<string, readonly MappedRole[]>): MappedRole[] {
  const granted = values.flatMap(value => map.get(value) ?? [])
  return [...new Map(granted.map(grant => [JSON.stringify([grant.role, grant.applicationId]), grant])).values()]
}

function find (claims: Claims, claim: string): unknown {
  if (Object.hasOwn(claims, claim)) return claims[claim]
  let found: unknown = claims
  for (const name of claim.split('.')) found = isRecord(found) && Object.hasOwn(found, name) ? found[name] : undefined
  return found
}

const isRecord = (value: unknown): value is Claims =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
