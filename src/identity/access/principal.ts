import type { User } from '../../../schemas/auth.ts'
import type { Environment } from '../../../schemas/scope.ts'
import type { PermissionSet } from './permission-set.ts'

/**
 * The session or token that makes a request. `id` identifies it in logs, rate limits and presence; a new token for the
 * same subject has the same `id`.
 */
export type Principal = SessionPrincipal | TokenPrincipal

/** A logged-in user. */
export interface SessionPrincipal {
  readonly kind: 'session'
  readonly id: string
  readonly userId: string
  readonly user: User
  readonly roles: readonly HeldRole[]
  readonly grants: Grants
  /** The hash of the session token, by which sockets are found when the session ends. */
  readonly sessionKey: string
  /** Epoch milliseconds; use extends it. */
  readonly expiresAt: number
}

/** `applicationId` is null if the role is held everywhere. */
export interface HeldRole {
  readonly name: string
  readonly applicationId: string | null
  readonly permissions: PermissionSet
}

/** The permissions of a user's roles. */
export interface Grants {
  readonly everywhere: PermissionSet
  /** Includes the permissions that are held everywhere. */
  readonly byApplication: ReadonlyMap<string, PermissionSet>
  /** Whether a role is held everywhere, which gives access to every application. */
  readonly reachesAll: boolean
}

/** The bearer of a token. It belongs to one application, and to one environment if it is pinned. */
export interface TokenPrincipal {
  readonly kind: 'token'
  readonly id: string
  readonly subject: string
  readonly applicationId: string
  readonly environment: Environment | undefined
  /** The strings in the token. */
  readonly permissions: readonly string[]
  readonly held: PermissionSet
  readonly keyId: string
  /** The hash of the token. */
  readonly tokenKey: string
  /** Epoch milliseconds. */
  readonly expiresAt: number
}

/** Returns the identifier that other clients see: a token's `sub`, or a user's id. */
export const subjectOf = (principal: Principal): string =>
  principal.kind === 'token' ? principal.subject : principal.userId
