import type { IncomingMessage } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import fp from 'fastify-plugin'
import { Server } from 'socket.io'
import { closeCodes } from '../src/delivery/close-codes.ts'
import { createLimitedServer } from '../src/delivery/message-limit.ts'
import { requestParser } from '../src/delivery/request-parser.ts'
import { acceptSocketIo } from '../src/delivery/socket-io-gateway.ts'
import { closeLink, type Link } from '../src/delivery/socket-io-link.ts'
import { checkHost } from '../src/http-host.ts'
import { ServiceUnavailableError, toPublicError, ValidationError } from '../src/errors.ts'

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
  /** Throws PublicError, of which the client is told the code. */
  async function admit (request: IncomingMessage): Promise<void> {
    const address = clientLinks.addressOf(request)
    if (hasCallback.test(request.url ?? '')) throw new ValidationError('VALIDATION_FAILED', 'JSONP is not supported')
    app.connections.requireRunning()
    if (app.isUnderPressure()) throw new ServiceUnavailableError('OVERLOADED', 'The server has more to do than it can')
    await app.admitStranger(address)
    // Last, so that no other handshake comes in between.
    clientLinks.requireRoom(address)
  }
  const io = new Server(app.server, {
    path: '/socket.io',
    serveClient: false,
    parser: requestParser,
    destroyUpgrade: false,
    maxHttpBufferSize: limits.frameBytesMax,
    pingInterval: limits.pingIntervalMs,
    pingTimeout: limits.pongTimeoutMs,
    connectTimeout: limits.authTimeoutMs,
    // Its messages are short until the gateway knows the client.
    wsEngine: createLimitedServer(limits.unauthenticatedFrameBytesMax),
    // A client whose handshake is refused here tries again by itself, and waits longer from one try to the next.
    allowRequest: (request, answer) => {
      admit(request).then(() => answer(null, true), (error: unknown) => answer(toPublicError(error).code, false))
    },
    cors: { origin: corsOrigins.includes('*') ? '*' : corsOrigins }
  })
  app.decorate('io', io)
  // Before a handshake is looked at. An error here is answered 400, on upgrades as well.
  io.engine.use((request: IncomingMessage, _response: unknown, next: (error?: Error) => void) => {
    try {
      checkHost(request)
    } catch (error) {
      return next(error as Error)
    }
    next()
  })
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
}, { name: 'socket-io', dependencies: ['config', 'connection-limits', 'delivery', 'security'] })

/** Engine.IO's oldest clients take answers as scripts, and post packets in a form of their own. */
const hasCallback = /[?&](?:j|%6a)=/i

const pollsMsMax = 500

/** Whoever is between two long polls hears of the end by the next one. */
async function pollsAnswered (io: Server): Promise<void> {
  const deadline = performance.now() + pollsMsMax
  while (linksOf(io).some(link => link.transport.name === 'polling') && performance.now() < deadline) await sleep(10)
}

const linksOf = (io: Server): Link[] => Object.values((io.engine as unknown as { clients: Record<string, Link> }).clients)
