import { sql, type Kysely } from 'kysely'
import type { Database } from '../../../db/tables.ts'
import { readSystemIdentifier } from './slot.ts'
import { SourceError, type SourceClient } from './source.ts'

/** Identifies one database of one cluster, independent of its address. initdb generates the system identifier. */
interface DatabaseIdentity { systemIdentifier: string, oid: string }

const identitySql = `select (select system_identifier::text from pg_control_system()) as "systemIdentifier",
  (select oid::text from pg_database where datname = current_database()) as oid`

/**
 * Throws SourceError `SOURCE_REFUSED` for a session in the platform's own database, which holds every tenant's data.
 */
export async function refusePlatformDatabase (db: Kysely<Database>, client: SourceClient): Promise<void> {
  const [own, other] = await Promise.all([ownIdentity(db), identityOf(client)])
  if (own.oid === other.oid && own.systemIdentifier === other.systemIdentifier) {
    throw new SourceError('SOURCE_REFUSED', "(it is the platform's own database)")
  }
}

async function ownIdentity (db: Kysely<Database>): Promise<DatabaseIdentity> {
  const { rows: [own] } = await sql.raw<DatabaseIdentity>(identitySql).execute(db)
  return own as DatabaseIdentity
}

/**
 * Reads the identity. A role that may not call `pg_control_system` gets the same identifier over replication; a role
 * that can do neither cannot read changes either.
 */
async function identityOf (client: SourceClient): Promise<DatabaseIdentity> {
  try {
    const { rows: [other] } = await client.query<DatabaseIdentity>(identitySql)
    return other as DatabaseIdentity
  } catch (error) {
    if ((error as { code?: string }).code !== '42501') throw error
    const { rows: [other] } = await client.query<{ oid: string }>(
      'select oid::text from pg_database where datname = current_database()'
    )
    return { oid: String(other?.oid), systemIdentifier: await readSystemIdentifier(client).catch(() => '') }
  }
}
