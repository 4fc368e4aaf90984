import { hash, randomBytes } from 'node:crypto'
import { sql, type Kysely } from 'kysely'
import type { Database } from '../../db/tables.ts'
import { UnauthorizedError } from '../errors.ts'
import { PermissionSet, permissionsOfRole } from './permission-set.ts'
import type { Grants, HeldRole, SessionPrincipal } from './principal.ts'

export const sessionPrefix = 'sess_'
const tokenForm = /^sess_[A-Za-z0-9_-]{43}$/
/** Use moves the end of a session on, with at most one write in this time. */
const seenResolutionMs = 60_000

export interface SessionsOptions {
  db: Kysely<Database>
  /** A session's life since it was last used. */
  ttlMs: number
}

/** Where somebody logged in from. */
export interface Visitor {
  address: string | undefined
  userAgent: string | undefined
}

interface StoredRole {
  name: string
  builtIn: boolean
  permissions: { resource: string, action: string }[]
  applicationId: string | null
}

export type Sessions = ReturnType<typeof createSessions>

/**
 * Sessions of people. The token is shown once and stored as its hash. Nothing is cached: a session that ended, and
 * a role that was taken away, is so on every node with the next request.
 */
export function createSessions ({ db, ttlMs }: SessionsOptions) {
  const endedListeners: ((sessionKey: string) => void)[] = []
  const ended = (hashes: { token_hash: Buffer }[]) => {
    for (const { token_hash: tokenHash } of hashes) for (const listener of endedListeners) listener(tokenHash.toString('base64url'))
  }

  return {
    /** Answers the token, which is stored nowhere. Sessions that are over are swept on the way. */
    async create (userId: string, { address, userAgent }: Visitor): Promise<{ token: string, expiresAt: number }> {
      const token = `${sessionPrefix}${randomBytes(32).toString('base64url')}`
      const now = Date.now()
      const expiresAt = now + ttlMs
      await db.deleteFrom('sessions').where('expires_at', '<=', now).execute()
      await db.insertInto('sessions').values({
        token_hash: hashOf(token),
        user_id: userId,
        created_at: now,
        expires_at: expiresAt,
        seen_at: now,
        address: storable(address, 100),
        user_agent: storable(userAgent, 500)
      }).execute()
      return { token, expiresAt }
    },

    /** Throws UnauthorizedError `CREDENTIAL_INVALID`. */
    async authenticate (token: string): Promise<SessionPrincipal> {
      if (!tokenForm.test(token)) throw invalid()
      const tokenHash = hashOf(token)
      const now = Date.now()
      const row = await db.selectFrom('sessions as s').innerJoin('users as u', 'u.id', 's.user_id')
        .select(['s.expires_at', 's.seen_at', 'u.id', 'u.email', 'u.name'])
        .select(sql<StoredRole[]>`(
          select coalesce(jsonb_agg(jsonb_build_object('name', r.name, 'builtIn', r.built_in, 'permissions', r.permissions, 'applicationId', a.application_id)
            order by r.name, a.application_id), '[]')
          from role_assignments a join roles r on r.id = a.role_id where a.user_id = u.id)`.as('roles'))
        .where('s.token_hash', '=', tokenHash).where('s.expires_at', '>', now).executeTakeFirst()
      if (row === undefined) throw invalid()
      const expiresAt = now - row.seen_at < seenResolutionMs ? row.expires_at : await extend(tokenHash, now)
      const roles = row.roles.map(toHeldRole)
      return {
        kind: 'session',
        id: row.id,
        userId: row.id,
        user: { id: row.id, email: row.email, name: row.name },
        roles,
        grants: toGrants(roles),
        sessionKey: tokenHash.toString('base64url'),
        expiresAt
      }
    },

    /** Ends one session, by its principal's key. */
    async end (sessionKey: string): Promise<void> {
      ended(await db.deleteFrom('sessions').where('token_hash', '=', Buffer.from(sessionKey, 'base64url')).returning('token_hash').execute())
    },

    /** Ends every session of a user. */
    async endAll (userId: string): Promise<void> {
      ended(await db.deleteFrom('sessions').where('user_id', '=', userId).returning('token_hash').execute())
    },

    /** Calls back with the key of each session that is ended on this node, so that its sockets can be closed. */
    onEnded (listener: (sessionKey: string) => void): void {
      endedListeners.push(listener)
    }
  }

  async function extend (tokenHash: Buffer, now: number): Promise<number> {
    const expiresAt = now + ttlMs
    await db.updateTable('sessions').set({ seen_at: now, expires_at: expiresAt })
      .where('token_hash', '=', tokenHash).where('seen_at', '<=', now - seenResolutionMs).execute()
    return expiresAt
  }
}

const invalid = () => new UnauthorizedError('CREDENTIAL_INVALID', 'The credential is not valid: the session is unknown or over')

const hashOf = (token: string): Buffer => hash('sha256', token, 'buffer')

/** PostgreSQL refuses NUL in text. */
const storable = (text: string | undefined, lengthMax: number): string | null => text?.replaceAll('\0', '').slice(0, lengthMax) ?? null

const toHeldRole = ({ name, builtIn, permissions, applicationId }: StoredRole): HeldRole =>
  ({ name, applicationId, permissions: permissionsOfRole({ name, isBuiltIn: builtIn, permissions }) })

/** What roles come to: a role for one application adds to what is held everywhere, but gives nothing beyond that application. */
export function toGrants (roles: readonly HeldRole[]): Grants {
  const global = roles.filter(role => role.applicationId === null)
  const everywhere = global.reduce((union, role) => union === PermissionSet.none ? role.permissions : union.union(role.permissions), PermissionSet.none)
  const byApplication = new Map<string, PermissionSet>()
  for (const { applicationId, permissions } of roles) {
    if (applicationId === null) continue
    byApplication.set(applicationId, (byApplication.get(applicationId) ?? everywhere).union(permissions.withinApplication()))
  }
  return { everywhere, byApplication, reachesAll: global.length > 0 }
}
