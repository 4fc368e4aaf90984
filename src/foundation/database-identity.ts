import { createHash } from 'node:crypto'
import type pg from 'pg'

/**
 * Not permitted, or not there: a managed PostgreSQL may revoke the function, and servers that only speak PostgreSQL's
 * protocol lack it.
 */
const unreadable: ReadonlySet<string | undefined> = new Set(['42501', '42883', '0A000'])

/**
 * Identifies the platform's database: the same for every node that uses it, another for a dump restored elsewhere and
 * for a copy made with `create database … template`. It survives restarts, failovers and VACUUM. A physical clone (base
 * backup, storage snapshot) has the same.
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
 * By what any role can read. The seed is copied with the database; where its row is stored is not: a restored dump
 * inserts the row in a transaction of another number, into a table of another oid, and a copy within the cluster has
 * another database oid.
 */
async function readStoredIdentity (pool: pg.Pool): Promise<string> {
  const { rows: [row] } = await pool.query<{ place: string }>(`
    select concat_ws(' ', seed, xmin, tableoid, (select oid from pg_database where datname = current_database())) as place from epoch_seed`)
  if (row === undefined) throw new Error('the table epoch_seed is empty: insert a row with a seed of your choice')
  return createHash('sha256').update(row.place).digest('hex').slice(0, 24)
}
