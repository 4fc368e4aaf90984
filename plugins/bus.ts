import fp from 'fastify-plugin'
import type { Bus } from '../src/cluster/bus.ts'
import { createEventRelay, type EventRelay } from '../src/cluster/event-relay.ts'
import { RedisBus } from '../src/cluster/redis-bus.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** Undefined where there is only one node, or nodes do not talk with each other. */
    bus: Bus | undefined
    relay: EventRelay | undefined
  }
}

/** What nodes tell each other, over Redis, when `REDIS_URL` is set. Without it events of other nodes arrive by the comparison of heads, about a second later. */
export default fp(async (app) => {
  const { config: { redisUrl: url }, health, instruments: metrics, log } = app
  if (url === undefined) {
    app.decorate('bus', undefined)
    app.decorate('relay', undefined)
    return
  }
  const bus = new RedisBus({ url, metrics, log })
  app.decorate('bus', bus)
  app.decorate('relay', createEventRelay({ bus, log }))
  health.add('bus', async () => {
    const { isConnected, heartbeatAgeMs } = bus.health()
    // Without it events of other nodes come late, not never: this node can do its work.
    return { status: isConnected ? 'ok' : 'degraded', heartbeatAgeMs, ...(!isConnected && { message: 'Redis cannot be reached' }) }
  })
  app.addHook('onClose', async () => bus.close())
}, { name: 'bus', dependencies: ['config', 'health', 'metrics'] })
