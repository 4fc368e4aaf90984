import cluster from 'node:cluster'
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { extname, join } from 'node:path'
import type { Logger } from 'pino'
import { migrateToLatest } from '../../db/migrate.ts'
import { Exchange } from '../cluster/ipc/exchange.ts'
import type { Config } from '../config.ts'
import { createParentMetrics } from '../foundation/observability/parent-metrics.ts'
import { poolShare, readConnectionsMax } from './connection-share.ts'
import { databaseFailure } from './start-failure.ts'
import type { Part } from './until-stopped.ts'
import { heapArguments } from './worker-memory.ts'
import { WorkerSlot } from './worker-slot.ts'
import type { Announcement, Beginning } from './worker-protocol.ts'

/** The share of the time limit of a stop that the workers have. The rest is for PostgreSQL. */
const workersShare = 0.75
/** Workers stop by themselves at their limit. They are killed that much later. */
const killedAfterMs = 250

export interface WorkersOptions {
  config: Config
  logger: Logger
  started: Part[]
  /** Called when no worker runs and their replacements do not start either. */
  onGivenUp (): void
}

/**
 * Migrates the database and starts the workers, which share the port. Replaces a worker that dies. When all of them
 * listen, returns the announcement to print.
 */
export async function startWorkers (
  { config, logger, started, onGivenUp }: WorkersOptions
): Promise<Announcement> {
  const { workers: { count }, database: { url = '' }, shutdownTimeoutMs } = config
  const poolMax = await prepareDatabase(config, logger)
  const metrics = createParentMetrics()
  metrics.workersWanted.set(count)
  const exchange = new Exchange({ onDropped: () => metrics.messagesDropped.inc() })
  // Only this user may enter it.
  const folder = await mkdtemp(join(tmpdir(), 'realtime-'))
  started.push({ close: () => rm(folder, { recursive: true, force: true }) })
  const beginning: Omit<Beginning, 'worker'> = {
    databaseUrl: url,
    encryptionKeys: config.encryptionKeys.map(key => key.toString('base64')),
    poolMax,
    setupToken: randomBytes(24).toString('base64url'),
    shutdownTimeoutMs: shutdownTimeoutMs * workersShare,
    folder
  }
  cluster.setupPrimary({
    exec: join(import.meta.dirname, `../server${extname(import.meta.filename)}`),
    args: [],
    execArgv: [...process.execArgv, ...heapArguments(config.workers.memoryBytesMax)],
    // The last one is the link: a pair of sockets.
    stdio: ['inherit', 'inherit', 'inherit', 'ipc', 'pipe']
  })
  // Otherwise the kernel gives most connections to few workers.
  cluster.schedulingPolicy = cluster.SCHED_RR
  const slots: WorkerSlot[] = Array.from({ length: count }, (_, i) => new WorkerSlot({
    name: String(i + 1), beginning, exchange, logger, scrape: () => metrics.registry.metrics(),
    counts: {
      ended: () => metrics.workersEnded.inc(),
      changed: () => metrics.workers.set(slots.filter(({ isReady }) => isReady).length)
    },
    workerOf: name => slots[Number(name) - 1]?.worker,
    onFailed: () => { if (!slots.some(({ mayRecover }) => mayRecover)) onGivenUp() }
  }))
  started.push({
    async close () {
      const killing = setTimeout(() => {
        for (const slot of slots) slot.kill()
      }, beginning.shutdownTimeoutMs + killedAfterMs)
      await Promise.all(slots.map(slot => slot.stop(count - 1)))
      clearTimeout(killing)
    }
  })
  const announcements = await Promise.all(slots.map(slot => slot.start()))
  return announcements[0] as Announcement
}

/** Migrates the database. Returns the size of each worker's pool. */
async function prepareDatabase ({ database: { url = '' }, workers }: Config, logger: Logger): Promise<number> {
  try {
    const migrations = await migrateToLatest(url)
    if (migrations.length > 0) logger.info({ migrations }, 'database.migrated')
    return poolShare(workers.count, await readConnectionsMax(url))
  } catch (error) {
    throw databaseFailure(error, url)
  }
}
