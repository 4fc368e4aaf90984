import fp from 'fastify-plugin'
import { ReplayRunner } from '../src/debugger/replay/replay-runner.ts'
import { createReplays, type Replays } from '../src/debugger/replay/replays.ts'

declare module 'fastify' {
  interface FastifyInstance {
    replays: Replays
  }
}

/** The bus channel on which nodes announce new replays. */
const replaysChannel = 'replays'

/** Sends stored events again, to sockets and webhooks. */
export default fp(async (app) => {
  const { db, pool, hub, eventLog: log, instruments: metrics, topics, cluster: { bus } } = app
  const { deliveries, dispatcher, replay } = app.webhooks
  const runner = new ReplayRunner({
    db,
    pool,
    log,
    hub,
    metrics,
    node: app.node.id,
    now: app.clock.now,
    logger: app.log,
    webhooks: {
      replay: (client, scope, events, { id, webhookId }) =>
        replay.enqueue(scope, events, { replayId: id, webhookId: webhookId ?? undefined }, client),
      wake: () => dispatcher.wake()
    }
  })
  app.decorate('replays', createReplays({
    db,
    log,
    topics,
    reader: app.debugger.reader,
    requireActiveWebhook: (scope, webhookId, within) => deliveries.requireActive(scope, webhookId, within),
    now: app.clock.now,
    onCreated: () => {
      runner.wake()
      bus.publish(replaysChannel, 'created')
    }
  }))
  const listening = bus.listen(replaysChannel, () => runner.wake())
  app.addHook('onReady', async () => runner.start())
  app.addHook('preClose', async () => {
    listening.end()
    await runner.close()
  })
}, {
  name: 'replays',
  dependencies: ['cluster', 'database', 'debugger', 'domain', 'hub', 'metrics', 'node', 'webhooks']
})
