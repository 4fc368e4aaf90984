import fp from 'fastify-plugin'
import { askerFor } from '../src/debugger/asker.ts'
import { createDashboard, type DashboardReader, createPipelineLoad } from '../src/debugger/dashboard.ts'
import { Explainer } from '../src/debugger/explainer.ts'
import { ownedTraces } from '../src/debugger/tracing/owned-traces.ts'
import { ReplayRunner } from '../src/debugger/replay/replay-runner.ts'
import { createReplays, type Replays } from '../src/debugger/replay/replays.ts'
import { createRouter, type Router } from '../src/debugger/router.ts'
import { createStreamReader } from '../src/debugger/stream-reader.ts'
import { createSubscriptionHistory } from '../src/debugger/subscription-history.ts'
import { TraceReader } from '../src/debugger/trace-reader.ts'
import { TraceStreams } from '../src/debugger/trace-streams.ts'
import { createWebhookTraces } from '../src/debugger/webhook-traces.ts'
import { createWebhookVerdicts } from '../src/debugger/webhook-verdicts.ts'

declare module 'fastify' {
  interface FastifyInstance {
    debugger: {
      askerFor: typeof askerFor
      reader: TraceReader
      streams: TraceStreams
      router: Router
      explainer: Explainer
      replays: Replays
    }
    dashboard: DashboardReader
  }
}

/** The bus channel on which nodes announce new replays. */
const replaysChannel = 'replays'

/**
 * Adds reading traces, explaining why an event did not arrive, and replaying events. The plugin `tracing` records the
 * traces.
 */
export default fp(async (app) => {
  const { config, db, pool, hub, eventLog: log, instruments: metrics, tracing, topics, schemas } = app
  const { recorder, subscriptions: records } = tracing
  const node = app.node.id
  const retentionMs = config.traces.retentionHours * 3_600_000
  const { endpoints, deliveries, dispatcher, replay } = app.webhooks
  const webhookTraces = createWebhookTraces({ db, catchUp: () => deliveries.catchUp() })
  const webhooks = createWebhookVerdicts({
    db,
    endpoints,
    traces: webhookTraces,
    keptMs: config.events.retentionHours * 3_600_000,
    pausedUntil: id => dispatcher.pausedUntil(id)
  })
  const reader = new TraceReader({ pool, log, webhooks: webhookTraces, retentionMs, flush: () => recorder.flushSoon() })
  const streams = new TraceStreams({
    reader: createStreamReader({ pool, reader, retentionMs }),
    metrics,
    log: app.log,
    heartbeatMs: config.traces.heartbeatMs,
    onStored: listener => recorder.onStored(listener)
  })
  const runner = new ReplayRunner({
    db,
    pool,
    log,
    hub,
    metrics,
    node,
    now: app.clock.now,
    logger: app.log,
    webhooks: {
      replay: (client, scope, events, { id, webhookId }) =>
        replay.enqueue(scope, events, { replayId: id, webhookId: webhookId ?? undefined }, client),
      wake: () => dispatcher.wake()
    }
  })
  app.applications.registerData(ownedTraces)
  app.decorate('debugger', {
    askerFor,
    reader,
    streams,
    router: createRouter({ db, hub, topics, schemas, records, webhooks, node }),
    explainer: new Explainer({
      log, reader, subscriptions: createSubscriptionHistory({ db, records, node }),
      authenticator: app.authenticator, webhooks
    }),
    replays: createReplays({
      db,
      log,
      topics,
      reader,
      requireActiveWebhook: (scope, webhookId, within) => deliveries.requireActive(scope, webhookId, within),
      now: app.clock.now,
      onCreated: () => {
        runner.wake()
        app.cluster.bus.publish(replaysChannel, 'created')
      }
    })
  })
  app.decorate('dashboard', createDashboard({
    liveStats: app.liveStats, hub, writesWaiting: () => app.eventWriter.health().depth, load: createPipelineLoad({ db })
  }))

  const listening = app.cluster.bus.listen(replaysChannel, () => runner.wake())
  app.addHook('onReady', async () => runner.start())
  app.addHook('preClose', async () => {
    listening.end()
    streams.closeAll()
    await runner.close()
  })
}, {
  name: 'debugger',
  dependencies: [
    'cluster', 'config', 'credentials', 'database', 'domain', 'events', 'hub', 'metrics', 'node', 'tenancy', 'tracing',
    'webhooks'
  ]
})
