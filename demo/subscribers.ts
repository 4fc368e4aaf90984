import { io } from 'socket.io-client'
import { WebSocket } from 'ws'

/** The fields of an event that the demo uses; docs/PROTOCOL.md has the whole envelope. */
export interface RealtimeEvent {
  topic: string
  offset: number
  type: string
  payload: Record<string, unknown>
  meta?: { replayOf?: string }
}

export interface SubscribeRequest {
  topic: string
  filter?: Record<string, unknown>
  returnMode?: 'full' | 'diff' | 'both'
  /** The last received offset, and the epoch of its log. */
  after?: number
  epoch?: string
}

export interface Subscribed { subscriptionId: string, offset: number, epoch: string, recovered: boolean }

export interface Subscriber {
  subscribe (request: SubscribeRequest): Promise<Subscribed>
  /** Resolves with the first `count` events. */
  received (count: number): Promise<RealtimeEvent[]>
  close (): void
}

/** How long the demo waits for an answer or an event. */
const timeoutMs = 30_000

/** Socket.IO: the handshake carries the token; a request is an event with an acknowledgement. */
export async function connectSocketIo (url: string, token: string): Promise<Subscriber> {
  // Without `transports`, a client starts with long polling and upgrades to WebSocket; both work. A long-lived client
  // keeps the default `reconnection`, and subscribes again with `after` at each `connect`.
  const socket = io(url, { auth: { token }, transports: ['websocket'], forceNew: true, reconnection: false })
  const inbox = new Inbox()
  socket.on('event', (event: RealtimeEvent) => inbox.add(event))
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve)
    socket.once('connect_error', reject)
  })
  return {
    async subscribe (request) {
      const answer = await socket.timeout(timeoutMs).emitWithAck('subscribe', request) as Subscribed & {
        ok: boolean
        message?: string
      }
      if (!answer.ok) throw new Error(answer.message)
      return answer
    },
    received: count => inbox.received(count),
    close: () => { socket.disconnect() }
  }
}

/** Plain WebSocket: JSON frames with a `type`. A response has the `id` of its request. */
export async function connectWebSocket (url: string, token: string): Promise<Subscriber> {
  // A browser cannot set headers. It sends {"type":"auth","token":…} as its first frame instead.
  const socket = new WebSocket(`${url.replace(/^http/, 'ws')}/ws`, { headers: { authorization: `Bearer ${token}` } })
  const inbox = new Inbox()
  const waiting = new Map<number, { resolve: (answer: Subscribed) => void, reject: (error: Error) => void }>()
  socket.on('message', (data: Buffer) => {
    const frame = JSON.parse(data.toString()) as Subscribed & {
      type: string
      id: number
      data: RealtimeEvent
      message: string
    }
    if (frame.type === 'event') inbox.add(frame.data)
    else if (frame.type === 'error') waiting.get(frame.id)?.reject(new Error(frame.message))
    else waiting.get(frame.id)?.resolve(frame)
  })
  await new Promise((resolve, reject) => {
    socket.once('open', resolve)
    socket.once('error', reject)
  })
  let lastId = 0
  return {
    async subscribe (request) {
      const id = ++lastId
      const answered = new Promise<Subscribed>((resolve, reject) => waiting.set(id, { resolve, reject }))
      socket.send(JSON.stringify({ type: 'subscribe', id, ...request }))
      return await answered
    },
    received: count => inbox.received(count),
    close: () => socket.close()
  }
}

/** Collects events, and waits until a number of them has arrived. */
class Inbox {
  readonly #events: RealtimeEvent[] = []
  #wake = () => {}

  add (event: RealtimeEvent): void {
    // A replayed event (docs/DEBUGGER.md) does not move the position.
    if (event.meta?.replayOf !== undefined) return
    this.#events.push(event)
    this.#wake()
  }

  async received (count: number): Promise<RealtimeEvent[]> {
    const deadline = Date.now() + timeoutMs
    while (this.#events.length < count) {
      if (Date.now() >= deadline) throw new Error(`expected ${count} events, received ${this.#events.length}`)
      await new Promise<void>(resolve => {
        this.#wake = resolve
        setTimeout(resolve, 100)
      })
    }
    return this.#events.slice(0, count)
  }
}
