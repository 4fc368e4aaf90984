import type pg from 'pg'
import { readDatabaseIdentity } from '../../foundation/database-identity.ts'

interface Log { warn (fields: object, message: string): void }

/**
 * Makes every connection own nothing: what it created belongs to the original, and its position to no slot of its own.
 */
const disownSql = [
  `update cdc_connections set owns_slot = false, owns_publication = false, slot_lsn = null,
    mark = substr(md5(gen_random_uuid()::text), 1, 12),
    gap_accepted = false, revision = revision + 1, status = null`,
  `update cdc_positions set slot = null, system_identifier = coalesce(system_identifier, ''),
    fence = fence + 1, lease_owner = null`,
  'delete from cdc_leftovers'
]

/**
 * Detects that the platform's database is a copy of another one (a restored dump, `create database … template`) whose
 * platform may still run and owns the slots and publications in its rows. The connections of a copy then own nothing,
 * and the copy neither reads nor drops them. Call it before anything reads or drops.
 */
export async function disownIfCopied (pool: pg.Pool, log: Log): Promise<void> {
  const identity = await readDatabaseIdentity(pool)
  const client = await pool.connect()
  try {
    await client.query('begin')
    const { rows: [home] } = await client.query<{ identity: string | null }>('select identity from cdc_home for update')
    const isCopied = home?.identity != null && home.identity !== identity
    if (isCopied) for (const sql of disownSql) await client.query(sql)
    if (home?.identity !== identity) await client.query('update cdc_home set identity = $1', [identity])
    await client.query('commit')
    if (isCopied) log.warn({ was: home.identity, is: identity }, 'cdc.database_is_a_copy')
  } catch (error) {
    await client.query('rollback').catch(() => {})
    throw error
  } finally {
    client.release()
  }
}
