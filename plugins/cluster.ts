import fp from 'fastify-plugin'
import type { Cluster } from '../src/cluster/cluster.ts'
import { localCluster } from '../src/cluster/local-cluster.ts'
import { Peers } from '../src/cluster/peers.ts'
import { RedisBus } from '../src/cluster/redis-bus.ts'
import { SharedRecords } from '../src/cluster/shared-records.ts'
import { createEventRelay, localRelay, type EventRelay } from '../src/delivery/event-relay.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** Communication with other nodes. Does nothing without Redis. */
    cluster: Cluster & { relay: EventRelay }
  }
}

/**
 * Connects this node with the others over Redis if `REDIS_URL` is set. Without it, the node finds other nodes' events
 * when it compares heads, about a second later.
 */
export default fp(async (app) => {
  const { node, redis, config: { cluster: settings }, health, instruments: metrics, log } = app
  if (redis === undefined) {
    app.decorate('cluster', { ...localCluster, relay: localRelay })
    return
  }
  const bus = new RedisBus({ ...redis, node, metrics, log })
  const peers = new Peers({ node, bus, settings, metrics, log })
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
}, { name: 'cluster', dependencies: ['config', 'health', 'metrics', 'node', 'redis'] })
