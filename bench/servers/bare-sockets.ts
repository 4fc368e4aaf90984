import { fastify } from 'fastify'
import { Server } from 'socket.io'
import { WebSocketServer, type WebSocket } from 'ws'
import { answerCalls } from '../children.ts'
import { cpuSeconds, memoryBytes } from './usage.ts'

/*
 * A fan-out without the platform: every post goes to all clients in the room as it arrives. The envelope is as long as
 * the platform's. It stores nothing and does not authenticate.
 */

const app = fastify({ bodyLimit: 16 * 1024 * 1024 })
const io = new Server(app.server, { path: '/socket.io', serveClient: false, destroyUpgrade: false })
const webSockets = new WebSocketServer({ noServer: true, perMessageDeflate: false })
const rooms = new Map<string, Set<WebSocket>>()
const heads = new Map<string, number>()

io.on('connection', socket => {
  socket.on('subscribe', ({ topic }: { topic: string }, acknowledge: (answer: object) => void) => {
    void socket.join(topic)
    acknowledge({ ok: true, topic, offset: heads.get(topic) ?? 0 })
  })
})

app.server.on('upgrade', (request, socket, head) => {
  if (request.url !== '/ws') return
  webSockets.handleUpgrade(request, socket, head, webSocket => {
    webSocket.on('message', data => subscribe(webSocket, JSON.parse((data as Buffer).toString()) as { topic: string }))
    webSocket.send('{"type":"authenticated"}')
  })
})

function subscribe (webSocket: WebSocket, { topic }: { topic: string }): void {
  const room = rooms.get(topic) ?? new Set()
  rooms.set(topic, room.add(webSocket))
  webSocket.on('close', () => room.delete(webSocket))
  webSocket.send(JSON.stringify({ type: 'subscribed', topic, offset: heads.get(topic) ?? 0 }))
}

interface Publication { payload: object }

app.post<{ Params: { topic: string }, Body: Publication & { events?: Publication[] } }>(
  '/api/topics/:topic/events',
  async (request, reply) => {
    const { topic } = request.params
    const { events = [request.body] } = request.body
    for (const { payload } of events) emit(topic, payload)
    return reply.code(201).send({ offset: heads.get(topic) })
  }
)

function emit (topic: string, payload: object): void {
  const offset = (heads.get(topic) ?? 0) + 1
  heads.set(topic, offset)
  const event = {
    id: 'evt_0123456789abcdef',
    topic,
    offset,
    epoch: '0123456789ab',
    type: 'topic.event',
    source: 'api',
    applicationId: 'app_0123456789abcdef',
    environment: 'development',
    timestamp: Date.now(),
    schemaVersion: null,
    key: null,
    payload,
    subscriptionIds: ['sub_0123456789abcdef']
  }
  io.to(topic).emit('event', event)
  const room = rooms.get(topic)
  if (room === undefined) return
  const text = JSON.stringify({ type: 'event', topic, data: event })
  for (const webSocket of room) webSocket.send(text)
}

const start = async (): Promise<{ url: string }> => ({ url: await app.listen({ host: '127.0.0.1', port: 0 }) })

const methods = { start, cpuSeconds, memoryBytes }
export type BareSockets = typeof methods
answerCalls(methods)
