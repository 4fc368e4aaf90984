import fp from 'fastify-plugin'
import type { Bus } from '../src/cluster/bus.ts'
import { createEventRelay, type EventRelay } from '../src/delivery/event-relay.ts'
import { Peers } from '../src/cluster/peers.ts'
import { RedisBus } from '../src/cluster/redis-bus.ts'
import { SharedRecords } from '../src/cluster/shared-records.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** Communication with other nodes; undefined with a single node. */
    cluster: { bus: Bus, peers: Peers, records: SharedRecords, relay: EventRelay } | undefined
  }
}

/**
 * Connects this node with the others over Redis if `REDIS_URL` is set. Without it, the node finds other nodes' events
 * when it compares heads, about a second later.
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
    // Degraded, not failed: without the bus, other nodes' events arrive late, but they arrive.
    return {
      status: isConnected ? 'ok' : 'degraded',
      heartbeatAgeMs,
      ...(!isConnected && { message: 'Redis is unreachable' })
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
