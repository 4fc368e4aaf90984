import { sql, type Kysely, type Selectable } from 'kysely'
import type { ApiKeysTable, Database } from '../../../db/tables.ts'
import {
  apiKeyList, type ApiKey, type ApiKeyCreate, type ApiKeyCreated, type ApiKeyQuery
} from '../../../schemas/api-keys.ts'
import type { Scope } from '../../../schemas/scope.ts'
import type { Origin } from '../audit/origin.ts'
import { record, recordAll } from '../audit/record.ts'
import { authorizeGrant } from '../access/permissions.ts'
import { parsePermissions } from '../access/permission-set.ts'
import type { Principal, SessionPrincipal } from '../access/principal.ts'
import { ConflictError, ForbiddenError, NotFoundError, UnauthorizedError, ValidationError } from '../../errors.ts'
import { randomId } from '../../foundation/ids.ts'
import { pageOfItems } from '../../foundation/lists/item-page.ts'
import type { PageOf } from '../../foundation/paging.ts'
import { generateApiKey, hashOfApiKey, shownPartOf } from './api-key-text.ts'
import { heldBy, type ApiKeys } from './api-keys.ts'
import { rolesOf, type StoredRole } from './sessions.ts'
import { holdUser } from './users.ts'

/** Few enough that a list reads all of them. */
export const apiKeysPerApplicationMax = 200
/** An expired key stays listed for this time. */
const expiredKeptMs = 30 * 24 * 3_600_000

export type ApiKeyAdmin = ReturnType<typeof createApiKeyAdmin>

type Row = Selectable<ApiKeysTable> & { roles: StoredRole[] }

/**
 * Lists, creates and revokes the API keys of an application, for all its environments together. A key acts for the user
 * who created it, so only sessions create keys: a token has no user whose rights could be looked up later, and a key
 * that it created would outlive it.
 */
export function createApiKeyAdmin ({ db, keys }: { db: Kysely<Database>, keys: ApiKeys }) {
  const selectAll = (db: Kysely<Database>) =>
    db.selectFrom('api_keys as k').selectAll('k').select(rolesOf(sql.ref('k.created_by')).as('roles'))
  const select = (db: Kysely<Database>, applicationId: string) =>
    selectAll(db).where('k.application_id', '=', applicationId)
  const selectOwn = (db: Kysely<Database>, userId: string) => selectAll(db).where('k.created_by', '=', userId)

  /** Reads all keys, because whether one is active follows from roles, which are not compared in SQL. */
  async function page (
    selected: ReturnType<typeof selectAll>, { active, environment, ...query }: ApiKeyQuery
  ): Promise<PageOf<ApiKey>> {
    const keys = (await selected.execute()).map(toApiKey).filter(key =>
      (active === undefined || key.active === active) &&
      (environment === undefined || key.environment === environment)
    )
    return pageOfItems(keys, apiKeyList, query, {
      valuesOf: key => ({ ...key, name: key.name.toLowerCase() }), idOf: ({ id }) => id
    })
  }

  /** Revokes the key of a selection. Throws NotFoundError `API_KEY_NOT_FOUND`. */
  async function revoke (
    selection: (trx: Kysely<Database>) => ReturnType<typeof selectAll>, id: string, by: Origin
  ): Promise<void> {
    await db.transaction().execute(async trx => {
      const row = await selection(trx).where('k.id', '=', id).forUpdate('k').executeTakeFirst()
      if (row === undefined) throw new NotFoundError('API_KEY_NOT_FOUND', `API key not found: ${id}`)
      await removeAll(trx, [row], by)
    })
    keys.revoked(id)
  }

  return {
    async list ({ applicationId }: Scope, query: ApiKeyQuery): Promise<PageOf<ApiKey>> {
      return await page(select(db, applicationId), query)
    },

    /**
     * Returns a page of the keys that the calling user has created, in all applications. Throws ForbiddenError
     * `SESSION_REQUIRED` for a token or a key.
     */
    async listOwn (principal: Principal, query: ApiKeyQuery): Promise<PageOf<ApiKey>> {
      return await page(selectOwn(db, requireSession(principal, onlySessionsOwnKeys).userId), query)
    },

    /**
     * Creates a key. Only this answer contains it. Throws ForbiddenError `SESSION_REQUIRED` for a token or a key, and
     * `PERMISSION_NOT_HELD`, ConflictError `API_KEY_LIMIT`, ValidationError.
     */
    async create (principal: Principal, scope: Scope, input: ApiKeyCreate, by: Origin): Promise<ApiKeyCreated> {
      const { userId } = requireSession(principal, onlySessionsCreateKeys)
      const { applicationId } = scope
      const { name, permissions, environment, expiresAt } = input
      const place = { applicationId, ...(environment !== undefined && { environment }) }
      const now = Date.now()
      if (expiresAt !== undefined && expiresAt <= now) throw invalid('/expiresAt', 'must be in the future')
      authorizeGrant(principal, place, permissions)
      requireUsable(permissions)
      if (environment !== undefined && parsePermissions(permissions).withinEnvironment().isEmpty) {
        throw invalid('/permissions', `must have one for ${environment}: the others belong to no environment`)
      }
      const key = generateApiKey()
      const row = await db.transaction().execute(async trx => {
        await requireRoom(trx, applicationId, now)
        if (await holdUser(trx, userId) === undefined) {
          throw new UnauthorizedError('CREDENTIAL_INVALID', 'The credential is not valid: its user was deleted')
        }
        const { id } = await trx.insertInto('api_keys').values({
          id: randomId('apk'),
          key_hash: hashOfApiKey(key),
          application_id: applicationId,
          environment: environment ?? null,
          name,
          prefix: shownPartOf(key),
          permissions,
          created_by: userId,
          created_at: now,
          expires_at: expiresAt ?? null,
          last_used_at: null
        }).returning('id').executeTakeFirstOrThrow()
        const row = await select(trx, applicationId).where('k.id', '=', id).executeTakeFirstOrThrow()
        await record(trx, by, { action: 'api_key.created', resourceId: id, place, after: toApiKey(row) })
        return row
      })
      return { ...toApiKey(row), key }
    },

    /**
     * Deletes a key: it is refused from now on, and its sockets are closed. Throws NotFoundError `API_KEY_NOT_FOUND`.
     */
    async revoke ({ applicationId }: Scope, id: string, by: Origin): Promise<void> {
      await revoke(trx => select(trx, applicationId), id, by)
    },

    /**
     * Deletes a key that the calling user has created. Throws NotFoundError `API_KEY_NOT_FOUND`, ForbiddenError
     * `SESSION_REQUIRED` for a token or a key.
     */
    async revokeOwn (principal: Principal, id: string, by: Origin): Promise<void> {
      const { userId } = requireSession(principal, onlySessionsOwnKeys)
      await revoke(trx => selectOwn(trx, userId), id, by)
    },

    /**
     * Deletes all keys that a user has created, in a transaction. Call the returned function after the commit: it
     * closes the sockets.
     */
    async revokeAllOf (trx: Kysely<Database>, userId: string, by: Origin): Promise<() => void> {
      const rows = await selectOwn(trx, userId).orderBy('k.id').forUpdate('k').execute()
      await removeAll(trx, rows, by)
      return () => { for (const { id } of rows) keys.revoked(id) }
    }
  }
}

async function removeAll (trx: Kysely<Database>, rows: readonly Row[], by: Origin): Promise<void> {
  await trx.deleteFrom('api_keys').where(sql<boolean>`id = any(${rows.map(({ id }) => id)})`).execute()
  await recordAll(trx, by, rows.map(row => {
    const before = toApiKey(row)
    const { id, applicationId, environment } = before
    const place = { applicationId, ...(environment !== null && { environment }) }
    return { action: 'api_key.revoked', resourceId: id, place, before }
  }))
}

const onlySessionsCreateKeys =
  'An API key acts for the user who creates it, and a token has no user. Log in to create one'
const onlySessionsOwnKeys = 'A token has no API keys of its own. Log in to see those that you have created'

function requireSession (principal: Principal, message: string): SessionPrincipal {
  if (principal.kind === 'session') return principal
  throw new ForbiddenError('SESSION_REQUIRED', message)
}

/** Throws ValidationError if a permission grants nothing to a key. A level counts by the part that a key may have. */
function requireUsable (permissions: readonly string[]): void {
  const i = permissions.findIndex(text => parsePermissions([text]).withinApiKey().isEmpty)
  if (i === -1) return
  throw invalid(
    `/permissions/${i}`, `must be a permission that an API key may have: it cannot change accounts (${permissions[i]})`
  )
}

/** Locks the application, so that concurrent requests cannot exceed the limit. */
async function requireRoom (trx: Kysely<Database>, applicationId: string, now: number): Promise<void> {
  const application = await trx.selectFrom('applications').select('id').where('id', '=', applicationId)
    .forNoKeyUpdate().executeTakeFirst()
  if (application === undefined) {
    throw new NotFoundError('APPLICATION_NOT_FOUND', `Application not found: ${applicationId}`)
  }
  await trx.deleteFrom('api_keys').where('application_id', '=', applicationId)
    .where('expires_at', '<', now - expiredKeptMs).execute()
  const { count } = await trx.selectFrom('api_keys').select(({ fn }) => fn.countAll<number>().as('count'))
    .where('application_id', '=', applicationId).executeTakeFirstOrThrow()
  if (count >= apiKeysPerApplicationMax) {
    throw new ConflictError(
      'API_KEY_LIMIT',
      `The application has ${count} API keys, and at most ${apiKeysPerApplicationMax} are allowed. Revoke one first`
    )
  }
}

const invalid = (path: string, message: string) =>
  new ValidationError('VALIDATION_FAILED', `The body ${path} ${message}`, { details: [{ path, message }] })

const toApiKey = (row: Row): ApiKey => ({
  id: row.id,
  name: row.name,
  prefix: row.prefix,
  applicationId: row.application_id,
  environment: row.environment,
  permissions: row.permissions,
  active: !heldBy(row).isEmpty,
  createdBy: row.created_by,
  createdAt: row.created_at,
  expiresAt: row.expires_at,
  lastUsedAt: row.last_used_at
})
