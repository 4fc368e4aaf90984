import fp from 'fastify-plugin'
import type { Kysely } from 'kysely'
import type pg from 'pg'
import { createKysely, createPool } from '../db/connection.ts'
import { migrateToLatest } from '../db/migrate.ts'
import type { Database } from '../db/tables.ts'
import { DatabaseClock } from '../src/foundation/database-clock.ts'
import { reasonOf } from '../src/foundation/observability/logger.ts'
import { hasEarlierForm } from '../src/foundation/encryption/reencrypt.ts'
import { StartError } from '../src/cli/start-failure.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** For prepared statements on hot paths. */
    pool: pg.Pool
    /** For everything else: typed queries. */
    db: Kysely<Database>
    /** The clock that all nodes share. */
    clock: DatabaseClock
  }
}

const earlierForm =
  'The database has secrets in an earlier form. Run `npm run reencrypt` with the same variables, then start again.'

/** Connects to the platform's own database and migrates it before the server listens. It does not start PostgreSQL. */
export default fp(async (app) => {
  const { url, poolMax } = app.config.database
  if (url === undefined) throw new Error('config.database.url is not set')
  const pool = createPool({
    connectionString: url, max: poolMax, onError: err => app.log.warn(reasonOf(err), 'database.connection_lost')
  })
  const db = createKysely(pool)
  app.decorate('pool', pool)
  app.decorate('db', db)
  const clock = new DatabaseClock(pool)
  app.decorate('clock', clock)
  app.addHook('onClose', async () => {
    await clock.close()
    await db.destroy()
    await pool.end()
  })
  const migrated = await migrateToLatest(url)
  if (await hasEarlierForm(db, app.encryption)) throw new StartError(earlierForm)
  await clock.start()
  if (migrated.length > 0) app.log.info({ migrations: migrated }, 'database.migrated')
}, { name: 'database', dependencies: ['config', 'encryption'] })
