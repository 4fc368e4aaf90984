import { type Kysely, sql } from 'kysely'
import type { Database } from '../../../db/tables.ts'
import type { User } from '../../../schemas/auth.ts'
import { randomId } from '../../foundation/ids.ts'
import { canonicalEmail } from './email-address.ts'
import { ConflictError } from '../../errors.ts'

export interface NewUser {
  name: string
  email: string
  passwordHash: string
  /** `owner` only if the owner of the address chose it. */
  passwordSetBy: 'owner' | 'other' | 'none'
}

export type Users = ReturnType<typeof createUsers>

/** Reads users for logins. An address is stored as it was given, and looked up in its canonical form. */
export function createUsers ({ db }: { db: Kysely<Database> }) {
  return {
    /** Returns the user of an address with the hash of their password. */
    async findByEmail (
      email: string
    ): Promise<{ user: User, passwordHash: string, hasPassword: boolean } | undefined> {
      const row = await db.selectFrom('users').select(['id', 'email', 'name', 'password_hash', 'password_set_by'])
        .where('email_canonical', '=', canonicalEmail(email)).executeTakeFirst()
      return row && {
        user: { id: row.id, email: row.email, name: row.name }, passwordHash: row.password_hash,
        hasPassword: row.password_set_by !== 'none'
      }
    },

    async passwordHashOf (id: string): Promise<string | undefined> {
      return (await db.selectFrom('users').select('password_hash').where('id', '=', id).executeTakeFirst())
        ?.password_hash
    }
  }
}

/**
 * Returns a user and locks them until the transaction ends, so that a password change or a deletion comes before or
 * after, and ends what the transaction opened. Returns undefined if the user was deleted or the password changed.
 */
export async function holdUser (trx: Kysely<Database>, id: string, passwordHash?: string): Promise<User | undefined> {
  const query = trx.selectFrom('users').select(['id', 'email', 'name']).where('id', '=', id).forShare()
  return await (passwordHash === undefined ? query : query.where('password_hash', '=', passwordHash)).executeTakeFirst()
}

/** Returns undefined if the address is taken. */
export async function insertUser (
  db: Kysely<Database>, { name, email, passwordHash, passwordSetBy }: NewUser
): Promise<User | undefined> {
  const now = Date.now()
  return await db.insertInto('users')
    .values({
      id: randomId('usr'), name, email, email_canonical: canonicalEmail(email), password_hash: passwordHash,
      password_set_by: passwordSetBy, created_at: now, updated_at: now
    })
    .onConflict(conflict => conflict.doNothing()).returning(['id', 'email', 'name']).executeTakeFirst()
}

export const superAdminRole = 'role_super_admin'

export async function hasSuperAdmin (db: Kysely<Database>): Promise<boolean> {
  const found = await db.selectFrom('role_assignments').select('user_id')
    .where('role_id', '=', superAdminRole).where('application_id', 'is', null).limit(1).executeTakeFirst()
  return found !== undefined
}

/**
 * Takes a lock, across all nodes and until the transaction ends, that serialises every change of who is super_admin.
 */
export async function lockSuperAdmins (trx: Kysely<Database>): Promise<void> {
  await sql`select pg_advisory_xact_lock(hashtext('realtime.setup'))`.execute(trx)
}

/**
 * Runs work that may remove a super_admin in a transaction. Rolls back and throws ConflictError `LAST_SUPER_ADMIN` if
 * no super_admin would be left; concurrent calls run one after the other.
 */
export async function keepingSuperAdmin<T> (
  db: Kysely<Database>, work: (trx: Kysely<Database>) => Promise<T>
): Promise<T> {
  return await db.transaction().execute(async trx => {
    await lockSuperAdmins(trx)
    const result = await work(trx)
    if (!await hasSuperAdmin(trx)) {
      throw new ConflictError(
        'LAST_SUPER_ADMIN', 'The last super_admin cannot be removed. Make another user super_admin first'
      )
    }
    return result
  })
}
