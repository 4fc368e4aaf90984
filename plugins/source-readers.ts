import fp from 'fastify-plugin'
import { createReaderLeases } from '../src/cdc/replication/reader-leases.ts'
import { createSlotCleanup, type SlotCleanup } from '../src/cdc/replication/slot-cleanup.ts'
import { Supervisor } from '../src/cdc/replication/supervisor.ts'
import { disownIfCopied } from '../src/cdc/source/copied-home.ts'
import { createStreamStates } from '../src/cdc/source/stream-state.ts'
import { createSourceThreads, type SourceThreads } from '../src/cdc/threads/source-threads.ts'

declare module 'fastify' {
  interface FastifyInstance {
    sourceReaders: {
      threads: SourceThreads
      slotCleanup: SlotCleanup
      supervisor: Supervisor
    }
  }
}

/** Runs the readers of the tenants' own databases on this node. It never writes to their tables. */
export default fp(async (app) => {
  const { db, pool, encryption, eventWriter: writer, instruments: metrics, log, config: { cdc, events } } = app
  await disownIfCopied(pool, log)
  const threads = createSourceThreads({
    limits: cdc.limits, ...cdc.threads, conversationMaxMs: cdc.conversationMaxMs
  })
  const slotCleanup = createSlotCleanup({
    db, pool, encryption, threads, log, retryMs: cdc.leftoverRetryMs, now: app.clock.now
  })
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
    logRetentionMs: events.retentionMs
  })
  app.decorate('sourceReaders', { threads, slotCleanup, supervisor })
  app.invalidations.on('sources', () => supervisor.look())
  app.health.add('cdc', async () => supervisor.health())
  app.addHook('onReady', async () => supervisor.start())
  app.addHook('preClose', async () => {
    await supervisor.close()
    await threads.close()
  })
}, {
  name: 'source-readers',
  dependencies: [
    'config', 'database', 'encryption', 'events', 'health', 'invalidations', 'metrics', 'node', 'tracing'
  ]
})
