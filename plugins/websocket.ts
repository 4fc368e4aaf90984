import { EventEmitter } from 'node:events'
import type { IncomingMessage, Server } from 'node:http'
import type { Duplex } from 'node:stream'
import websocket from '@fastify/websocket'
import fp from 'fastify-plugin'
import type { WebSocket } from 'ws'
import { acceptWebSocket, type WsLink } from '../src/delivery/ws-gateway.ts'

/**
 * Plain WebSocket at `/ws`. @fastify/websocket answers every upgrade it hears of, Socket.IO's included, so it hears of
 * them through an emitter that only passes on those outside `/socket.io/`.
 */
export default fp(async (app) => {
  const limits = app.config.delivery
  const upgrades = new EventEmitter()
  const forward = (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    if (!request.url?.startsWith('/socket.io/')) upgrades.emit('upgrade', request, socket, head)
  }
  app.server.on('upgrade', forward)
  await app.register(websocket, {
    options: {
      server: upgrades as unknown as Server,
      maxPayload: limits.frameBytesMax,
      perMessageDeflate: false,
      // Newer than the types.
      ...{ closeTimeout: limits.closeTimeoutMs },
      // Broken UTF-8 is answered with an error frame instead of the end of the connection.
      skipUTF8Validation: true
    },
    // `connections.closeAll` has said goodbye; whoever never authenticated is cut off.
    preClose: done => {
      for (const client of app.websocketServer.clients) if (client.readyState === client.OPEN) client.close(1012, 'SHUTTING_DOWN')
      app.websocketServer.close(() => {})
      done()
    }
  })
  const links = new Map<WebSocket, WsLink>()
  app.get('/ws', { websocket: true, config: { permission: 'public' } }, (webSocket, request) => {
    links.set(webSocket, acceptWebSocket(webSocket, request.raw, { handshake: app.handshake, protocol: app.protocol }))
    webSocket.on('close', () => links.delete(webSocket))
  })

  // Whoever gives no sign of life between two pings has vanished, even if TCP does not know it yet.
  const alive = new WeakSet<WebSocket>()
  app.websocketServer.on('connection', webSocket => {
    const isAlive = () => { alive.add(webSocket) }
    isAlive()
    for (const sign of ['pong', 'ping', 'message']) webSocket.on(sign, isAlive)
  })
  const heartbeat = setInterval(() => {
    for (const client of app.websocketServer.clients) {
      if (alive.delete(client)) client.ping()
      else if (links.has(client)) links.get(client)?.vanished()
      else client.terminate()
    }
  }, limits.pingIntervalMs).unref()
  app.addHook('onClose', async () => {
    clearInterval(heartbeat)
    app.server.off('upgrade', forward)
    for (const client of app.websocketServer.clients) client.terminate()
  })
}, { name: 'websocket', dependencies: ['config', 'delivery', 'auth', 'request-log'] })
