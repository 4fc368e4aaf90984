import { environments, type Environment } from '../../../schemas/scope.ts'
import { ForbiddenError, ValidationError } from '../../errors.ts'
import { clientPermissions, parsePermission, PermissionSet, type PermissionName } from './permission-set.ts'
import type { Principal } from './principal.ts'

export { isEntityOwning, isPermissionName, type PermissionName } from './permission-set.ts'

/** A scope, or an application as a whole. */
export interface Place {
  readonly applicationId: string
  readonly environment?: Environment
}

/**
 * Whether the principal may do this there. `place` null: no one application is in question; then it is enough to hold
 * the permission for some application, and what comes after is to look at that one (lists, `POST /auth/token`).
 * `events:read` and `events:create` pass when they are held for at least some topic: `authorizeTopic` decides.
 */
export function isAllowed (principal: Principal, place: Place | null, permission: PermissionName): boolean {
  if (place !== null) return permissionsAt(principal, place).allows(permission)
  if (principal.kind === 'token') return principal.held.allows(permission)
  if (principal.grants.everywhere.allows(permission)) return true
  for (const set of principal.grants.byApplication.values()) if (set.allows(permission)) return true
  return false
}

/** As `isAllowed`. Throws ForbiddenError `PERMISSION_DENIED` naming the permission. */
export function authorize (principal: Principal, place: Place | null, permission: PermissionName): void {
  if (!isAllowed(principal, place, permission)) { throw new ForbiddenError('PERMISSION_DENIED', `Permission required: ${permission}`) }
}

/**
 * `topic` may be a pattern: then every topic it can stand for must be covered. Throws ForbiddenError
 * `PERMISSION_DENIED`.
 */
export function authorizeTopic (
  principal: Principal, place: Place, verb: 'subscribe' | 'publish', topic: string
): void {
  if (!permissionsAt(principal, place)[verb].covers(topic)) {
    throw new ForbiddenError('PERMISSION_DENIED', `Permission required: ${verb}:${topic.slice(0, 300)}`)
  }
}

/**
 * For what the environments of an application share: the permission is required in each of them. Throws ForbiddenError
 * `ENVIRONMENT_FORBIDDEN` for a token that is pinned to one, otherwise as `authorize`.
 */
export function authorizeInEvery (principal: Principal, applicationId: string, permission: PermissionName): void {
  if (principal.kind === 'token' && principal.environment !== undefined) {
    throw new ForbiddenError(
      'ENVIRONMENT_FORBIDDEN',
      `The token is pinned to ${principal.environment}; this would change every environment (${permission})`
    )
  }
  for (const environment of environments) authorize(principal, { applicationId, environment }, permission)
}

/** The applications for which the principal holds a permission: what of a list they may see. */
export function applicationsWith (principal: Principal, permission: PermissionName): 'all' | string[] {
  if (principal.kind === 'token') return principal.held.allows(permission) ? [principal.applicationId] : []
  const { everywhere, byApplication } = principal.grants
  if (everywhere.allows(permission)) return 'all'
  return [...byApplication].filter(([, set]) => set.allows(permission)).map(([applicationId]) => applicationId)
}

/**
 * Whether the principal holds all of a set where a role of it would hold: in one application, or, with null,
 * everywhere. A token stands for one application: nothing of it holds everywhere.
 */
export function coversAt (principal: Principal, applicationId: string | null, set: PermissionSet): boolean {
  if (applicationId === null) return principal.kind === 'session' && principal.grants.everywhere.covers(set)
  return permissionsAt(principal, { applicationId }).covers(set.withinApplication())
}

/** Throws ForbiddenError `PERMISSION_NOT_HELD`: `what` says what would be given, taken or ruled over. */
export function authorizeRule (
  principal: Principal, applicationId: string | null, set: PermissionSet, what: string
): void {
  if (!coversAt(principal, applicationId, set)) {
    throw new ForbiddenError(
      'PERMISSION_NOT_HELD',
      `Nobody may give, take or rule over more than they hold${applicationId === null ? ' everywhere' : ''}: ${what}`
    )
  }
}

/** Whether the principal has any business in the application. */
export function reachesApplication (principal: Principal, applicationId: string): boolean {
  if (principal.kind === 'token') return principal.applicationId === applicationId
  return principal.grants.reachesAll || principal.grants.byApplication.has(applicationId)
}

/**
 * Nobody may grant more than they hold: a narrower topic pattern than a held one is fine. A `service` token hands on no
 * more than a `client` may do. With `place.environment`, the grant is pinned to it, and counts for what that leaves of
 * it. Throws ValidationError naming permissions that do not exist, ForbiddenError `PERMISSION_NOT_HELD` naming those
 * that are not held in the application.
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
  if (missing.length > 0) { throw new ForbiddenError('PERMISSION_NOT_HELD', `Nobody may grant more than they hold: ${missing.join(', ')}`) }
}

/** Everything that the principal holds there. */
export function permissionsAt (principal: Principal, { applicationId, environment }: Place): PermissionSet {
  if (principal.kind === 'session') { return principal.grants.byApplication.get(applicationId) ?? principal.grants.everywhere }
  if (principal.applicationId !== applicationId) return PermissionSet.none
  if (principal.environment !== undefined && environment !== undefined && principal.environment !== environment) { return PermissionSet.none }
  return principal.held
}

function grantableAt (principal: Principal, place: Place): PermissionSet {
  const held = permissionsAt(principal, place)
  if (principal.kind === 'session') return held
  const mayPassOnAll = principal.permissions.some(text => text === 'admin' || text === 'tokens:create')
  return mayPassOnAll ? held : principal.permissions.includes('service') ? clientPermissions : PermissionSet.none
}
