import fp from 'fastify-plugin'
import { createEventLog, type EventLog } from '../src/events/log.ts'
import { Hub } from '../src/delivery/hub.ts'

declare module 'fastify' {
  interface FastifyInstance {
    eventLog: EventLog
    hub: Hub
  }
}

/** The log's reader, and the hub that keeps this node's listeners in step with it. */
export default fp(async (app) => {
  const eventLog = createEventLog({ pool: app.pool })
  const hub = new Hub({
    log: eventLog, relay: app.cluster?.relay, metrics: app.instruments, observer: app.tracing.deliveries, activity: app.activity, logger: app.log
  })
  app.decorate('eventLog', eventLog)
  app.decorate('hub', hub)
  app.addHook('onReady', async () => hub.start())
  app.addHook('onClose', async () => hub.stop())
}, { name: 'hub', dependencies: ['bus', 'database', 'metrics', 'tracing'] })
