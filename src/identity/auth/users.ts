import type { Kysely } from 'kysely'
import type { Database } from '../../../db/tables.ts'
import type { User } from '../../../schemas/auth.ts'
import { randomId } from '../../foundation/ids.ts'
import { canonicalEmail } from './email-address.ts'

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
      return (await db.selectFrom('users').select('password_hash').where('id', '=', id).executeTakeFirst())?.password_hash
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
export async function insertUser (db: Kysely<Database>, { name, email, passwordHash }: NewUser): Promise<User | undefined> {
  const now = Date.now()
  return await db.insertInto('users')
    .values({ id: randomId('usr'), name, email, email_canonical: canonicalEmail(email), password_hash: passwordHash, created_at: now, updated_at: now })
    .onConflict(conflict => conflict.doNothing()).returning(['id', 'email', 'name']).executeTakeFirst()
}
