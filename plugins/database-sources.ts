import fp from 'fastify-plugin'
import { createReaderLeases } from '../src/cdc/replication/reader-leases.ts'
import { createStreamStates } from '../src/cdc/source/stream-state.ts'
import { Supervisor } from '../src/cdc/replication/supervisor.ts'
import { createConnectionTest, type TestConnection } from '../src/cdc/administration/connection-test.ts'
import { createDatabaseConnections, type DatabaseConnections } from '../src/cdc/administration/connections.ts'
import { disownIfCopied } from '../src/cdc/source/copied-home.ts'
import { createMappingLog, type MappingLog } from '../src/cdc/mappings/mapping-log.ts'
import { createSlotCleanup } from '../src/cdc/replication/slot-cleanup.ts'
import { ownedConnections } from '../src/cdc/administration/owned-connections.ts'
import { createMappingChanges } from '../src/cdc/administration/mapping-changes.ts'
import { createMappingProblems } from '../src/cdc/administration/mapping-problems.ts'
import { createMappingStatus, type ReadMappingStatus } from '../src/cdc/administration/mapping-status.ts'
import { createMappings, type Mappings } from '../src/cdc/administration/mappings.ts'
import { createPreview, type PreviewMapping } from '../src/cdc/mappings/preview.ts'
import { createPromotion, type MappingPromotion } from '../src/cdc/administration/promotion.ts'
import { createSourcePool, type SourcePool } from '../src/cdc/threads/source-pool.ts'
import { createDatabaseSubscriptions, type DatabaseSubscriptions } from '../src/cdc/administration/subscriptions.ts'
import { readTables } from '../src/cdc/source/tables.ts'
import { createSourceThreads } from '../src/cdc/threads/source-threads.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** Connected databases and their mappings. */
    databaseSources: {
      connections: DatabaseConnections
      test: TestConnection
      sources: SourcePool
      readTables: typeof readTables
      mappings: Mappings
      promotion: MappingPromotion
      status: ReadMappingStatus
      preview: PreviewMapping
      subscriptions: DatabaseSubscriptions
      logs: MappingLog
      supervisor: Supervisor
    }
  }
}

/**
 * Connects the tenants' own databases: runs their readers on this node, and provides the operations of the REST API.
 * It never writes to their tables.
 */
export default fp(async (app) => {
  const { db, pool, encryption, eventWriter: writer, instruments: metrics, log, config: { cdc, events } } = app
  await disownIfCopied(pool, log)
  const threads = createSourceThreads({
    limits: cdc.limits,
    ...cdc.threads,
    conversationMaxMs: cdc.conversationMaxMs,
    resourceLimits: {
      maxOldGenerationSizeMb: Math.floor(cdc.threads.heapBytesMax / 1024 ** 2), maxYoungGenerationSizeMb: 32,
      stackSizeMb: 4
    }
  })
  const slotCleanup = createSlotCleanup({ db, pool, encryption, threads, log, retryMs: cdc.leftoverRetryMs })
  const supervisor = new Supervisor({
    db,
    pool,
    encryption,
    slotCleanup,
    writer,
    threads,
    metrics,
    log,
    states: createStreamStates(pool),
    leases: createReaderLeases(pool, app.node.id, cdc.leaseMs),
    intervalMs: cdc.leaseMs / 4,
    timing: cdc.timing,
    startMaxMs: cdc.startMaxMs,
    retainedBytesWarning: cdc.retainedBytesWarning,
    onMappingFailed: (scope, row) => app.tracing.mappingFailed(scope, row),
    logRetentionMs: events.retentionHours * 3_600_000
  })
  const sources = createSourcePool({ db, encryption, threads })
  const changes = createMappingChanges({ db, sources, log, writersWaitMs: cdc.writersWaitMs })
  const readProblems = createMappingProblems({ db, sources })
  app.applications.registerData(ownedConnections)
  app.decorate('databaseSources', {
    connections: createDatabaseConnections({
      db,
      encryption,
      slotCleanup,
      threads,
      namePrefix: cdc.namePrefix,
      onChanged: () => {
        supervisor.look()
        app.invalidations.announce('sources')
      }
    }),
    test: createConnectionTest({ db, sources, threads, namePrefix: cdc.namePrefix }),
    sources,
    readTables,
    mappings: createMappings({ db, sources, changes, readProblems }),
    promotion: createPromotion({ db, sources, changes }),
    status: createMappingStatus({ db, readProblems }),
    preview: createPreview({ db }),
    subscriptions: createDatabaseSubscriptions({ db, changes, readProblems }),
    logs: createMappingLog({ db }),
    supervisor
  })
  app.invalidations.on('sources', () => supervisor.look())
  app.health.add('cdc', async () => supervisor.health())
  app.addHook('onReady', async () => supervisor.start())
  app.addHook('preClose', async () => {
    await supervisor.close()
    await threads.close()
  })
}, {
  name: 'database-sources',
  dependencies: [
    'config', 'database', 'encryption', 'events', 'health', 'invalidations', 'metrics', 'node', 'tenancy', 'tracing'
  ]
})
