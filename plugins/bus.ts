import fp from 'fastify-plugin'
import type { Bus } from '../src/cluster/bus.ts'
import { createEventRelay, type EventRelay } from '../src/delivery/event-relay.ts'
import { Peers } from '../src/cluster/peers.ts'
import { RedisBus } from '../src/cluster/redis-bus.ts'
import { SharedRecords } from '../src/cluster/shared-records.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** What nodes have to do with each other. Undefined where there is only one node. */
    cluster: { bus: Bus, peers: Peers, records: SharedRecords, relay: EventRelay } | undefined
  }
}

/**
 * What nodes tell each other, over Redis, when `REDIS_URL` is set. Without it events of other nodes arrive by the
 * comparison of heads, about a second later.
 */
export default fp(async (app) => {
  const { redis, config: { cluster: settings }, health, instruments: metrics, log } = app
  if (redis === undefined) {
    app.decorate('cluster', undefined)
    return
  }
  const bus = new RedisBus({ ...redis, metrics, log })
  const peers = new Peers({ bus, settings, metrics, log })
  const records = new SharedRecords(peers)
  app.decorate('cluster', { bus, peers, records, relay: createEventRelay({ bus, records, log }) })
  health.add('bus', async () => {
    const { isConnected, heartbeatAgeMs } = bus.health()
    // Without it events of other nodes come late, not never: this node can do its work.
    return {
      status: isConnected ? 'ok' : 'degraded',
      heartbeatAgeMs,
      ...(!isConnected && { message: 'Redis cannot be reached' })
    }
  })
  app.addHook('onReady', async () => {
    await peers.start()
    await records.complete(settings.answerMs)
  })
  app.addHook('onClose', async () => {
    peers.leave()
    await bus.close()
  })
}, { name: 'bus', dependencies: ['config', 'health', 'metrics', 'redis'] })
