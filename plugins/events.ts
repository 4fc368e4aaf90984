import fp from 'fastify-plugin'
import { createRetention, type Retention } from '../src/events/retention.ts'
import { EventWriter } from '../src/events/writer.ts'

declare module 'fastify' {
  interface FastifyInstance {
    eventWriter: EventWriter
    retention: Retention
  }
}

/** Runs the log's writer and its retention, and publishes committed events to the hub. */
export default fp(async (app) => {
  const { pool, hub, instruments: metrics, log, config: { events: { retentionMs } } } = app
  const retention = createRetention({ pool, metrics, retentionMs, node: app.node.id, now: app.clock.now, log })
  const writer = new EventWriter({
    pool,
    metrics,
    log,
    now: app.clock.now,
    check: app.validators,
    epochOf: app.epochOf,
    routing: app.webhookRouting,
    observer: app.tracing.writes,
    quota: app.quotas.guard,
    onCommitted (events) {
      hub.publish(events)
      app.cluster.relay.send(events)
    }
  })
  app.decorate('eventWriter', writer)
  app.decorate('retention', retention)
  app.health.add('event-writer', async () => {
    const { depth, oldestWaitingMs } = writer.health()
    return { status: oldestWaitingMs < 10_000 ? 'ok' : 'failed', depth, oldestWaitingMs }
  })
  await retention.start()
  app.addHook('onClose', async () => {
    retention.stop()
    await writer.close()
  })
}, {
  name: 'events',
  dependencies: [
    'cluster', 'config', 'database', 'metrics', 'health', 'hub', 'node', 'quotas', 'schema-registry', 'tracing',
    'webhook-routing'
  ]
})
