import { once } from 'node:events'
import type { Socket as TcpSocket } from 'node:net'
import { io, type Socket } from 'socket.io-client'
import { WebSocket } from 'ws'
import type { RealtimeEvent } from '../../schemas/events.ts'

/*
 * Real clients with one interface, so that the same test runs over both transports.
 */

export type Received = RealtimeEvent & { subscriptionIds: string[] }
export interface Answer {
  ok: boolean
  subscriptionId: string
  offset: number
  epoch: string
  recovered: boolean
  error?: string
  code?: string
  message?: string
  /** Of `auth`: the subscriptions that the new token does not cover, and the end of the token. */
  lost?: { subscriptionId: string, topic: string }[]
  expiresAt?: number
}

export interface Client {
  readonly kind: 'socket.io' | 'ws'
  readonly events: Received[]
  readonly messages: { name: string, body: Record<string, unknown> }[]
  /** Sends a request. `onAnswer` runs in the same turn in which the response arrives. */
  request (name: string, fields: object, onAnswer?: (answer: Answer) => void): Promise<Answer>
  /** Resolves when `count` events have arrived. */
  received (count: number, timeoutMs?: number): Promise<Received[]>
  /** Resolves with the first message with this name. */
  message (name: string, timeoutMs?: number): Promise<Record<string, unknown>>
  /** Resolves when the server, or `cut`, has ended the connection. */
  readonly closed: Promise<{ code: number, reason: string }>
  /** Returns the id under which the server lists the connection. */
  socketId (): string | undefined
  /** Returns the WebSocket of the link. Over Socket.IO, it is the one below Engine.IO. */
  webSocket (): WebSocket
  /** Returns the TCP socket below the WebSocket. */
  tcp (): TcpSocket
  /** Cuts the TCP connection without a close. */
  cut (): void
  close (): void
  /** Stops reading from the TCP socket. */
  pause (): void
  resume (): void
}

export interface ConnectOptions {
  token?: string
  applicationId?: string
  environment?: string
  transports?: ('websocket' | 'polling')[]
  headers?: Record<string, string>
}

class Inbox {
  readonly events: Received[] = []
  readonly messages: { name: string, body: Record<string, unknown> }[] = []
  #waiting: { isDone: () => boolean, resolve: () => void }[] = []

  changed () {
    for (const waiter of this.#waiting.filter(waiter => waiter.isDone())) waiter.resolve()
    this.#waiting = this.#waiting.filter(waiter => !waiter.isDone())
  }

  async until (isDone: () => boolean, timeoutMs: number, what: () => string): Promise<void> {
    if (isDone()) return
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`timed out waiting for ${what()}`)), timeoutMs)
      this.#waiting.push({ isDone, resolve: () => { clearTimeout(timer); resolve() } })
    })
  }

  async received (count: number, timeoutMs = 60_000) {
    await this.until(() => this.events.length >= count, timeoutMs, () =>
      `${count} events; ${this.events.length} arrived`)
    return this.events
  }

  async message (name: string, timeoutMs = 60_000) {
    const find = () => this.messages.find(message => message.name === name)
    await this.until(() => find() !== undefined, timeoutMs, () => `a ${name} message`)
    return find()?.body as Record<string, unknown>
  }
}

/** A WebSocket with the member that its types omit. */
type OpenWebSocket = WebSocket & { _socket?: TcpSocket }

function tcpOf ({ _socket: tcp }: OpenWebSocket): TcpSocket {
  if (tcp === undefined) throw new Error('the WebSocket is not open')
  return tcp
}

/** Resolves with the arguments of the next event of a Socket.IO client, `connect` and `disconnect` included. */
export const nextOf = (socket: Socket, name: string) =>
  new Promise<unknown[]>(resolve => { socket.once(name, (...values: unknown[]) => resolve(values)) })

/** Rejects with the error body if the handshake fails. */
export async function connectSocketIo (
  url: string, options: ConnectOptions = {}
): Promise<Client & { socket: Socket }> {
  const { transports = ['websocket'], headers = {}, ...auth } = options
  const socket = io(url, {
    auth, transports, extraHeaders: headers, forceNew: true, reconnection: false, timeout: 60_000
  })
  const inbox = new Inbox()
  socket.on('event', (event: Received) => { inbox.events.push(event); inbox.changed() })
  socket.onAny((name: string, body: Record<string, unknown>) => {
    if (name !== 'event') { inbox.messages.push({ name, body }); inbox.changed() }
  })
  const closed = new Promise<{ code: number, reason: string }>(resolve =>
    socket.on('disconnect', reason => {
      const closing = inbox.messages.find(message => message.name === 'closing')?.body as {
        code: number
        reason: string
      } | undefined
      resolve(closing ?? { code: 0, reason })
    })
  )
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve)
    socket.once('connect_error', reject)
  })
  const below = (): OpenWebSocket | undefined => {
    const { ws }: Socket['io']['engine']['transport'] & { ws?: OpenWebSocket | null } = socket.io.engine.transport
    return ws ?? undefined
  }
  const webSocket = () => {
    const found = below()
    if (found === undefined) throw new Error('the link has no WebSocket')
    return found
  }
  const tcp = () => tcpOf(webSocket())
  return {
    kind: 'socket.io',
    socket,
    socketId: () => socket.id,
    webSocket,
    tcp,
    events: inbox.events,
    messages: inbox.messages,
    closed,
    request: (name, fields, onAnswer) => new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`no response to ${name}`)), 60_000).unref()
      socket.emit(name, fields, (answer: Answer) => {
        clearTimeout(timer)
        onAnswer?.(answer)
        resolve(answer)
      })
    }),
    received: (count, timeoutMs) => inbox.received(count, timeoutMs),
    message: (name, timeoutMs) => inbox.message(name, timeoutMs),
    // It may be closed already.
    cut: () => { below()?._socket?.destroy() },
    close: () => {
      socket.disconnect()
    },
    pause: () => {
      tcp().pause()
    },
    resume: () => {
      tcp().resume()
    }
  }
}

/** Any frame of `/ws`: an event, an answer or a message. */
type Frame = { type: string, id?: number, data?: Received } & Omit<Answer, 'ok'>

/**
 * With a token, resolves when the server has authenticated the client, as over Socket.IO, or has closed the connection:
 * until then only a few frames may wait. Without one, resolves when the connection is open.
 */
export async function connectWs (url: string, options: ConnectOptions = {}): Promise<Client & { socket: WebSocket }> {
  const headers: Record<string, string> = { ...options.headers }
  if (options.token !== undefined) {
    headers['authorization'] = options.token.startsWith('sess_')
      ? options.token
      : `Bearer ${options.token}`
  }
  if (options.applicationId !== undefined) headers['x-application-id'] = options.applicationId
  if (options.environment !== undefined) headers['x-environment'] = options.environment
  const socket = new WebSocket(`${url.replace(/^http/, 'ws')}/ws`, { headers })
  const inbox = new Inbox()
  const waiting = new Map<number, (answer: Answer) => void>()
  let lastId = 0
  socket.on('message', (data: Buffer) => {
    const { type, ...body } = JSON.parse(data.toString()) as Frame
    const answered = body.id === undefined ? undefined : waiting.get(body.id)
    if (type === 'event') inbox.events.push(body.data as Received)
    else if (answered !== undefined) answered({ ok: type !== 'error', ...body })
    else inbox.messages.push({ name: type, body })
    inbox.changed()
  })
  const closed = new Promise<{ code: number, reason: string }>(resolve =>
    socket.on('close', (code, reason) => resolve({ code, reason: reason.toString() }))
  )
  await once(socket, 'open')
  if (options.token !== undefined) await Promise.race([inbox.message('authenticated'), closed])
  const tcp = () => tcpOf(socket)
  return {
    kind: 'ws',
    socket,
    socketId: () => inbox.messages.find(({ name }) => name === 'authenticated')?.body['socketId'] as string | undefined,
    webSocket: () => socket,
    tcp,
    events: inbox.events,
    messages: inbox.messages,
    closed,
    request: (name, fields, onAnswer) => new Promise((resolve, reject) => {
      const id = ++lastId
      const timer = setTimeout(() => reject(new Error(`no response to ${name}`)), 60_000).unref()
      waiting.set(id, answer => {
        clearTimeout(timer)
        waiting.delete(id)
        onAnswer?.(answer)
        resolve(answer)
      })
      socket.send(JSON.stringify({ type: name, id, ...fields }))
    }),
    received: (count, timeoutMs) => inbox.received(count, timeoutMs),
    message: (name, timeoutMs) => inbox.message(name, timeoutMs),
    cut: () => { tcp().destroy() },
    close: () => { socket.close() },
    pause: () => { tcp().pause() },
    resume: () => { tcp().resume() }
  }
}

export const transports = [
  { name: 'Socket.IO', connect: connectSocketIo },
  { name: '/ws', connect: connectWs }
] as { name: string, connect: (url: string, options?: ConnectOptions) => Promise<Client> }[]
