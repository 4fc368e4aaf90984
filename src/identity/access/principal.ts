import type { User } from '../../../schemas/auth.ts'
import type { Environment } from '../../../schemas/scope.ts'
import type { PermissionSet } from './permission-set.ts'

/**
 * The session, token or API key that makes a request. `id` identifies it in logs, rate limits and presence; a new token
 * for the same subject has the same `id`.
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

/**
 * The bearer of a token: a JWT, or an API key. It belongs to one application, and to one environment if it is pinned.
 */
export type TokenPrincipal = JwtPrincipal | ApiKeyPrincipal

interface Bearer {
  readonly kind: 'token'
  readonly id: string
  readonly subject: string
  readonly applicationId: string
  readonly environment: Environment | undefined
  /** The strings in the token. */
  readonly permissions: readonly string[]
  readonly held: PermissionSet
  /** Epoch milliseconds. Infinity for an API key that does not expire. */
  readonly expiresAt: number
}

export interface JwtPrincipal extends Bearer {
  readonly credential: 'jwt'
  /** The signing key, with which the token ends. */
  readonly keyId: string
  /** The hash of the token. */
  readonly tokenKey: string
}

/**
 * The bearer of an API key. `held` has those of its permissions that its creator held a moment ago; when the creator
 * loses some, the principal is replaced.
 */
export interface ApiKeyPrincipal extends Bearer {
  readonly credential: 'api-key'
  readonly apiKeyId: string
  readonly name: string
}

/** Returns the identifier that other clients see: a token's `sub`, or a user's id. */
export const subjectOf = (principal: Principal): string =>
  principal.kind === 'token' ? principal.subject : principal.userId

export const isJwt = (principal: Principal): principal is JwtPrincipal =>
  principal.kind === 'token' && principal.credential === 'jwt'

export const isApiKey = (principal: Principal): principal is ApiKeyPrincipal =>
  principal.kind === 'token' && principal.credential === 'api-key'

/** Returns when the credential expires, in epoch milliseconds, or null if it does not. */
export const expiryOf = ({ expiresAt }: Principal): number | null => expiresAt === Infinity ? null : expiresAt
