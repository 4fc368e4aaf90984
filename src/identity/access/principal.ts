import type { User } from '../../../schemas/auth.ts'
import type { Environment } from '../../../schemas/scope.ts'
import type { PermissionSet } from './permission-set.ts'

/** Who asks. `id` names them in logs, rate limits and presence; a fresh token for the same subject has the same one. */
export type Principal = SessionPrincipal | TokenPrincipal

/** Somebody who logged in. */
export interface SessionPrincipal {
  readonly kind: 'session'
  readonly id: string
  readonly userId: string
  readonly user: User
  readonly roles: readonly HeldRole[]
  readonly grants: Grants
  /** The hash of the session token: what its sockets are known by when it ends. */
  readonly sessionKey: string
  /** Epoch milliseconds; use moves it on. */
  readonly expiresAt: number
}

/** `applicationId` null: held everywhere. */
export interface HeldRole {
  readonly name: string
  readonly applicationId: string | null
  readonly permissions: PermissionSet
}

/** What a user's roles come to. */
export interface Grants {
  readonly everywhere: PermissionSet
  /** Includes what is held everywhere. */
  readonly byApplication: ReadonlyMap<string, PermissionSet>
  /** Whether a role is held everywhere, so that every application is reached. */
  readonly reachesAll: boolean
}

/** The bearer of a token: of one application, and of one environment when it is pinned to it. */
export interface TokenPrincipal {
  readonly kind: 'token'
  readonly id: string
  readonly subject: string
  readonly applicationId: string
  readonly environment: Environment | undefined
  /** As the token carries them. */
  readonly permissions: readonly string[]
  readonly held: PermissionSet
  readonly keyId: string
  /** The hash of the token. */
  readonly tokenKey: string
  /** Epoch milliseconds. */
  readonly expiresAt: number
}

/** What others know a principal by: a token's `sub`, a user's id. */
export const subjectOf = (principal: Principal): string =>
  principal.kind === 'token' ? principal.subject : principal.userId
