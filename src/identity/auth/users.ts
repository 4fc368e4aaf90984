import { type Kysely, sql } from 'kysely'
import type { Database } from '../../../db/tables.ts'
import type { User } from '../../../schemas/auth.ts'
import { randomId } from '../../foundation/ids.ts'
import { canonicalEmail } from './email-address.ts'
import { ConflictError } from '../../errors.ts'

export interface NewUser { name: string, email: string, passwordHash: string }

export type Users = ReturnType<typeof createUsers>

/** Reads users for logins. An address is looked up in its canonical form, and stored as it was given beside it. */
export function createUsers ({ db }: { db: Kysely<Database> }) {
  return {
    /** With the password's hash, for logging in. */
    async findByEmail (email: string): Promise<{ user: User, passwordHash: string } | undefined> {
      const row = await db.selectFrom('users').select(['id', 'email', 'name', 'password_hash'])
        .where('email_canonical', '=', canonicalEmail(email)).executeTakeFirst()
      return row && { user: { id: row.id, email: row.email, name: row.name }, passwordHash: row.password_hash }
    },

    async passwordHashOf (id: string): Promise<string | undefined> {
      return (await db.selectFrom('users').select('password_hash').where('id', '=', id).executeTakeFirst())
        ?.password_hash
    }
  }
}

/**
 * Holds a user as they are until the transaction ends: whoever changes their password, or deletes them, comes before or
 * after, and ends what was opened before. Undefined when they are gone, or the password is another by now.
 */
export async function holdUser (trx: Kysely<Database>, id: string, passwordHash?: string): Promise<User | undefined> {
  const query = trx.selectFrom('users').select(['id', 'email', 'name']).where('id', '=', id).forShare()
  return await (passwordHash === undefined ? query : query.where('password_hash', '=', passwordHash)).executeTakeFirst()
}

/** Undefined when the address is taken. */
export async function insertUser (
  db: Kysely<Database>, { name, email, passwordHash }: NewUser
): Promise<User | undefined> {
  const now = Date.now()
  return await db.insertInto('users')
    .values({
      id: randomId('usr'), name, email, email_canonical: canonicalEmail(email), password_hash: passwordHash,
      created_at: now, updated_at: now
    })
    .onConflict(conflict => conflict.doNothing()).returning(['id', 'email', 'name']).executeTakeFirst()
}

export const superAdminRole = 'role_super_admin'

export async function hasSuperAdmin (db: Kysely<Database>): Promise<boolean> {
  const found = await db.selectFrom('role_assignments').select('user_id')
    .where('role_id', '=', superAdminRole).where('application_id', 'is', null).limit(1).executeTakeFirst()
  return found !== undefined
}

/** Whoever makes or unmakes super_admins does so one after the other, over all nodes, until the transaction ends. */
export async function lockSuperAdmins (trx: Kysely<Database>): Promise<void> {
  await sql`select pg_advisory_xact_lock(hashtext('realtime.setup'))`.execute(trx)
}

/**
 * Does what may take a super_admin away, in a transaction. Of several at once, the one that would take the last one
 * throws ConflictError `LAST_SUPER_ADMIN`, and nothing of it has happened.
 */
export async function keepingSuperAdmin<T> (
  db: Kysely<Database>, work: (trx: Kysely<Database>) => Promise<T>
): Promise<T> {
  return await db.transaction().execute(async trx => {
    await lockSuperAdmins(trx)
    const result = await work(trx)
    if (!await hasSuperAdmin(trx)) { throw new ConflictError('LAST_SUPER_ADMIN', 'The last super_admin cannot be removed: make another first') }
    return result
  })
}
