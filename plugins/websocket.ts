import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import websocket from '@fastify/websocket'
import fp from 'fastify-plugin'
import type { WebSocket } from 'ws'
import { ClientWebSocket } from '../src/delivery/sockets/client-web-socket.ts'
import type { Connection } from '../src/delivery/sockets/connection.ts'
import { fragmentLimit } from '../src/delivery/sockets/message-limit.ts'
import { acceptWebSocket } from '../src/delivery/sockets/ws-gateway.ts'
import { NotFoundError } from '../src/errors.ts'

/** The only subprotocol that the server accepts. Accepting another would promise its behaviour. */
const subprotocol = 'realtime.v1'

/**
 * Adds plain WebSocket at `/ws`. @fastify/websocket handles every upgrade event that it receives, Socket.IO's included.
 * It therefore receives them from a server that never listens and passes on only those for `/ws`.
 */
export default fp(async (app) => {
  const limits = app.config.delivery
  const upgrades = createServer()
  const forward = (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    const [path] = (request.url ?? '').split('?', 1)
    if (path === '/ws') upgrades.emit('upgrade', request, socket, head)
    // @fastify/websocket would accept the upgrade, close it, and log its URL, which may contain a token.
    else if (!request.url?.startsWith('/socket.io/')) {
      refuseUpgrade(socket)
      app.accessLog?.refused({
        method: request.method, url: request.url, status: 404, address: app.clientLinks.addressOf(request),
        userAgent: request.headers['user-agent']
      })
    }
  }
  app.server.on('upgrade', forward)
  await app.register(websocket, {
    options: {
      server: upgrades,
      WebSocket: ClientWebSocket,
      // Until the gateway has authenticated the client.
      maxPayload: limits.unauthenticatedFrameBytesMax,
      perMessageDeflate: false,
      handleProtocols: protocols => protocols.has(subprotocol) && subprotocol,
      // Options that the types lack.
      ...{ closeTimeout: limits.closeTimeoutMs, ...fragmentLimit },
      // Invalid UTF-8 is answered with an error frame instead of closing the connection.
      skipUTF8Validation: true
    },
    // `connections.closeAll` has closed the authenticated sockets. This closes the others.
    preClose: done => {
      for (const client of app.websocketServer.clients) {
        if (client.readyState === client.OPEN) client.close(1012, 'SHUTTING_DOWN')
      }
      app.websocketServer.close(() => {})
      done()
    }
  })
  // The library closes only the sockets that it handles. An upgrade that an earlier hook refuses would stay open,
  // without a timeout.
  app.addHook('onResponse', (request, _reply, done) => {
    const raw: IncomingMessage & { upgrade?: boolean } = request.raw
    if (raw.upgrade === true && !request.ws) raw.socket.destroySoon()
    done()
  })
  const options = { handshake: app.handshake, protocol: app.protocol, closed: app.clientLinks.closed }
  /** Returns the options of a socket: its own with ACCESS_LOG, otherwise the shared ones. */
  const optionsOf = (webSocket: ClientWebSocket, raw: IncomingMessage, address: string) => {
    const access = app.accessLog?.socket({
      transport: 'ws', path: '/ws', address, userAgent: raw.headers['user-agent'], tcp: raw.socket
    })
    if (access === undefined) return options
    webSocket.once('close', (code, reason) => access.closed({ code, reason: reason.toString() }))
    return { ...options, opened: (connection: Connection) => access.authenticated(connection) }
  }
  app.get('/ws', {
    websocket: true,
    config: { permission: 'public' },
    onRequest: (request, _reply, done) => {
      app.connections.requireRunning()
      app.clientLinks.requireRoom(request.ip)
      done()
    }
  }, (webSocket, { raw, ip }) => {
    app.clientLinks.opened(ip)
    letGo(webSocket, raw)
    acceptWebSocket(webSocket as ClientWebSocket, raw, ip, optionsOf(webSocket as ClientWebSocket, raw, ip))
  })

  const heartbeat = setInterval(() => {
    for (const webSocket of app.websocketServer.clients) (webSocket as ClientWebSocket).client?.ping()
  }, limits.pingIntervalMs).unref()
  app.addHook('onClose', async () => {
    clearInterval(heartbeat)
    app.server.off('upgrade', forward)
    for (const client of app.websocketServer.clients) client.terminate()
  })
}, { name: 'websocket', dependencies: ['config', 'connection-limits', 'delivery', 'auth', 'request-log'] })

function refuseUpgrade (socket: Duplex): void {
  const body = JSON.stringify(
    new NotFoundError('ROUTE_NOT_FOUND', 'WebSockets are accepted at /ws and /socket.io/').toBody()
  )
  socket.on('error', () => {})
  socket.end(
    [
      'HTTP/1.1 404 Not Found',
      'Content-Type: application/json; charset=utf-8',
      `Content-Length: ${Buffer.byteLength(body)}`,
      'Connection: close',
      '',
      body
    ].join('\r\n'),
    () => socket.destroy()
  )
}

/**
 * Releases what @fastify/websocket attaches to the socket for its error handler: Fastify's request and reply, and with
 * them the upgrade, for the life of the socket. The gateway handles the errors.
 */
function letGo (
  webSocket: WebSocket, { socket }: IncomingMessage & { socket: Socket & { _httpMessage?: ServerResponse | null } }
): void {
  webSocket.removeAllListeners('error')
  socket._httpMessage?.detachSocket(socket)
  // The array of listeners has room for the reply's and sixteen more. Removing all but one frees it. Adding them again
  // allocates an array for two.
  for (const listener of socket.listeners('close').slice(1) as (() => void)[]) {
    socket.off('close', listener)
    socket.on('close', listener)
  }
}
