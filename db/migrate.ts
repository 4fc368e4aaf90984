import { Migrator, sql, type Kysely } from 'kysely'
import { createKysely, createPool } from './connection.ts'
import { migrations } from './migrations/index.ts'

/**
 * Migrates a database to this version, however long that takes, and returns the names of the migrations that ran.
 * Kysely's migrator holds an advisory lock: of several nodes that start together, one migrates and the others wait.
 * Throws when the database is newer than this program.
 */
export async function migrateToLatest (connectionString: string): Promise<string[]> {
  const pool = createPool({ connectionString, max: 2, applicationName: 'realtime-migrations', isPatient: true })
  try {
    return await migrate(createKysely(pool))
  } finally {
    await pool.end()
  }
}

async function migrate<T> (db: Kysely<T>): Promise<string[]> {
  await refuseNewer(db)
  const migrator = new Migrator({ db, provider: { getMigrations: async () => migrations } })
  const { error, results } = await migrator.migrateToLatest()
  if (error !== undefined) throw new Error('The database could not be migrated', { cause: error })
  return (results ?? []).map(result => result.migrationName)
}

async function refuseNewer<T> (db: Kysely<T>): Promise<void> {
  const { rows: [found] } = await sql<{ known: boolean }>`select to_regclass('kysely_migration') is not null as known`
    .execute(db)
  if (found?.known !== true) return
  const { rows } = await sql<{ name: string }>`select name from kysely_migration`.execute(db)
  const unknown = rows.map(row => row.name).filter(name => !(name in migrations))
  if (unknown.length > 0) {
    throw new Error(
      `The database is newer than this program: it has the migrations ${
        unknown.join(', ')
      }. Start the newer version, or use another database.`
    )
  }
}
