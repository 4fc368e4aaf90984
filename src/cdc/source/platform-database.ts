import { sql, type Kysely } from 'kysely'
import type { Database } from '../../../db/tables.ts'
import { readSystemIdentifier } from './slot.ts'
import { SourceError, type SourceClient } from './source.ts'

/** One database of one cluster, by whatever address it is reached. initdb draws the system identifier. */
interface DatabaseIdentity { systemIdentifier: string, oid: string }

const identitySql = `select (select system_identifier::text from pg_control_system()) as "systemIdentifier",
  (select oid::text from pg_database where datname = current_database()) as oid`

/**
 * The platform's own database holds every tenant's data and is no tenant's source. Throws SourceError `SOURCE_REFUSED`
 * for a session in it.
 */
export async function refusePlatformDatabase (db: Kysely<Database>, client: SourceClient): Promise<void> {
  const [own, other] = await Promise.all([ownIdentity(db), identityOf(client)])
  if (own.oid === other.oid && own.systemIdentifier === other.systemIdentifier) { throw new SourceError('SOURCE_REFUSED', "(it is the platform's own database)") }
}

async function ownIdentity (db: Kysely<Database>): Promise<DatabaseIdentity> {
  const { rows: [own] } = await sql.raw<DatabaseIdentity>(identitySql).execute(db)
  return own as DatabaseIdentity
}

/**
 * Where `pg_control_system` is closed to the role, replication reports the same identifier; without either, nothing can
 * be read from it.
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
