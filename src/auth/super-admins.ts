import { sql, type Kysely } from 'kysely'
import type { Database } from '../../db/tables.ts'
import { ConflictError } from '../errors.ts'

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
export async function keepingSuperAdmin<T> (db: Kysely<Database>, work: (trx: Kysely<Database>) => Promise<T>): Promise<T> {
  return await db.transaction().execute(async trx => {
    await lockSuperAdmins(trx)
    const result = await work(trx)
    if (!await hasSuperAdmin(trx)) throw new ConflictError('LAST_SUPER_ADMIN', 'The last super_admin cannot be removed: make another first')
    return result
  })
}
