import fp from 'fastify-plugin'
import { checkHost } from '../src/foundation/http/http-host.ts'

/**
 * Refuses requests and upgrades without one valid `Host`. Socket.IO's handshakes, which Fastify does not see, check it
 * themselves.
 */
// After `websocket`, whose hook marks an upgrade, so that a refused one is closed.
export default fp(async (app) => {
  app.addHook('onRequest', (request, _reply, done) => {
    checkHost(request.raw)
    done()
  })
}, { name: 'host', dependencies: ['request-log', 'security', 'websocket'] })
