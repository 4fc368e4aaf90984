import fp from 'fastify-plugin'
import { readEpochs, type EpochOf } from '../src/events/epochs.ts'
import { createEventLog, type EventLog } from '../src/events/log.ts'
import { Hub } from '../src/delivery/hub.ts'

declare module 'fastify' {
  interface FastifyInstance {
    epochOf: EpochOf
    eventLog: EventLog
    hub: Hub
  }
}

/** Adds the log reader, and the hub that delivers events to this node's subscriptions. */
export default fp(async (app) => {
  const epochOf = await readEpochs(app.pool)
  const eventLog = createEventLog({ pool: app.pool, epochOf })
  const hub = new Hub({
    log: eventLog,
    relay: app.cluster.relay,
    metrics: app.instruments,
    observer: app.tracing.deliveries,
    liveStats: app.liveStats,
    logger: app.log
  })
  app.decorate('epochOf', epochOf)
  app.decorate('eventLog', eventLog)
  app.decorate('hub', hub)
  app.addHook('onReady', async () => hub.start())
  app.addHook('onClose', async () => hub.stop())
}, { name: 'hub', dependencies: ['cluster', 'database', 'metric-series', 'metrics', 'tracing'] })
