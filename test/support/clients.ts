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
  // The TCP socket under ws under Engine.IO.
  const tcp = () => (socket.io.engine.transport as unknown as { ws: { _socket: TcpSocket } }).ws._socket
  return {
    kind: 'socket.io',
    socket,
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
    cut: () => {
      ;(socket.io.engine.transport as unknown as { ws: { _socket: TcpSocket } | null }).ws?._socket.destroy()
    },
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
    const { type, ...body } = JSON.parse(data.toString()) as { type: string, id?: number, data?: Received }
    const answered = body.id === undefined ? undefined : waiting.get(body.id)
    if (type === 'event') inbox.events.push(body.data as Received)
    else if (answered !== undefined) answered({ ok: type !== 'error', ...body } as unknown as Answer)
    else inbox.messages.push({ name: type, body })
    inbox.changed()
  })
  const closed = new Promise<{ code: number, reason: string }>(resolve =>
    socket.on('close', (code, reason) => resolve({ code, reason: reason.toString() }))
  )
  await once(socket, 'open')
  if (options.token !== undefined) await Promise.race([inbox.message('authenticated'), closed])
  const tcp = () => (socket as unknown as { _socket: TcpSocket })._socket
  return {
    kind: 'ws',
    socket,
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
