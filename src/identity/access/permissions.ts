import { environments, type Environment } from '../../../schemas/scope.ts'
import { ForbiddenError, ValidationError } from '../../errors.ts'
import { clientPermissions, parsePermission, PermissionSet, type PermissionName } from './permission-set.ts'
import { isApiKey, isJwt, type Principal } from './principal.ts'

export { isEntityOwning, isPermissionName, type PermissionName } from './permission-set.ts'

/** A scope, or an application as a whole. */
export interface Place {
  readonly applicationId: string
  readonly environment?: Environment
}

/**
 * Returns whether the principal has a permission at a place. A null `place` means that no application is named yet: the
 * permission for any application is enough, and the caller checks the application later (lists, `POST /auth/token`).
 * `events:read` and `events:create` pass if they are held for at least one topic; `authorizeTopic` decides.
 */
export function isAllowed (principal: Principal, place: Place | null, permission: PermissionName): boolean {
  if (place !== null) return permissionsAt(principal, place).allows(permission)
  if (principal.kind === 'token') return principal.held.allows(permission)
  if (principal.grants.everywhere.allows(permission)) return true
  for (const set of principal.grants.byApplication.values()) if (set.allows(permission)) return true
  return false
}

/** Throws ForbiddenError `PERMISSION_DENIED`, which names the permission, unless `isAllowed`. */
export function authorize (principal: Principal, place: Place | null, permission: PermissionName): void {
  if (!isAllowed(principal, place, permission)) {
    throw new ForbiddenError('PERMISSION_DENIED', `Permission required: ${permission}`)
  }
}

/**
 * Throws ForbiddenError `PERMISSION_DENIED` unless the principal may use the topic. For a pattern, every matching topic
 * must be covered.
 */
export function authorizeTopic (
  principal: Principal, place: Place, verb: 'subscribe' | 'publish', topic: string
): void {
  if (!permissionsAt(principal, place)[verb].covers(topic)) {
    throw new ForbiddenError('PERMISSION_DENIED', `Permission required: ${verb}:${topic.slice(0, 300)}`)
  }
}

/**
 * Requires a permission in each environment, for data that the environments of an application share. Throws
 * ForbiddenError `ENVIRONMENT_FORBIDDEN` for a pinned token, and otherwise as `authorize` does.
 */
export function authorizeInEvery (principal: Principal, applicationId: string, permission: PermissionName): void {
  if (principal.kind === 'token' && principal.environment !== undefined) {
    throw new ForbiddenError(
      'ENVIRONMENT_FORBIDDEN',
      `The token is pinned to ${principal.environment}, and this request changes every environment (${permission})`
    )
  }
  for (const environment of environments) authorize(principal, { applicationId, environment }, permission)
}

/** Returns the applications for which the principal has a permission. Lists are filtered by them. */
export function applicationsWith (principal: Principal, permission: PermissionName): 'all' | string[] {
  if (principal.kind === 'token') return principal.held.allows(permission) ? [principal.applicationId] : []
  const { everywhere, byApplication } = principal.grants
  if (everywhere.allows(permission)) return 'all'
  return [...byApplication].filter(([, set]) => set.allows(permission)).map(([applicationId]) => applicationId)
}

/**
 * Returns whether the principal has all permissions of a set: in one application, or, for null, everywhere. A token
 * belongs to one application, so it has none everywhere.
 */
export function coversAt (principal: Principal, applicationId: string | null, set: PermissionSet): boolean {
  if (applicationId === null) return principal.kind === 'session' && principal.grants.everywhere.covers(set)
  return permissionsAt(principal, { applicationId }).covers(set.withinApplication())
}

/** Throws ForbiddenError `PERMISSION_NOT_HELD` unless `coversAt`. `what` names the role or user in the message. */
export function authorizeRule (
  principal: Principal, applicationId: string | null, set: PermissionSet, what: string
): void {
  if (!coversAt(principal, applicationId, set)) {
    throw new ForbiddenError(
      'PERMISSION_NOT_HELD',
      `You do not hold all permissions of ${what}${applicationId === null ? ' everywhere' : ' in that application'}`
    )
  }
}

/** Returns whether the principal has any access to the application. */
export function reachesApplication (principal: Principal, applicationId: string): boolean {
  if (principal.kind === 'token') return principal.applicationId === applicationId
  return principal.grants.reachesAll || principal.grants.byApplication.has(applicationId)
}

/**
 * Checks that the principal has every permission that it grants. A narrower topic pattern than a held one is allowed. A
 * `service` token and an API key grant at most the permissions of a `client`. With `place.environment`, the grant is
 * pinned, and only the part that a pinned token keeps is checked. Throws ValidationError, which names unknown
 * permissions, or ForbiddenError `PERMISSION_NOT_HELD`, which names those that the principal cannot grant in the
 * application.
 */
export function authorizeGrant (principal: Principal, place: Place, permissions: readonly string[]): void {
  const parsed = permissions.map(text => ({ text, set: parsePermission(text) }))
  const unknown = parsed.flatMap(({ text, set }, i) =>
    set === undefined ? [{ path: `/permissions/${i}`, message: `is not a permission: ${text}` }] : []
  )
  if (unknown.length > 0) {
    throw new ValidationError(
      'VALIDATION_FAILED',
      `Unknown permissions: ${parsed.filter(({ set }) => set === undefined).map(({ text }) => text).join(', ')}`,
      { details: unknown }
    )
  }
  const held = grantableAt(principal, place)
  const effect = (set: PermissionSet) => place.environment === undefined ? set : set.withinEnvironment()
  const missing = parsed.filter(({ set }) => set !== undefined && !held.covers(effect(set))).map(({ text }) => text)
  if (missing.length > 0) {
    throw new ForbiddenError(
      'PERMISSION_NOT_HELD',
      isApiKey(principal)
        ? `An API key grants at most the permissions of a client that it holds: not ${missing.join(', ')}`
        : `You cannot grant permissions that you do not hold: ${missing.join(', ')}`
    )
  }
}

/** Returns all permissions of the principal at a place. */
export function permissionsAt (principal: Principal, { applicationId, environment }: Place): PermissionSet {
  if (principal.kind === 'session') {
    return principal.grants.byApplication.get(applicationId) ?? principal.grants.everywhere
  }
  if (principal.applicationId !== applicationId) return PermissionSet.none
  if (principal.environment !== undefined && environment !== undefined && principal.environment !== environment) {
    return PermissionSet.none
  }
  return principal.held
}

function grantableAt (principal: Principal, place: Place): PermissionSet {
  const held = permissionsAt(principal, place)
  if (principal.kind === 'session') return held
  // A token outlives the API key that issued it, so it must not be able to leave anything behind.
  const mayPassOnAll = isJwt(principal) &&
    principal.permissions.some(text => text === 'admin' || text === 'tokens:create')
  if (mayPassOnAll) return held
  // The creator of an API key may have lost permissions of a client since.
  return held.allows('tokens:create') ? clientPermissions.intersection(held) : PermissionSet.none
}
