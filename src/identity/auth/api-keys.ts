import { sql, type Kysely } from 'kysely'
import { LRUCache } from 'lru-cache'
import type { Database } from '../../../db/tables.ts'
import type { Environment } from '../../../schemas/scope.ts'
import { BackgroundWriter } from '../../foundation/batching/background-writer.ts'
import { createBatchLoader } from '../../foundation/batching/batch-loader.ts'
import { parsePermissions, PermissionSet } from '../access/permission-set.ts'
import type { ApiKeyPrincipal } from '../access/principal.ts'
import { hashOfApiKey, isApiKey } from './api-key-text.ts'
import { invalidCredential } from './claims.ts'
import { grantsOfRoles, rolesOf, type StoredRole } from './sessions.ts'

export interface ApiKeysOptions {
  db: Kysely<Database>
  log: { warn (fields: object, message: string): void }
}

/** How long a node may accept a key after another node has revoked it, or after its creator has lost permissions. */
const believedMs = 1000
/** About 1 KB each with its principal. */
const cachedKeysMax = 20_000
/** `lastUsedAt` is written at most once in this time, per key and node. */
const useResolutionMs = 60_000
/** Keys whose use one statement stores. */
const usesAtOnce = 1000

/**
 * Authenticates API keys. A key has those of its permissions that its creator holds at the moment, and never one to
 * change users, roles or invites. It ends when it expires, when it is revoked, and when it has no permission left.
 *
 * A key is cached for a second by its hash, so that requests with it cost as much as requests with a token. Changes on
 * this node, and those that other nodes announce, clear the cache.
 */
export class ApiKeys {
  readonly #db: Kysely<Database>
  readonly #log: ApiKeysOptions['log']
  readonly #known = new LRUCache<string, ApiKeyPrincipal>({ max: cachedKeysMax, ttl: believedMs })
  /** Raised when the cache is cleared, so that a query from before does not fill it. */
  #generation = 0
  readonly #load: (keyHash: Buffer) => Promise<ApiKeyPrincipal | undefined>
  readonly #revokedListeners: ((id: string) => void)[] = []
  /** When the use of a key was last recorded. */
  readonly #recorded = new LRUCache<string, number>({ max: cachedKeysMax })
  #uses = new Map<string, number>()
  readonly #writer = new BackgroundWriter(() => this.#writeUses())

  constructor ({ db, log }: ApiKeysOptions) {
    this.#db = db
    this.#log = log
    this.#load = createBatchLoader<Buffer, ApiKeyPrincipal | undefined>({
      nameOf,
      load: async hashes => {
        const found = await findPrincipals(db, sql<boolean>`k.key_hash = any(${hashes}::bytea[])`)
        const byHash = new Map(found.map(({ keyHash, principal }) => [nameOf(keyHash), principal]))
        return hashes.map(keyHash => byHash.get(nameOf(keyHash)))
      }
    })
  }

  /** Returns the principal of a valid key, if it is cached. */
  peek (text: string): ApiKeyPrincipal | undefined {
    const known = this.#known.get(nameOf(hashOfApiKey(text)))
    return known !== undefined && isUnexpired(known) ? known : undefined
  }

  /** Returns the principal of a key. Rejects with UnauthorizedError `CREDENTIAL_INVALID`. */
  async authenticate (text: string): Promise<ApiKeyPrincipal> {
    const keyHash = hashOfApiKey(text)
    const principal = this.#known.get(nameOf(keyHash)) ?? await this.#find(text, keyHash)
    if (!isUnexpired(principal)) throw invalidCredential('the API key has expired')
    return principal
  }

  async #find (text: string, keyHash: Buffer): Promise<ApiKeyPrincipal> {
    if (!isApiKey(text)) throw invalidCredential('the API key is malformed or mistyped')
    const generation = this.#generation
    const principal = await this.#load(keyHash)
    if (principal === undefined) throw invalidCredential('the API key is unknown, or has ended')
    if (generation === this.#generation) this.#known.set(nameOf(keyHash), principal)
    this.#use(principal.apiKeyId)
    return principal
  }

  /** Returns the principals of the given keys that have not ended, by id. Sockets compare their own with these. */
  async living (ids: string[]): Promise<Map<string, ApiKeyPrincipal>> {
    const found = await findPrincipals(this.#db, sql<boolean>`k.id = any(${ids})`)
    for (const { principal } of found) this.#use(principal.apiKeyId)
    return new Map(found.map(({ principal }) => [principal.apiKeyId, principal]))
  }

  /** Call it after a key has been revoked, and its revocation is committed. */
  revoked (id: string): void {
    this.forget()
    for (const listener of this.#revokedListeners) listener(id)
  }

  /** Calls back with the id of each key that is revoked on this node. */
  onRevoked (listener: (id: string) => void): void {
    this.#revokedListeners.push(listener)
  }

  /** Clears the cache. Call it after a change of roles, users or applications, and after a revocation elsewhere. */
  forget (): void {
    this.#generation++
    this.#known.clear()
  }

  /** Stores the last uses. */
  async close (): Promise<void> {
    await this.#writer.close()
  }

  #use (id: string): void {
    const now = Date.now()
    if (now - (this.#recorded.get(id) ?? 0) < useResolutionMs) return
    this.#recorded.set(id, now)
    this.#uses.set(id, now)
    this.#writer.schedule()
  }

  /** A failure never reaches a request: the uses are written later. */
  async #writeUses (): Promise<void> {
    const uses = this.#uses
    this.#uses = new Map()
    try {
      for (const part of parts([...uses], usesAtOnce)) await storeUses(this.#db, part)
      this.#writer.isFailing = false
    } catch (err) {
      if (!this.#writer.isFailing) this.#log.warn({ err, keys: uses.size }, 'api_keys.uses_not_stored')
      this.#writer.isFailing = true
      for (const [id, at] of uses) if (!this.#uses.has(id)) this.#uses.set(id, at)
      this.#writer.schedule()
    }
  }
}

/** Returns the principal of a key that has not ended, from the database. */
export async function findApiKey (db: Kysely<Database>, id: string): Promise<ApiKeyPrincipal | undefined> {
  const [found] = await findPrincipals(db, sql<boolean>`k.id = ${id}`)
  return found?.principal
}

/** The columns that decide what a key may do. */
export interface ApiKeyRights {
  application_id: string
  environment: Environment | null
  permissions: string[]
  expires_at: number | null
  /** The roles of the creator. */
  roles: StoredRole[]
}

/** Returns what a key may do now: the part of its permissions that its creator holds. Empty if the key has ended. */
export function heldBy (
  { application_id: applicationId, environment, permissions, expires_at: expiresAt, roles }: ApiKeyRights
): PermissionSet {
  if (expiresAt !== null && expiresAt <= Date.now()) return PermissionSet.none
  const { byApplication, everywhere } = grantsOfRoles(roles)
  const held = parsePermissions(permissions).withinApiKey()
    .intersection(byApplication.get(applicationId) ?? everywhere)
  return environment === null ? held : held.withinEnvironment()
}

async function findPrincipals (db: Kysely<Database>, isMeant: ReturnType<typeof sql<boolean>>) {
  const rows = await db.selectFrom('api_keys as k')
    .select(['k.id', 'k.key_hash', 'k.application_id', 'k.environment', 'k.name', 'k.permissions', 'k.expires_at'])
    .select(rolesOf(sql.ref('k.created_by')).as('roles'))
    .where(isMeant).execute()
  return rows.flatMap(row => {
    const held = heldBy(row)
    if (held.isEmpty) return []
    const principal: ApiKeyPrincipal = {
      kind: 'token',
      credential: 'api-key',
      id: row.id,
      subject: row.id,
      applicationId: row.application_id,
      environment: row.environment ?? undefined,
      permissions: row.permissions,
      held,
      apiKeyId: row.id,
      name: row.name,
      expiresAt: row.expires_at ?? Infinity
    }
    return [{ keyHash: row.key_hash, principal }]
  })
}

/** Skips rows that another transaction holds, so that it never waits: a deletion of users locks them in any order. */
async function storeUses (db: Kysely<Database>, uses: [id: string, at: number][]): Promise<void> {
  const [ids, times] = [uses.map(([id]) => id), uses.map(([, at]) => at)]
  await sql`
    with used as (select * from unnest(${ids}::text[], ${times}::bigint[]) as u(id, at)),
      free as (select id from api_keys where id = any(${ids}) for no key update skip locked)
    update api_keys as k set last_used_at = used.at from used join free using (id)
    where k.id = used.id and (k.last_used_at is null or k.last_used_at < used.at)`.execute(db)
}

const isUnexpired = (principal: ApiKeyPrincipal): boolean => principal.expiresAt > Date.now()

/** The name of a key in the caches. */
const nameOf = (keyHash: Buffer): string => keyHash.toString('base64url')

function * parts<T> (items: T[], size: number): Iterable<T[]> {
  for (let i = 0; i < items.length; i += size) yield items.slice(i, i + size)
}
