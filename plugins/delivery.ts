import fp from 'fastify-plugin'
import { createCatchUp } from '../src/delivery/catch-up.ts'
import { closeCodes } from '../src/identity/auth/close-codes.ts'
import type { Connection } from '../src/delivery/sockets/connection.ts'
import { createConnections, type Connections } from '../src/delivery/sockets/connections.ts'
import { CredentialWatch } from '../src/identity/auth/credential-watch.ts'
import { createHandshake, type Handshake } from '../src/delivery/sockets/handshake.ts'
import { createProtocol, type Protocol } from '../src/delivery/sockets/protocol.ts'
import { adopt, refreshRequest } from '../src/delivery/sockets/refresh.ts'
import { subscriptionRequests } from '../src/delivery/sockets/subscription-requests.ts'

declare module 'fastify' {
  interface FastifyInstance {
    connections: Connections
    handshake: Handshake
    protocol: Protocol
    credentialWatch: CredentialWatch<Connection>
  }
}

/**
 * Adds the socket protocol, the same for every transport, and closes sockets whose credential has ended. The gateways
 * are plugins of their own.
 */
export default fp(async (app) => {
  const { hub, eventLog: log, instruments: metrics, liveStats } = app
  const limits = app.config.delivery
  const connections = createConnections({
    limits, metrics, liveStats, observer: app.channels.observer, deliveries: app.tracing.deliveries, held: app.heldBytes
  })
  app.decorate('connections', connections)
  app.decorate(
    'handshake',
    createHandshake({
      authenticator: app.auth.authenticator, resolveScope: app.auth.resolveScope, refusals: app.auth.refusals,
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
        auth: refreshRequest(app.auth.authenticator),
        ...app.channels.requests
      }
    })
  )
  const endSession = (key: string) =>
    connections.closeWhere(
      ({ principal }) => principal.kind === 'session' && principal.sessionKey === key, closeCodes.CREDENTIAL_REVOKED
    )
  app.auth.sessions.onEnded(key => {
    endSession(key)
    app.invalidations.announce('session', key)
  })
  app.invalidations.on('session', endSession)
  app.auth.keys.onRevoked(keyId => {
    connections.closeWhere(
      ({ principal }) => principal.kind === 'token' && principal.keyId === keyId, closeCodes.CREDENTIAL_REVOKED
    )
  })
  const watch = new CredentialWatch({
    applications: app.applicationCache, keys: app.auth.keys, sessions: app.auth.sessions,
    holders: () => connections.all(), adopt, log: app.log
  })
  app.decorate('credentialWatch', watch)
  app.auth.sessions.onGrantsChanged(() => {
    void watch.check()
    app.invalidations.announce('grants')
  })
  app.invalidations.on('grants', () => watch.check())
  app.addHook('onReady', async () => watch.start())
  app.addHook('onClose', async () => watch.close())
  app.applications.onDeleted(id => {
    connections.closeWhere(({ scope }) => scope.applicationId === id, closeCodes.APPLICATION_DELETED)
    app.eventWriter.forgetApplication(id)
  })
  app.addHook('preClose', async () => connections.closeAll(closeCodes.RESTART))
}, {
  name: 'delivery',
  dependencies: [
    'auth', 'channels', 'domain', 'events', 'hub', 'invalidations', 'metrics', 'security', 'tenancy', 'tracing'
  ]
})
