import { setTimeout as sleep } from 'node:timers/promises'
import fp from 'fastify-plugin'
import { Server } from 'socket.io'
import { closeCodes } from '../src/delivery/close-codes.ts'
import { requestParser } from '../src/delivery/request-parser.ts'
import { acceptSocketIo } from '../src/delivery/socket-io-gateway.ts'
import { closeLink, type Link } from '../src/delivery/socket-io-link.ts'
import { toPublicError } from '../src/errors.ts'

declare module 'fastify' {
  interface FastifyInstance { io: Server }
}

/**
 * Socket.IO on the same port, in place of fastify-socket.io (docs/adr/0001). It answers `/socket.io/` only: upgrades
 * elsewhere are left to the WebSocket plugin. Closing the app does not wait for clients.
 */
export default fp(async (app) => {
  const { http: { corsOrigins }, delivery: limits } = app.config
  const { clientLinks } = app
  const io = new Server(app.server, {
    path: '/socket.io',
    serveClient: false,
    parser: requestParser,
    destroyUpgrade: false,
    maxHttpBufferSize: limits.frameBytesMax,
    pingInterval: limits.pingIntervalMs,
    pingTimeout: limits.pongTimeoutMs,
    connectTimeout: limits.authTimeoutMs,
    // A client whose handshake is refused here tries again by itself, and waits longer from one try to the next.
    allowRequest: (request, answer) => {
      try {
        app.connections.requireRunning()
        clientLinks.requireRoom(clientLinks.addressOf(request))
        if (app.isUnderPressure()) answer('OVERLOADED', false)
        else answer(null, true)
      } catch (error) {
        answer(toPublicError(error).code, false)
      }
    },
    cors: { origin: corsOrigins.includes('*') ? '*' : corsOrigins }
  })
  app.decorate('io', io)
  acceptSocketIo(io, { handshake: app.handshake, protocol: app.protocol, addressOf: clientLinks.addressOf })
  io.engine.on('connection', (link: Link) => {
    const address = clientLinks.addressOf(link.request)
    clientLinks.opened(address)
    link.once('close', () => clientLinks.closed(address))
  })
  app.addHook('preClose', async () => {
    // `connections.closeAll` has closed the authenticated ones.
    for (const link of linksOf(io)) closeLink(link, closeCodes.RESTART, limits.closeTimeoutMs)
    await pollsAnswered(io)
    io.engine.close()
  })
  app.addHook('onClose', async () => { await io.close() })
}, { name: 'socket-io', dependencies: ['config', 'connection-limits', 'delivery'] })

const pollsMsMax = 500

/** Whoever is between two long polls hears of the end by the next one. */
async function pollsAnswered (io: Server): Promise<void> {
  const deadline = performance.now() + pollsMsMax
  while (linksOf(io).some(link => link.transport.name === 'polling') && performance.now() < deadline) await sleep(10)
}

const linksOf = (io: Server): Link[] => Object.values((io.engine as unknown as { clients: Record<string, Link> }).clients)
