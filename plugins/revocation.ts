import fp from 'fastify-plugin'
import { adopt } from '../src/delivery/sockets/refresh.ts'
import { Revocation } from '../src/identity/auth/revocation.ts'

declare module 'fastify' {
  interface FastifyInstance {
    revocation: Revocation
  }
}

/**
 * Connects the ends of credentials, roles and applications with everything that outlives a request: sockets, trace
 * streams, caches and readers. `signingKeys` and `applications` also report changes of other nodes; sessions and roles
 * are announced here.
 */
export default fp(async (app) => {
  const { apiKeys, applications, connections, invalidations, sessions, signingKeys } = app
  const { debugger: { streams }, eventWriter, socketListeners, sourceReaders: { supervisor }, webhooks } = app
  const revocation = new Revocation({
    applications: app.applicationCache, keys: signingKeys, sessions, apiKeys, log: app.log
  })
  revocation.follow({ all: connections.all, closeWhere: connections.closeWhere, adopt })
  revocation.follow({
    all: () => streams.all(),
    closeWhere: (isMeant, reason) => streams.closeWhere(isMeant, reason),
    adopt: (stream, now) => streams.adopt(stream, now)
  })
  app.decorate('revocation', revocation)

  sessions.onEnded(key => {
    revocation.endSession(key)
    invalidations.announce('session', key)
  })
  invalidations.on('session', key => revocation.endSession(key))

  apiKeys.onRevoked(id => {
    revocation.endApiKey(id)
    invalidations.announce('api-key', id)
  })
  invalidations.on('api-key', id => {
    apiKeys.forget()
    revocation.endApiKey(id)
  })

  const followGrants = async () => {
    apiKeys.forget()
    await revocation.check()
  }
  sessions.onGrantsChanged(() => {
    void followGrants()
    invalidations.announce('grants')
  })
  invalidations.on('grants', followGrants)

  signingKeys.onRevoked(keyId => revocation.endKey(keyId))

  applications.onDeleted(id => revocation.endApplication(id))
  applications.onDeleted(() => apiKeys.forget())
  applications.onDeleted(id => eventWriter.forgetApplication(id))
  applications.onDeleted(id => webhooks.dispatcher.applicationDeleted(id))
  applications.onDeleted(id => socketListeners.refresh(id))
  applications.onDeleted(() => supervisor.look())

  app.addHook('onReady', async () => revocation.start())
  app.addHook('preClose', async () => revocation.close())
}, {
  name: 'revocation',
  dependencies: [
    'credentials', 'debugger', 'delivery', 'events', 'invalidations', 'signing-keys', 'source-readers', 'tenancy',
    'webhook-routing', 'webhooks'
  ]
})
