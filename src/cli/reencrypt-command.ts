import { createKysely, createPool } from '../../db/connection.ts'
import { startEmbeddedPostgres } from '../../db/embedded-postgres.ts'
import { migrateToLatest } from '../../db/migrate.ts'
import { ConfigError, createConfig, readEnvironment } from '../config.ts'
import { createEncryption } from '../foundation/encryption/encryption.ts'
import { reencrypt } from '../foundation/encryption/reencrypt.ts'
import { databaseFailure, dataDirFailure, reportStartFailure } from './start-failure.ts'

/**
 * `npm run reencrypt`: seals every stored secret with ENCRYPTION_KEY. If it reports no unreadable secret, you can
 * remove the keys in ENCRYPTION_KEYS_OLD. The embedded PostgreSQL must not be in use.
 */
async function main (): Promise<void> {
  const variables = readEnvironment()
  const config = createConfig(variables)
  if ((variables['ENCRYPTION_KEY'] ?? '') === '') {
    throw new ConfigError(['ENCRYPTION_KEY is required: set it to the key that seals secrets from now on'])
  }
  const embedded = config.database.url === undefined
    ? await startEmbeddedPostgres({ dataDir: config.database.dataDir, databases: ['realtime'], log: () => {} })
      .catch((error: unknown) => { throw dataDirFailure(error, config.database.dataDir) })
    : undefined
  const connectionString = config.database.url ?? embedded?.connectionString('realtime') ?? ''
  const pool = createPool({ connectionString, max: 2 })
  try {
    await migrateToLatest(connectionString).catch((error: unknown) => {
      throw databaseFailure(error, connectionString)
    })
    const done = await reencrypt(createKysely(pool), createEncryption(config.encryptionKeys))
    for (const { table, column, sealedAnew, unreadable } of done) {
      process.stdout.write(
        `${table}.${column}: ${sealedAnew} resealed${
          unreadable.length === 0 ? '' : `, ${unreadable.length} that no key opens: ${unreadable.join(', ')}`
        }\n`
      )
    }
    if (done.some(({ unreadable }) => unreadable.length > 0)) process.exitCode = 1
  } finally {
    await pool.end()
    await embedded?.stop()
  }
}

main().catch((error: unknown) => {
  reportStartFailure(error)
  process.exit(1)
})
