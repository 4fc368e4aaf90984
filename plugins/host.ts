import fp from 'fastify-plugin'
import { checkHost } from '../src/foundation/http/http-host.ts'

/**
 * Rejects requests and upgrades without exactly one valid `Host`. Socket.IO checks its handshakes itself, because
 * Fastify does not see them. Registered after `websocket`, whose hook marks upgrades so that a rejected one is closed.
 */
export default fp(async (app) => {
  app.addHook('onRequest', (request, _reply, done) => {
    checkHost(request.raw)
    done()
  })
}, { name: 'host', dependencies: ['request-log', 'security', 'websocket'] })
