import fp from 'fastify-plugin'
import { createCatchUp } from '../src/delivery/catch-up.ts'
import { closeCodes } from '../src/identity/auth/close-codes.ts'
import { appendRequest } from '../src/delivery/sockets/append.ts'
import { createConnections, type Connections } from '../src/delivery/sockets/connections.ts'
import { createHandshake, type Handshake } from '../src/delivery/sockets/handshake.ts'
import { createProtocol, type Protocol } from '../src/delivery/sockets/protocol.ts'
import { refreshRequest } from '../src/delivery/sockets/refresh.ts'
import { subscriptionRequests } from '../src/delivery/sockets/subscription-requests.ts'

declare module 'fastify' {
  interface FastifyInstance {
    connections: Connections
    handshake: Handshake
    protocol: Protocol
  }
}

/** Adds the socket protocol, the same for every transport. The gateways are plugins of their own. */
export default fp(async (app) => {
  const { hub, eventLog: log, instruments: metrics, liveStats } = app
  const limits = app.config.delivery
  const connections = createConnections({
    limits, metrics, liveStats, observer: app.channels.observer, deliveries: app.tracing.deliveries,
    held: app.heldBytes, shared: app.quotas.guard
  })
  app.quotas.node.open = () => connections.counts()
  app.decorate('connections', connections)
  app.decorate(
    'handshake',
    createHandshake({
      authenticator: app.authenticator, resolveScope: app.resolveScope, refusals: app.refusalLimit,
      connections, limits, metrics, forgive: address => app.forgiveStranger(address)
    })
  )
  app.decorate(
    'protocol',
    createProtocol({
      logger: app.log,
      isOverloaded: () => app.isUnderPressure(),
      requests: {
        ...subscriptionRequests({
          hub, log, limits, metrics, catchUp: createCatchUp({ log, observer: app.tracing.deliveries }), logger: app.log,
          requireTopic: (scope, topic) => app.topics.requireTopic(scope, topic),
          requireRoom: (subscriber, filter) => connections.requireRoomToSubscribe(subscriber, filter)
        }),
        append: appendRequest({
          publisher: app.publisher, countRequest: (principal, scope) => app.countRequest(principal, scope)
        }),
        auth: refreshRequest(app.authenticator),
        ...app.channels.requests
      }
    })
  )
  app.addHook('preClose', async () => connections.closeAll(closeCodes.RESTART))
}, {
  name: 'delivery',
  dependencies: [
    'channels', 'credentials', 'domain', 'hub', 'metric-series', 'metrics', 'quotas', 'security', 'tenancy',
    'tracing'
  ]
})
