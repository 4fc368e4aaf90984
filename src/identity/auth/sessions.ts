import { hash, randomBytes } from 'node:crypto'
import { sql, type Kysely, type RawBuilder } from 'kysely'
import type { Database } from '../../../db/tables.ts'
import type { SessionInfo } from '../../../schemas/auth.ts'
import type { Origin } from '../audit/origin.ts'
import { record } from '../audit/record.ts'
import { NotFoundError, UnauthorizedError } from '../../errors.ts'
import { plainText } from '../../foundation/plain-text.ts'
import { rememberNetwork } from './known-networks.ts'
import { PermissionSet, permissionsOfRole } from '../access/permission-set.ts'
import type { Grants, HeldRole, SessionPrincipal } from '../access/principal.ts'

export const sessionPrefix = 'sess_'
const tokenForm = /^sess_[A-Za-z0-9_-]{43}$/
/** Using a session extends it, with at most one write in this time. */
const seenResolutionMs = 60_000

export interface SessionsOptions {
  db: Kysely<Database>
  /** How long a session lasts after its last use. */
  ttlMs: number
  /** The clock that all nodes share: a node whose own clock is ahead must not delete live sessions. */
  now: () => number
}

/** The client of a login. */
export interface Visitor {
  address?: string | null | undefined
  userAgent?: string | null | undefined
}

/** `id` is the one that `list` returns. */
export interface CreatedSession { token: string, id: string, expiresAt: number }

export interface StoredRole {
  name: string
  builtIn: boolean
  permissions: { resource: string, action: string }[]
  applicationId: string | null
}

export type Sessions = ReturnType<typeof createSessions>

/**
 * Sessions of people. A token is returned once and stored as a hash. Nothing is cached, so an ended session or a
 * removed role takes effect with the next request on every node.
 */
export function createSessions ({ db, ttlMs, now: clock }: SessionsOptions) {
  const endedListeners: ((sessionKey: string) => void)[] = []
  const grantsListeners: (() => void)[] = []
  const ended = (hashes: { token_hash: Buffer }[]) => {
    for (const { token_hash: tokenHash } of hashes) {
      for (const listener of endedListeners) listener(tokenHash.toString('base64url'))
    }
  }

  const select = () => db.selectFrom('sessions as s').innerJoin('users as u', 'u.id', 's.user_id')
    .select(['s.token_hash', 's.expires_at', 's.seen_at', 's.ends_at', 'u.id', 'u.email', 'u.name'])
    .select(rolesOf(sql.ref('u.id')).as('roles'))

  return {
    /** Returns the token, which is stored nowhere. Also deletes expired sessions. */
    async create (userId: string, visitor: Visitor): Promise<CreatedSession> {
      await sweep()
      return await insert(db, userId, visitor)
    },

    /**
     * Creates a session in a transaction that locks the user (`holdUser`), without deleting expired sessions. A session
     * with `isFinal` is not extended by its use.
     */
    createWithin: insert,

    /** Deletes expired sessions. */
    sweep,

    /**
     * Returns the principal of a session token, and extends the session. Throws UnauthorizedError `CREDENTIAL_INVALID`.
     */
    async authenticate (token: string): Promise<SessionPrincipal> {
      if (!tokenForm.test(token)) throw invalid()
      const tokenHash = hashOf(token)
      const now = Date.now()
      const row = await select().where('s.token_hash', '=', tokenHash).where('s.expires_at', '>', now)
        .executeTakeFirst()
      if (row === undefined) throw invalid()
      return toPrincipal(
        row, now - row.seen_at < seenResolutionMs ? row.expires_at : await extend(tokenHash, now, row.ends_at)
      )
    },

    /**
     * Returns the principals of the given sessions that have not ended, by key, without extending them. Sockets compare
     * their own with these.
     */
    async living (sessionKeys: string[]): Promise<Map<string, SessionPrincipal>> {
      const hashes = sessionKeys.map(key => Buffer.from(key, 'base64url'))
      const rows = await select().where(sql<boolean>`s.token_hash = any(${hashes}::bytea[])`).where(
        's.expires_at',
        '>',
        Date.now()
      ).execute()
      return new Map(rows.map(row => [row.token_hash.toString('base64url'), toPrincipal(row, row.expires_at)]))
    },

    /** Returns the sessions of a user, last used first. */
    async list (userId: string, currentKey: string): Promise<SessionInfo[]> {
      const rows = await db.selectFrom('sessions').selectAll().where('user_id', '=', userId).where(
        'expires_at', '>', Date.now()
      ).orderBy('seen_at', 'desc').execute()
      return rows.map(row => ({
        id: idOf(row.token_hash),
        current: row.token_hash.toString('base64url') === currentKey,
        address: row.address,
        userAgent: row.user_agent,
        createdAt: row.created_at,
        seenAt: row.seen_at,
        expiresAt: row.expires_at
      }))
    },

    /** Ends a session of a user, by its id. Throws NotFoundError `SESSION_NOT_FOUND`. */
    async endOne (userId: string, id: string, by: Origin): Promise<void> {
      const rows = await db.selectFrom('sessions').select('token_hash').where('user_id', '=', userId).execute()
      const [meant] = rows.filter(row => idOf(row.token_hash) === id)
      if (meant === undefined) throw new NotFoundError('SESSION_NOT_FOUND', `Session not found: ${id}`)
      await end(userId, meant.token_hash, 'user.session_ended', by)
    },

    /** Ends the session of a principal who logs out. */
    async end ({ userId, sessionKey }: Pick<SessionPrincipal, 'userId' | 'sessionKey'>, by: Origin): Promise<void> {
      await end(userId, Buffer.from(sessionKey, 'base64url'), 'user.logged_out', by)
    },

    /** Ends every session of a user. */
    async endAll (userId: string): Promise<void> {
      ended(await db.deleteFrom('sessions').where('user_id', '=', userId).returning('token_hash').execute())
    },

    /**
     * Ends every session of a user in a transaction. Call the returned function after the commit: it closes the
     * sockets.
     */
    async endAllWithin (trx: Kysely<Database>, userId: string): Promise<() => void> {
      const hashes = await trx.deleteFrom('sessions').where('user_id', '=', userId).returning('token_hash').execute()
      return () => ended(hashes)
    },

    /** Calls back with the key of each session that is ended on this node, so that its sockets can be closed. */
    onEnded (listener: (sessionKey: string) => void): void {
      endedListeners.push(listener)
    },

    /**
     * Call after roles or their assignments have changed, so that open sockets follow. Requests read roles each time.
     */
    grantsChanged (): void {
      for (const listener of grantsListeners) listener()
    },

    onGrantsChanged (listener: () => void): void {
      grantsListeners.push(listener)
    }
  }

  async function end (
    userId: string, tokenHash: Buffer, action: 'user.session_ended' | 'user.logged_out', by: Origin
  ): Promise<void> {
    ended(
      await db.transaction().execute(async trx => {
        const gone = await trx.deleteFrom('sessions').where('token_hash', '=', tokenHash).returning('token_hash')
          .execute()
        // Another request may already have ended the session.
        if (gone.length > 0) {
          await record(trx, by, { action, resourceId: userId, details: { session: idOf(tokenHash) } })
        }
        return gone
      })
    )
  }

  async function sweep (): Promise<void> {
    await db.deleteFrom('sessions').where('expires_at', '<=', clock()).execute()
  }

  async function insert (
    trx: Kysely<Database>, userId: string, { address, userAgent }: Visitor,
    { isFinal = false }: { isFinal?: boolean } = {}
  ): Promise<CreatedSession> {
    const token = `${sessionPrefix}${randomBytes(32).toString('base64url')}`
    const tokenHash = hashOf(token)
    const now = Date.now()
    const expiresAt = now + ttlMs
    await trx.insertInto('sessions').values({
      token_hash: tokenHash,
      user_id: userId,
      created_at: now,
      expires_at: expiresAt,
      seen_at: now,
      address: storable(address, 100),
      user_agent: storable(userAgent, 500),
      ends_at: isFinal ? expiresAt : null
    }).execute()
    await rememberNetwork(trx, userId, address ?? undefined)
    return { token, id: idOf(tokenHash), expiresAt }
  }

  async function extend (tokenHash: Buffer, now: number, endsAt: number | null): Promise<number> {
    const expiresAt = Math.min(now + ttlMs, endsAt ?? Infinity)
    await db.updateTable('sessions').set({ seen_at: now, expires_at: expiresAt })
      .where('token_hash', '=', tokenHash).where('seen_at', '<=', now - seenResolutionMs).execute()
    return expiresAt
  }
}

const invalid = () =>
  new UnauthorizedError('CREDENTIAL_INVALID', 'The credential is not valid: the session is unknown or has ended')

const hashOf = (token: string): Buffer => hash('sha256', token, 'buffer')

const storable = (text: string | null | undefined, lengthMax: number): string | null =>
  text === undefined || text === null ? null : plainText(text, lengthMax)

/** Names a session to its owner. It is part of the key, and not a credential. */
const idOf = (tokenHash: Buffer): string => `sess_${tokenHash.toString('base64url').slice(0, 16)}`

/** Selects the roles of a user as a column of a query. */
export const rolesOf = (userId: RawBuilder<unknown>) => sql<StoredRole[]>`(
  select coalesce(jsonb_agg(
    jsonb_build_object(
      'name', r.name, 'builtIn', r.built_in, 'permissions', r.permissions, 'applicationId', a.application_id)
    order by r.name, a.application_id), '[]')
  from role_assignments a join roles r on r.id = a.role_id where a.user_id = ${userId})`

/** Returns the current permissions of a user's roles, or undefined if the user does not exist. */
export async function grantsOf (db: Kysely<Database>, userId: string): Promise<Grants | undefined> {
  const row = await db.selectFrom('users as u').select(rolesOf(sql.ref('u.id')).as('roles')).where('u.id', '=', userId)
    .executeTakeFirst()
  return row && grantsOfRoles(row.roles)
}

/** Returns the current permissions of roles that `rolesOf` selected. */
export const grantsOfRoles = (roles: readonly StoredRole[]): Grants => toGrants(roles.map(toHeldRole))

interface SessionRow { token_hash: Buffer, id: string, email: string, name: string, roles: StoredRole[] }

function toPrincipal (row: SessionRow, expiresAt: number): SessionPrincipal {
  const roles = row.roles.map(toHeldRole)
  return {
    kind: 'session',
    id: row.id,
    userId: row.id,
    user: { id: row.id, email: row.email, name: row.name },
    roles,
    grants: toGrants(roles),
    sessionKey: row.token_hash.toString('base64url'),
    expiresAt
  }
}

const toHeldRole = ({ name, builtIn, permissions, applicationId }: StoredRole): HeldRole =>
  ({ name, applicationId, permissions: permissionsOfRole({ name, isBuiltIn: builtIn, permissions }) })

/**
 * Combines roles into permissions. A role for one application adds to the permissions that are held everywhere, but
 * grants nothing outside that application.
 */
export function toGrants (roles: readonly HeldRole[]): Grants {
  const global = roles.filter(role => role.applicationId === null)
  const everywhere = global.reduce(
    (union, role) => union === PermissionSet.none ? role.permissions : union.union(role.permissions), PermissionSet.none
  )
  const byApplication = new Map<string, PermissionSet>()
  for (const { applicationId, permissions } of roles) {
    if (applicationId === null) continue
    byApplication.set(
      applicationId, (byApplication.get(applicationId) ?? everywhere).union(permissions.withinApplication())
    )
  }
  return { everywhere, byApplication, reachesAll: global.length > 0 }
}
