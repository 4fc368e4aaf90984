import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import type { Bus } from '../src/cluster/bus.ts'
import type { Cluster } from '../src/cluster/cluster.ts'
import { IpcBus } from '../src/cluster/ipc/ipc-bus.ts'
import { localCluster } from '../src/cluster/local-cluster.ts'
import { Peers } from '../src/cluster/peers.ts'
import { RedisBus } from '../src/cluster/redis-bus.ts'
import { SharedRecords } from '../src/cluster/shared-records.ts'
import { createEventRelay, localRelay, type EventRelay } from '../src/delivery/event-relay.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** Communication with other nodes. Does nothing without Redis and without workers. */
    cluster: Cluster & { relay: EventRelay }
  }
}

/** After this silence, the bus counts as degraded. */
const silentMs = 5000

/**
 * Connects this node with the others: over Redis if `REDIS_URL` is set, otherwise over the parent process of this
 * worker. Without both, the node finds other nodes' events when it compares heads, about a second later.
 */
export default fp(async (app) => {
  const { node, config: { cluster: settings }, health, instruments: metrics, log } = app
  const bus = createBus(app)
  if (bus === undefined) {
    app.decorate('cluster', { ...localCluster, relay: localRelay })
    return
  }
  const peers = new Peers({ node, bus, settings, metrics, log })
  const records = new SharedRecords(peers)
  app.decorate('cluster', { bus, peers, records, relay: createEventRelay({ bus, records, log }) })
  health.add('bus', async () => {
    const { isConnected, heartbeatAgeMs } = bus.health()
    const isOk = isConnected && heartbeatAgeMs < silentMs
    // Degraded, not failed: without the bus, other nodes' events arrive late, but they arrive.
    return {
      status: isOk ? 'ok' : 'degraded',
      heartbeatAgeMs,
      ...(!isOk && { message: app.redis === undefined ? 'The parent process is silent' : 'Redis is unreachable' })
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
}, { name: 'cluster', dependencies: ['config', 'health', 'metrics', 'node', 'redis', 'worker'] })

function createBus ({ redis, worker, node, instruments: metrics, log }: FastifyInstance): Bus | undefined {
  if (redis !== undefined) return new RedisBus({ ...redis, node, metrics, log })
  return worker && new IpcBus({ parent: worker.parent, metrics })
}
