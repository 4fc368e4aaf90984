import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { Server } from 'socket.io'
import type { SocketAccess } from '../src/identity/audit/access-log.ts'
import { closeCodes } from '../src/identity/auth/close-codes.ts'
import type { Connection } from '../src/delivery/sockets/connection.ts'
import { createLimitedServer } from '../src/delivery/sockets/message-limit.ts'
import { requestParser } from '../src/delivery/sockets/request-parser.ts'
import { acceptSocketIo } from '../src/delivery/sockets/socket-io-gateway.ts'
import { closeLink, type Link } from '../src/delivery/sockets/socket-io-link.ts'
import { checkHost } from '../src/foundation/http/http-host.ts'
import { ServiceUnavailableError, toPublicError, ValidationError } from '../src/errors.ts'

declare module 'fastify' {
  interface FastifyInstance { io: Server }
}

/**
 * Adds Socket.IO on the same port, in place of fastify-socket.io (docs/adr/0001). It handles only `/socket.io/`; the
 * WebSocket plugin handles other upgrades. Closing the app does not wait for clients.
 */
export default fp(async (app) => {
  const { http: { corsOrigins }, delivery: limits } = app.config
  const { clientLinks } = app
  /** Throws PublicError. The client receives its code. */
  async function admit (request: IncomingMessage): Promise<void> {
    const address = clientLinks.addressOf(request)
    if (hasCallback.test(request.url ?? '')) throw new ValidationError('VALIDATION_FAILED', 'JSONP is not supported')
    app.connections.requireRunning()
    if (app.isUnderPressure()) throw new ServiceUnavailableError('OVERLOADED', 'The server is overloaded')
    await app.admitStranger(address)
    // Checked last and without a later `await`, so that no other handshake takes the room.
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
    // Messages are short until the gateway has authenticated the client.
    wsEngine: createLimitedServer(limits.unauthenticatedFrameBytesMax),
    // A client that is refused here retries by itself, with increasing pauses.
    allowRequest: (request, answer) => {
      admit(request).then(() => answer(null, true), (error: unknown) => answer(toPublicError(error).code, false))
    },
    cors: { origin: corsOrigins.includes('*') ? '*' : corsOrigins }
  })
  app.decorate('io', io)
  // Runs before Socket.IO handles the handshake. Engine.IO answers an error with 400, also for upgrades.
  io.engine.use((request: IncomingMessage, _response: unknown, next: (error?: Error) => void) => {
    try {
      checkHost(request)
    } catch (error) {
      return next(error as Error)
    }
    next()
  })
  acceptSocketIo(io, {
    handshake: app.handshake, protocol: app.protocol, addressOf: clientLinks.addressOf,
    opened: app.accessLog && logSockets(io, app.accessLog, clientLinks.addressOf)
  })
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
}, { name: 'socket-io', dependencies: ['config', 'connection-limits', 'delivery', 'request-log', 'security'] })

/** Logs every link and every refused handshake. Returns a function to call when a link's client is authenticated. */
function logSockets (
  io: Server, accessLog: NonNullable<FastifyInstance['accessLog']>, addressOf: (request: IncomingMessage) => string
) {
  const accesses = new WeakMap<Link, SocketAccess>()
  io.engine.on('connection', (link: Link) => {
    const { request } = link
    const access = accessLog.socket({
      transport: 'socket.io',
      path: '/socket.io/',
      address: addressOf(request),
      userAgent: request.headers['user-agent'],
      tcp: tcpOf(link)
    })
    accesses.set(link, access)
    if (access.isPolling) {
      link.on('packet', ({ data }: Packet) => { if (access.isPolling) access.polled(lengthOf(data), 0) })
      link.on('packetCreate', ({ data }: Packet) => { if (access.isPolling) access.polled(0, lengthOf(data)) })
      link.once('upgrade', () => {
        const tcp = tcpOf(link)
        if (tcp !== undefined) access.upgraded(tcp)
      })
    }
    link.once('close', reason => access.closed({ reason }))
  })
  io.engine.on('connection_error', ({ req, code }: { req: IncomingMessage | undefined, code: number }) => {
    if (req === undefined) return
    // Engine.IO answers 400; or 403 if `allowRequest` refuses a request that is not an upgrade.
    const status = code === forbiddenByUs && req.headers.upgrade === undefined ? 403 : 400
    accessLog.refused({
      method: req.method, url: req.url, status, address: addressOf(req), userAgent: req.headers['user-agent']
    })
  })
  return (link: Link, connection: Connection) => accesses.get(link)?.authenticated(connection)
}

/** Engine.IO's error code for a request that `allowRequest` refused. */
const forbiddenByUs = 4

interface Packet { data?: string | Buffer }
/** Includes the byte of the packet's type. */
const lengthOf = (data: string | Buffer | undefined): number => Buffer.byteLength(data ?? '') + 1

const tcpOf = (link: Link): Socket | undefined => link.transport.socket?._socket

/** Matches JSONP. Engine.IO's oldest clients receive responses as scripts, and post packets in another form. */
const hasCallback = /[?&](?:j|%6a)=/i

const pollsMsMax = 500

/** Waits until clients between two long polls have fetched the end with their next poll. */
async function pollsAnswered (io: Server): Promise<void> {
  const deadline = performance.now() + pollsMsMax
  while (linksOf(io).some(link => link.transport.name === 'polling') && performance.now() < deadline) await sleep(10)
}

const linksOf = (io: Server): Link[] => Object.values(io.engine['clients'])
