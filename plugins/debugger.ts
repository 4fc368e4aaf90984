import fp from 'fastify-plugin'
import { askerFor } from '../src/debugger/asker.ts'
import { Explainer } from '../src/debugger/explainer.ts'
import { ownedTraces } from '../src/debugger/tracing/owned-traces.ts'
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
    }
  }
}

/** Adds reading traces and explaining why an event did not arrive. The plugin `tracing` records the traces. */
export default fp(async (app) => {
  const { db, pool, hub, eventLog: log, instruments: metrics, topics, schemas } = app
  const { config: { events, traces: { retentionMs, heartbeatMs } }, node: { id: node } } = app
  const { recorder, subscriptions: records } = app.tracing
  const { endpoints, deliveries, dispatcher } = app.webhooks
  const webhookTraces = createWebhookTraces({ db, catchUp: () => deliveries.catchUp() })
  const webhooks = createWebhookVerdicts({
    db,
    endpoints,
    traces: webhookTraces,
    keptMs: events.retentionMs,
    pausedUntil: id => dispatcher.pausedUntil(id)
  })
  const reader = new TraceReader({ pool, log, webhooks: webhookTraces, retentionMs, flush: () => recorder.flushSoon() })
  const streams = new TraceStreams({
    reader: createStreamReader({ pool, reader, retentionMs }),
    metrics,
    log: app.log,
    heartbeatMs,
    onStored: listener => recorder.onStored(listener)
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
    })
  })
  app.addHook('preClose', async () => streams.closeAll())
}, {
  name: 'debugger',
  dependencies: [
    'config', 'credentials', 'database', 'domain', 'hub', 'metrics', 'node', 'tenancy', 'tracing', 'webhooks'
  ]
})
