import fp from 'fastify-plugin'
import { Server } from 'socket.io'
import { acceptSocketIo } from '../src/delivery/socket-io-gateway.ts'

declare module 'fastify' {
  interface FastifyInstance { io: Server }
}

/**
 * Socket.IO on the same port, in place of fastify-socket.io (docs/adr/0001). It answers `/socket.io/` only: upgrades
 * elsewhere are left to the WebSocket plugin. Closing the app does not wait for clients.
 */
export default fp(async (app) => {
  const { corsOrigins } = app.config.http
  const io = new Server(app.server, {
    path: '/socket.io',
    serveClient: false,
    destroyUpgrade: false,
    maxHttpBufferSize: 1024 * 1024,
    cors: { origin: corsOrigins.includes('*') ? '*' : corsOrigins }
  })
  app.decorate('io', io)
  acceptSocketIo(io, { handshake: app.handshake, protocol: app.protocol })
  app.addHook('preClose', async () => { io.local.disconnectSockets(true) })
  app.addHook('onClose', async () => { await io.close() })
}, { name: 'socket-io', dependencies: ['config', 'delivery'] })
