import { createHash } from 'node:crypto'
import type pg from 'pg'

/**
 * Permission denied or function missing: a managed PostgreSQL may revoke the function, and compatible servers may lack
 * it.
 */
const unreadable: ReadonlySet<string | undefined> = new Set(['42501', '42883', '0A000'])

/**
 * Returns the identity of the platform's database. It is the same for every node that uses the database, and differs
 * for a dump restored elsewhere or a copy made with `create database … template`. It survives restarts, failovers and
 * VACUUM. A physical clone (base backup, storage snapshot) has the same identity.
 */
export async function readDatabaseIdentity (pool: pg.Pool): Promise<string> {
  try {
    const { rows: [row] } = await pool.query<{ identity: string }>(`
      select system_identifier || '.' || (select oid from pg_database where datname = current_database()) as identity
      from pg_control_system()`)
    if (row !== undefined) return row.identity
  } catch (error) {
    if (!unreadable.has((error as { code?: string }).code)) throw error
  }
  return await readStoredIdentity(pool)
}

/**
 * Derives the identity from data that any role can read. A copy of the database has the same seed, but its row is
 * stored elsewhere: a restored dump inserts it in another transaction, into a table with another oid, and a copy within
 * the cluster has another database oid.
 */
async function readStoredIdentity (pool: pg.Pool): Promise<string> {
  const { rows: [row] } = await pool.query<{ place: string }>(`
    select concat_ws(' ', seed, xmin, tableoid,
      (select oid from pg_database where datname = current_database())) as place
    from epoch_seed`)
  if (row === undefined) throw new Error('the table epoch_seed is empty: insert a row with a seed of your choice')
  return createHash('sha256').update(row.place).digest('hex').slice(0, 24)
}
