import fp from 'fastify-plugin'
import { createPool } from '../db/connection.ts'
import { reasonOf } from '../src/foundation/observability/logger.ts'
import { createAddressGuard } from '../src/webhooks/http/address-guard.ts'
import { createDeactivation } from '../src/webhooks/dispatch/deactivation.ts'
import { createDeliveries, type Deliveries } from '../src/webhooks/deliveries.ts'
import { Dispatcher } from '../src/webhooks/dispatch/dispatcher.ts'
import { withinOf } from '../src/webhooks/endpoint-rows.ts'
import { createEndpoints, type Endpoints } from '../src/webhooks/endpoints.ts'
import { createDeliveryRetention } from '../src/webhooks/delivery-retention.ts'
import { createNameLookup } from '../src/webhooks/http/name-lookup.ts'
import { createOutbox } from '../src/webhooks/dispatch/outbox.ts'
import { createQueue } from '../src/webhooks/dispatch/queue.ts'
import { ownedWebhooks } from '../src/webhooks/owned-webhooks.ts'
import { createReaders } from '../src/webhooks/readers.ts'
import { createReplay, type Replay } from '../src/webhooks/replay.ts'
import { createTestRequest, type TestRequest } from '../src/webhooks/test-request.ts'

declare module 'fastify' {
  interface FastifyInstance {
    webhooks: {
      endpoints: Endpoints
      deliveries: Deliveries
      test: TestRequest
      replay: Replay
      dispatcher: Dispatcher
      withinOf: typeof withinOf
    }
  }
}

/** Database connections: for claims, recording results, expanding the outbox, and requests that list deliveries. */
const connections = 4

/**
 * Adds the webhooks of the applications and the dispatcher that sends deliveries. The writer creates the deliveries
 * through the plugin `webhook-routing`.
 */
export default fp(async (app) => {
  const {
    db, pool, encryption, log, instruments: metrics, eventWriter: writer,
    config: { webhooks: settings, isProduction, database: { url: databaseUrl } }
  } = app
  if (databaseUrl === undefined) throw new Error('config.database.url is not set')
  const guard = createAddressGuard({
    ...settings,
    ...(!isProduction && { hint: 'For development, set WEBHOOK_ALLOW_PRIVATE=true to allow it' }),
    resolve: settings.resolve ?? createNameLookup(settings),
    onRefused: refusal => log.warn(refusal, 'webhooks.address_refused')
  })
  // A separate pool, so that API requests and deliveries do not wait for each other's connections.
  const ownPool = createPool({
    connectionString: databaseUrl,
    max: connections,
    applicationName: 'realtime-platform-webhooks',
    plansOnce: true,
    onError: err => log.warn(reasonOf(err), 'database.connection_lost')
  })
  const outbox = createOutbox({ pool: ownPool, now: app.clock.now })
  const onChanged = async (applicationId: string, webhookId: string) => {
    dispatcher.changed(webhookId)
    app.invalidations.announce('webhooks', applicationId)
    await app.socketListeners.refresh(applicationId)
  }
  const endpoints = createEndpoints({ db, encryption, guard, settings, log, onChanged, quota: app.quotas.guard })
  app.invalidations.on('webhooks', async applicationId => {
    await app.socketListeners.refresh(applicationId)
    dispatcher.wake()
  })
  const dispatcher: Dispatcher = new Dispatcher({
    now: app.clock.now,
    db,
    outbox,
    queue: createQueue({ pool: ownPool }),
    guard,
    encryption,
    readers: createReaders({ db }),
    settings,
    metrics,
    liveStats: app.liveStats,
    log,
    deactivation: createDeactivation({ db, writer, now: app.clock.now, log, onChanged }),
    node: app.node.id,
    onOver: events => app.tracing.recorder.settled(events),
    onDelivered: ({ scope }) => app.quotas.recorder.delivered(scope.applicationId, 1)
  })
  const wake = () => dispatcher.wake()
  app.applications.registerData(ownedWebhooks)
  app.decorate('webhooks', {
    endpoints,
    deliveries: createDeliveries({ db, outbox, encryption, wake, now: app.clock.now }),
    test: createTestRequest({ db, endpoints, guard, encryption, settings }),
    replay: createReplay({ pool, wake, now: app.clock.now }),
    dispatcher,
    withinOf
  })
  const { deadKeptMs } = settings
  const retention = createDeliveryRetention({ pool: ownPool, outbox, deadKeptMs, now: app.clock.now, log })
  app.retention.beforeDeletion(retention)
  app.webhookRouting.onCommitted(wake)
  app.health.add('webhook-dispatcher', async () => dispatcher.health())
  app.addHook('onReady', async () => dispatcher.start())
  app.addHook('preClose', async () => dispatcher.close())
  app.addHook('onClose', async () => ownPool.end())
}, {
  name: 'webhooks',
  dependencies: [
    'config', 'database', 'domain', 'encryption', 'events', 'health', 'invalidations', 'metric-series', 'metrics',
    'node', 'quotas', 'tenancy', 'tracing', 'webhook-routing'
  ]
})
