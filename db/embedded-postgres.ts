import { join, resolve } from 'node:path'
import pg from 'pg'
import { serverAccount, type Account } from './embedded/account.ts'
import { findBinaryPackage, prepareBinaries } from './embedded/binaries.ts'
import { ensureCluster } from './embedded/cluster.ts'
import { openDataDir } from './embedded/data-dir.ts'
import { lockDataDir } from './embedded/lock.ts'
import { LogFile } from './embedded/log-file.ts'
import type { EmbeddedPostgresLog } from './embedded/log.ts'
import { superuser } from './embedded/settings.ts'
import { startPostmaster } from './embedded/start-postmaster.ts'

/** A running embedded PostgreSQL server. It listens only on this machine and has no processes left after `stop`. */
export interface EmbeddedPostgres {
  /** Returns the connection string of a database of this cluster. Does not create it. */
  connectionString (database: string): string
  readonly port: number
  /**
   * Stops the server: fast shutdown, after 5 s immediate shutdown, after 5 s more SIGKILL. Close all connections first,
   * especially those of logical replication: a fast shutdown waits until they have confirmed everything.
   */
  stop (): Promise<void>
}

export interface EmbeddedPostgresOptions {
  /**
   * The platform's DATA_DIR. It holds the cluster in the folder `postgres`, and the files `postgres-password` and
   * `postgres.log`.
   */
  dataDir: string
  /** Databases to create if they are missing. */
  databases: string[]
  log: EmbeddedPostgresLog
  /** PostgreSQL settings that override the defaults, except where the server listens. */
  settings?: Record<string, string>
  /**
   * The required port, for a server that replaces another. By default, the port of the last start if it is free,
   * otherwise any free port.
   */
  port?: number | undefined
  /** Called when the server ends unexpectedly. It is not restarted; that is up to the caller. */
  onExit?: (code: number | null, signal: string | null) => void
}

/**
 * Starts PostgreSQL on the cluster in `dataDir`, which the first call creates. Only one process may use a data folder
 * at a time. A server that a killed process left running is stopped first. Committed data survives, whichever process
 * is killed.
 */
export async function startEmbeddedPostgres (options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const packageDir = findBinaryPackage()
  const account = await serverAccount(join(resolve(options.dataDir), 'postgres'))
  const dataDir = await openDataDir(options.dataDir, account)
  const lock = await lockDataDir(dataDir)
  try {
    const { connectionString, port, stop } = await startLocked(options, packageDir, dataDir, account)
    let stopping: Promise<void> | undefined
    return {
      connectionString,
      port,
      async stop () {
        stopping ??= stop().then(async () => { await lock.release() })
        await stopping
      }
    }
  } catch (error) {
    await lock.release()
    throw error
  }
}

async function startLocked (
  options: EmbeddedPostgresOptions, packageDir: string, dataDir: string, account: Account | undefined
): Promise<EmbeddedPostgres> {
  const { databases, log, settings = {}, onExit } = options
  const startedAt = performance.now()
  const clusterDir = join(dataDir, 'postgres')
  const binDir = await prepareBinaries(packageDir, dataDir, account)
  const { password, isNew } = await ensureCluster({
    dataDir, clusterDir, binDir, account, isDurable: settings.fsync !== 'off'
  })
  const logFile = new LogFile(join(dataDir, 'postgres.log'))
  const { port: wantedPort } = options
  const { postmaster, port } = await startPostmaster({ dataDir, clusterDir, binDir, account, settings, logFile, log },
    wantedPort === undefined ? undefined : async () => wantedPort)
  const { pid } = postmaster
  // Connections on the loopback use no TLS. This overrides PGSSLMODE.
  const connectionString = (database: string) =>
    `postgres://${superuser}:${password}@127.0.0.1:${port}/${encodeURIComponent(database)}?sslmode=disable`
  try {
    await createDatabases(connectionString('postgres'), databases)
  } catch (error) {
    await postmaster.stop()
    throw error
  }
  if (onExit !== undefined) postmaster.onExit(onExit)
  log('info', 'postgres.started', {
    pid, port, isNew, account: account?.name, durationMs: Math.round(performance.now() - startedAt)
  })
  return {
    connectionString,
    port,
    async stop () {
      await postmaster.stop()
      log('info', 'postgres.stopped', { pid })
    }
  }
}

// The connection also proves that the password opens this cluster.
async function createDatabases (connectionString: string, databases: string[]): Promise<void> {
  const client = new pg.Client({ connectionString, connectionTimeoutMillis: 30_000, query_timeout: 30_000 })
  // If the server dies, the current query rejects.
  client.on('error', () => {})
  try {
    await client.connect()
    const { rows } = await client.query<{ datname: string }>('select datname from pg_database')
    for (const name of databases) {
      if (!rows.some(({ datname }) => datname === name)) {
        await client.query(`create database ${client.escapeIdentifier(name)}`)
      }
    }
  } catch (cause) {
    throw new Error(
      `the embedded PostgreSQL started, but its databases could not be opened: ${(cause as Error).message}`,
      { cause }
    )
  } finally {
    await client.end().catch(() => {})
  }
}
