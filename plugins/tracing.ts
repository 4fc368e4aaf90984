import fp from 'fastify-plugin'
import { createPool } from '../db/connection.ts'
import { countingResyncs, countingWrites } from '../src/alerts/observers.ts'
import { observeDelivery, observeMappings, observeWrites } from '../src/debugger/tracing/observers.ts'
import { NodeHeartbeat } from '../src/debugger/tracing/node-heartbeat.ts'
import { TraceRecorder } from '../src/debugger/tracing/recorder.ts'
import { Sampling } from '../src/debugger/tracing/sampling.ts'
import { SubscriptionRecords } from '../src/debugger/tracing/subscription-records.ts'
import { createTraceRetention } from '../src/debugger/tracing/trace-retention.ts'
import { TraceStore } from '../src/debugger/tracing/trace-store.ts'
import type { DeliveryObserver } from '../src/delivery/delivery-observer.ts'
import type { WriteObserver } from '../src/events/write-observer.ts'
import { reasonOf } from '../src/foundation/observability/logger.ts'

declare module 'fastify' {
  interface FastifyInstance {
    tracing: {
      sampling: Sampling
      /** Also records refusals that do not come from the writer. */
      recorder: TraceRecorder
      subscriptions: SubscriptionRecords
      /** Receives reports of the writer. */
      writes: WriteObserver
      /** Receives failures of the readers of connected databases. */
      mappingFailed: ReturnType<typeof observeMappings>
      /** Receives reports of the hub and the connections. */
      deliveries: DeliveryObserver
    }
  }
}

/** Separate from the pool that serves requests, so that neither waits for the other. */
const connectionsMax = 2

/** Records the path of each event in the background, as traces. The plugin `debugger` reads them. */
export default fp(async (app) => {
  const { config, db, instruments: metrics, liveStats, log, node } = app
  const pool = createPool({
    connectionString: config.database.url as string,
    max: connectionsMax,
    applicationName: 'realtime-traces',
    onError: err => log.warn(reasonOf(err), 'database.connection_lost')
  })
  // Traces may be lost in a crash. The event log may not, and must not wait for them.
  pool.on('connect', client => { client.query('set synchronous_commit to off').catch(() => {}) })
  const store = new TraceStore({ pool, node: node.id })
  const sampling = new Sampling({ db, defaultShare: config.traces.sample, log })
  const { pendingMax, readersWaitMs, retentionMs } = config.traces
  const recorder = new TraceRecorder({ store, sampling, metrics, log, pendingMax, readersWaitMs })
  const subscriptions = new SubscriptionRecords({ pool, node: node.id, metrics, log })
  app.decorate('tracing', {
    sampling,
    recorder,
    subscriptions,
    writes: countingWrites(app.alertCounters, observeWrites(recorder, liveStats)),
    mappingFailed: observeMappings(recorder, liveStats),
    deliveries: countingResyncs(app.alertCounters, observeDelivery(recorder, subscriptions))
  })
  const beat = new NodeHeartbeat({ db, node, log, onReturned: () => subscriptions.tellAnew() })
  const retention = createTraceRetention({ pool, store, metrics, retentionMs, now: app.clock.now, log })
  await retention.start()
  await beat.start()
  await sampling.start()
  app.addHook('onClose', async () => {
    sampling.stop()
    beat.stop()
    retention.stop()
    await Promise.all([recorder.close(), subscriptions.close()])
    await pool.end()
  })
}, { name: 'tracing', dependencies: ['alert-counters', 'config', 'database', 'metric-series', 'metrics', 'node'] })
