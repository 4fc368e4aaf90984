import type { Kysely, Selectable } from 'kysely'
import type { Database, SigningKeysTable } from '../../../db/tables.ts'
import { keyList, type KeyCreated, type KeyQuery, type SigningKeyInfo } from '../../../schemas/keys.ts'
import type { Origin } from '../audit/origin.ts'
import { record } from '../audit/record.ts'
import type { Encryption } from '../../foundation/encryption/encryption.ts'
import { ConflictError, ForbiddenError, NotFoundError } from '../../errors.ts'
import { pageOfItems } from '../../foundation/lists/item-page.ts'
import type { PageOf } from '../../foundation/paging.ts'
import { openSecret, type Algorithm } from './key-material.ts'
import { parsePermissions } from '../access/permission-set.ts'
import { coversAt } from '../access/permissions.ts'
import type { Principal } from '../access/principal.ts'
import { insertSigningKey, lockSigningKeys, type SigningKeys } from './signing-keys.ts'

type Row = Selectable<SigningKeysTable>

export type KeyAdmin = ReturnType<typeof createKeyAdmin>

/**
 * Lists and changes the signing keys. One key is always active: the last active key cannot be deactivated, and revoking
 * it creates a replacement in the same transaction. A change takes effect on this node before the function returns, on
 * the others after a notice or their next poll.
 *
 * The keys sign for every application, so they belong to the platform: only sessions list and change them, whatever
 * permissions a token has. A secret allows its reader to sign tokens of every application, so it is returned only to a
 * session that holds all permissions everywhere. Each function throws ForbiddenError `SESSION_REQUIRED` for a token.
 */
export function createKeyAdmin (
  { db, encryption, keys, onChanged }: {
    db: Kysely<Database>
    encryption: Encryption
    keys: SigningKeys
    onChanged: () => void
  }
) {
  async function change<T> (work: (trx: Kysely<Database>) => Promise<T>): Promise<T> {
    const result = await db.transaction().execute(async trx => {
      await lockSigningKeys(trx)
      return await work(trx)
    })
    onChanged()
    await keys.refresh()
    return result
  }

  const toInfo = (row: Row): SigningKeyInfo => ({
    keyId: row.id,
    algorithm: row.algorithm as Algorithm,
    active: row.active,
    createdAt: row.created_at,
    deactivatedAt: row.deactivated_at,
    ...publicOf(row)
  })

  function publicOf (row: Row): { publicKey?: Record<string, unknown> } {
    if (row.algorithm === 'HS256') return {}
    const known = keys.jwks().keys.find(({ kid }) => kid === row.id)
    return known === undefined ? {} : { publicKey: known }
  }

  const toCreated = (principal: Principal, { row, secret }: { row: Row, secret: string }): KeyCreated => {
    const { publicJwk } = openSecret(row.algorithm as Algorithm, secret)
    return {
      ...toInfo(row),
      ...(publicJwk !== undefined && { publicKey: { ...publicJwk, kid: row.id, alg: row.algorithm, use: 'sig' } }),
      ...(publicJwk === undefined && coversAt(principal, null, everything) && { secret })
    }
  }

  async function create (trx: Kysely<Database>, by: Origin, algorithm: Algorithm) {
    const created = await insertSigningKey(trx, encryption, { algorithm })
    await record(trx, by, { action: 'key.created', resourceId: created.row.id, after: toInfo(created.row) })
    return created
  }

  async function deactivate (trx: Kysely<Database>, by: Origin, before: Row): Promise<Row> {
    const after = await trx.updateTable('signing_keys').set({ active: false, deactivated_at: Date.now() })
      .where('id', '=', before.id).returningAll().executeTakeFirstOrThrow()
    await record(trx, by, {
      action: 'key.deactivated', resourceId: before.id, before: toInfo(before), after: toInfo(after)
    })
    return after
  }

  return {
    /** Returns the keys that are not revoked, newest first. */
    async list (principal: Principal, { active, ...query }: KeyQuery): Promise<PageOf<SigningKeyInfo>> {
      requireSession(principal)
      const rows = await db.selectFrom('signing_keys').selectAll().where('revoked_at', 'is', null).execute()
      const found = rows.map(toInfo).filter(key => active === undefined || key.active === active)
      return pageOfItems(found, keyList, query, { valuesOf: key => key, idOf: ({ keyId }) => keyId })
    },

    /**
     * Creates a key, which signs from then on. Only this response contains the secret of an HS256 key. Throws
     * ConflictError `SIGNING_KEY_LIMIT`.
     */
    async create (
      principal: Principal, { algorithm = 'HS256' }: { algorithm?: Algorithm | undefined }, by: Origin
    ): Promise<KeyCreated> {
      requireSession(principal)
      return toCreated(principal, await change(async trx => {
        await requireRoom(trx)
        return await create(trx, by, algorithm)
      }))
    },

    /** Stops signing with a key. Its tokens stay valid until they expire. Throws ConflictError `LAST_SIGNING_KEY`. */
    async deactivate (principal: Principal, id: string, by: Origin): Promise<SigningKeyInfo> {
      requireSession(principal)
      return toInfo(
        await change(async trx => {
          const before = await find(trx, id)
          if (!before.active) return before
          if (await othersActive(trx, id) === 0) {
            throw new ConflictError(
              'LAST_SIGNING_KEY',
              `The key ${id} is the last active one. Create another first, or rotate this one`
            )
          }
          return await deactivate(trx, by, before)
        })
      )
    },

    /**
     * Deactivates a key and creates a new one of the same algorithm. Throws ConflictError `SIGNING_KEY_INACTIVE` or
     * `SIGNING_KEY_LIMIT`.
     */
    async rotate (principal: Principal, id: string, by: Origin): Promise<KeyCreated> {
      requireSession(principal)
      return toCreated(
        principal,
        await change(async trx => {
          const before = await find(trx, id)
          if (!before.active) {
            throw new ConflictError(
              'SIGNING_KEY_INACTIVE', `The key ${id} is inactive. Rotate an active key, or create one`
            )
          }
          await requireRoom(trx)
          const created = await create(trx, by, before.algorithm as Algorithm)
          await deactivate(trx, by, before)
          return created
        })
      )
    },

    /**
     * Revokes a key: its tokens are refused and their sockets closed. Works at the limit of keys, because a replacement
     * takes the place of the revoked key.
     */
    async revoke (principal: Principal, id: string, by: Origin): Promise<SigningKeyInfo> {
      requireSession(principal)
      return toInfo(
        await change(async trx => {
          const before = await find(trx, id)
          if (before.active && await othersActive(trx, id) === 0) await create(trx, by, before.algorithm as Algorithm)
          const now = Date.now()
          const after = await trx.updateTable('signing_keys').set({
            active: false, deactivated_at: before.deactivated_at ?? now, revoked_at: now
          })
            .where('id', '=', id).returningAll().executeTakeFirstOrThrow()
          await forgetOldest(trx)
          await record(trx, by, {
            action: 'key.revoked', resourceId: id, before: toInfo(before), after: { ...toInfo(after), revokedAt: now }
          })
          return after
        })
      )
    }
  }
}

/** All permissions that a token can carry. */
const everything = parsePermissions(['admin'])

/** Every node keeps all keys in memory, and the JWKS lists the public ones. */
const keysMax = 50
/** Revoked keys that are kept. The audit log has the others. */
const revokedKeptMax = 100

function requireSession (principal: Principal): void {
  if (principal.kind === 'token') {
    throw new ForbiddenError(
      'SESSION_REQUIRED',
      'Signing keys sign for every application, and a token belongs to one. Log in to list and change keys'
    )
  }
}

async function requireRoom (trx: Kysely<Database>): Promise<void> {
  const { count } = await trx.selectFrom('signing_keys').select(({ fn }) => fn.countAll<number>().as('count'))
    .where('revoked_at', 'is', null).executeTakeFirstOrThrow()
  if (count >= keysMax) {
    throw new ConflictError(
      'SIGNING_KEY_LIMIT',
      `There are ${count} signing keys, and at most ${keysMax} are allowed. Revoke one whose tokens have expired`
    )
  }
}

async function forgetOldest (trx: Kysely<Database>): Promise<void> {
  const newest = trx.selectFrom('signing_keys').select('id').where('revoked_at', 'is not', null)
    .orderBy('revoked_at', 'desc').orderBy('id').limit(revokedKeptMax)
  await trx.deleteFrom('signing_keys').where('revoked_at', 'is not', null).where('id', 'not in', newest).execute()
}

async function find (trx: Kysely<Database>, id: string): Promise<Row> {
  const row = await trx.selectFrom('signing_keys').selectAll().where('id', '=', id).where('revoked_at', 'is', null)
    .executeTakeFirst()
  if (row === undefined) throw new NotFoundError('SIGNING_KEY_NOT_FOUND', `Signing key not found: ${id}`)
  return row
}

async function othersActive (trx: Kysely<Database>, id: string): Promise<number> {
  const others = await trx.selectFrom('signing_keys').select('id').where('id', '!=', id).where('active', '=', true)
    .where('revoked_at', 'is', null).execute()
  return others.length
}
