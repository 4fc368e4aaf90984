import { EventEmitter } from 'node:events'
import type { IncomingMessage, Server } from 'node:http'
import type { Duplex } from 'node:stream'
import websocket from '@fastify/websocket'
import fp from 'fastify-plugin'
import { acceptWebSocket } from '../src/delivery/ws-gateway.ts'

/** Frames of clients are small; documents come in by REST. */
const frameBytesMax = 1024 * 1024
const heartbeatMs = 25_000

/**
 * Plain WebSocket at `/ws`. @fastify/websocket answers every upgrade it hears of, Socket.IO's included, so it hears of
 * them through an emitter that only passes on those outside `/socket.io/`.
 */
export default fp(async (app) => {
  const upgrades = new EventEmitter()
  const forward = (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    if (!request.url?.startsWith('/socket.io/')) upgrades.emit('upgrade', request, socket, head)
  }
  app.server.on('upgrade', forward)
  await app.register(websocket, {
    options: {
      server: upgrades as unknown as Server,
      maxPayload: frameBytesMax,
      perMessageDeflate: false,
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
  const { authTimeoutMs } = app.config.delivery
  app.get('/ws', { websocket: true, config: { permission: 'public' } }, (webSocket, request) => {
    acceptWebSocket(webSocket, request.raw, { handshake: app.handshake, protocol: app.protocol, authTimeoutMs })
  })

  const answered = new WeakSet<object>()
  app.websocketServer.on('connection', webSocket => {
    answered.add(webSocket)
    webSocket.on('pong', () => answered.add(webSocket))
  })
  const heartbeat = setInterval(() => {
    for (const client of app.websocketServer.clients) {
      if (!answered.delete(client)) client.terminate()
      else client.ping()
    }
  }, heartbeatMs).unref()
  app.addHook('onClose', async () => {
    clearInterval(heartbeat)
    app.server.off('upgrade', forward)
    for (const client of app.websocketServer.clients) client.terminate()
  })
}, { name: 'websocket', dependencies: ['config', 'delivery', 'auth', 'request-log'] })
