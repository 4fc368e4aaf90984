import type { EventEmitter } from 'node:events'
import type { IncomingMessage } from 'node:http'
import type { Server, Socket } from 'socket.io'
import type { DeliveryLimits } from '../../config.ts'
import { RateLimitError, ServiceUnavailableError, toPublicError, type PublicError } from '../../errors.ts'
import { closeCodes, isPassing, reasonForRefusal } from '../../identity/auth/close-codes.ts'
import type { Connection } from './connection.ts'
import type { Greeting, Handshake } from './handshake.ts'
import { countPosts, limitLink, limitPackets } from './message-limit.ts'
import type { Pace } from '../../foundation/limits/pace.ts'
import { PreparedAnswer } from './prepared-answer.ts'
import type { Protocol } from './protocol.ts'
import { Unread } from './request-parser.ts'
import { closeLink, type Link } from './socket-io-link.ts'
import { SocketIoTransport } from './socket-io-transport.ts'

type Identity = Awaited<ReturnType<Handshake['identify']>>
type Acknowledge = (answer: object) => void

/**
 * `packets`: of its time without a connection. `isAnswered`: while an answer is handed to Engine.IO. `isRefused`: its
 * client was, before.
 */
interface Client {
  pace: Pace
  address: string
  connection: Connection | undefined
  packets: number
  isAnswered: boolean
  isRefused: boolean
}

export interface SocketIoGatewayOptions {
  handshake: Handshake
  protocol: Protocol
  /** Where a request comes from, by proxies that are trusted. */
  addressOf (request: IncomingMessage): string
  /** Told when the client of a link is authenticated. */
  opened?: ((link: Link, connection: Connection) => void) | undefined
}

/** The edge for Socket.IO clients: requests are events with an acknowledgement, refusals are `{ok: false, …}`. */
export function acceptSocketIo (io: Server, { handshake, protocol, addressOf, opened }: SocketIoGatewayOptions): void {
  const clients = new WeakMap<Link, Client>()
  const { limits } = handshake
  io.engine.on('connection', (link: Link) => {
    const client: Client = {
      connection: undefined,
      packets: 0,
      isAnswered: false,
      isRefused: false,
      address: addressOf(link.request),
      pace: handshake.pace({
        keptOn () {
          if (client.connection === undefined) return cut(link)
          const webSocket = webSocketOf(link)
          client.connection.close(closeCodes.RATE_LIMITED)
          // Engine.IO no longer reports what comes until the client closes, too.
          webSocket?.on('message', (data: Buffer) => { client.pace.charge(data.length); client.pace.tick() })
        },
        wentOn: () => cut(link)
      })
    }
    clients.set(link, client)
    link.on('packetCreate', ({ data }: Packet) => { if (client.isAnswered) client.pace.charge(data?.length ?? 0) })
    limitLink(link, limits.unauthenticatedFrameBytesMax)
    countPosts(link)
    limitPackets(
      link, () => client.connection === undefined ? limits.unauthenticatedPacketsMax : limits.packetsPerPostMax
    )
    link.on('upgrade', () => {
      if (client.connection !== undefined) limitLink(link, limits.frameBytesMax)
    })
    // How long a long poller that is told to go may take to come for the message.
    Object.assign(link.transport, { closeTimeout: handshake.limits.closeTimeoutMs })
    watchPace(link, client, limits)
  })
  io.use((socket, next) => {
    handshake.identify(
      socket.handshake.auth as Greeting, socket.handshake.headers, clients.get(socket.conn)?.address ?? ''
    ).then(identity => {
      ;(socket.data as { identity: Identity }).identity = identity
      next()
    }, (error: unknown) => {
      const client = clients.get(socket.conn)
      if (client !== undefined && !client.isRefused) handshake.refused(error, client.address)
      if (client !== undefined) client.isRefused = true
      refuseHandshake(socket, toPublicError(error), next, handshake.limits)
    })
  })
  io.on('connection', socket => {
    const client = clients.get(socket.conn) as Client
    const connection = handshake.open(
      new SocketIoTransport(socket, handshake.limits), (socket.data as { identity: Identity }).identity
    )
    client.connection = connection
    opened?.(socket.conn, connection)
    limitLink(socket.conn, limits.frameBytesMax)
    letGo(socket)
    socket.on('disconnect', reason => {
      if (reason === 'ping timeout') connection.vanished()
      connection.closed()
    })
    // A packet that is not one ends the link; that is no fault of ours to be printed.
    socket.on('error', () => {})
    socket.onAny((name: string, ...args: unknown[]) => {
      void answer(socket, client, connection, protocol, name, args)
    })
  })
}

const refusedLinkMsMin = 1000

/**
 * After a `connect_error` a stock client gives up. Where the refusal passes, the link is closed instead, so that the
 * client tries again by itself; the link is kept for a random time before, and for as long as the refusal names,
 * because the client does not wait longer from one try to the next. A server that stops keeps nobody: another one is
 * there already.
 */
function refuseHandshake (
  socket: Socket, refusal: PublicError, next: (error: Error) => void, { authTimeoutMs, closeTimeoutMs }: DeliveryLimits
): void {
  const body = refusal.toBody()
  const refuse = () => next(Object.assign(new Error(body.message), { data: body }))
  if (!isPassing(refusal)) return refuse()
  const spreadMs = refusedLinkMsMin + Math.random() * (authTimeoutMs - refusedLinkMsMin)
  const adviceMs = refusal instanceof RateLimitError || refusal instanceof ServiceUnavailableError
    ? refusal.retryAfterMs ?? 0
    : 0
  const waitMs = refusal.code === 'SHUTTING_DOWN' ? 0 : Math.min(Math.max(adviceMs, spreadMs), authTimeoutMs)
  setTimeout(() => {
    closeLink(socket.conn, reasonForRefusal(refusal), closeTimeoutMs)
    // Of a link that is not open any more, Socket.IO sends no refusal.
    refuse()
  }, waitMs).unref()
}

/**
 * Lets go of the request that the link began with, which would be a good part of what a silent socket costs. Its
 * credential stays: a client may leave the namespace and enter it again by the same link.
 */
function letGo (socket: Socket): void {
  const { conn, handshake } = socket
  const headers = Object.fromEntries(
    identifyingHeaders.flatMap(name =>
      conn.request.headers[name] === undefined ? [] : [[name, conn.request.headers[name]]]
    )
  )
  Object.assign(conn, { request: { headers, connection: {}, _query: {}, url: '' } })
  Object.assign(handshake, { headers, auth: {}, query: {} })
  // Engine.IO's guard of the time before its transport listened by itself; its closure has the request.
  const webSocket = webSocketOf(conn)
  for (const listener of webSocket?.listeners('error') ?? []) {
    if (listener.name === 'onUpgradeError') webSocket?.removeListener('error', listener as () => void)
  }
}

const identifyingHeaders = ['authorization', 'x-session-token', 'x-application-id', 'x-environment']

/** The WebSocket under a link; a long-polling one has none. */
export const webSocketOf = (link: Link) =>
  (link.transport as unknown as { socket?: EventEmitter & { terminate(): void } }).socket

/** Ends a link at once, without a goodbye. */
function cut (link: Link): void {
  const webSocket = webSocketOf(link)
  link.close(true)
  webSocket?.terminate()
}

/** What Engine.IO reports of a packet before it acts on it; it reads the type afterwards. */
interface Packet { type: string, data?: string | Buffer }

/**
 * Counts every packet of whatever kind, and the control frames of the WebSocket below. A request above the pace is
 * answered here, before Socket.IO parses it.
 */
function watchPace (link: Link, client: Client, limits: Pick<DeliveryLimits, 'unauthenticatedPacketsMax'>): void {
  const { pace } = client
  link.on('packet', (packet: Packet) => {
    const { data } = packet
    if (client.connection === undefined && ++client.packets > limits.unauthenticatedPacketsMax) {
      packet.type = ignored
      return cut(link)
    }
    pace.charge((data?.length ?? 0) + 1)
    if (packet.type !== 'message' || !isRequest(data)) {
      pace.tick()
      return
    }
    const refusal = pace.refusal()
    if (refusal === undefined) return
    packet.type = ignored
    refuse(link, data, refusal)
  })
  const count = (data: Buffer) => { pace.charge(data.length); pace.tick() }
  const watchControlFrames = () => { webSocketOf(link)?.on('ping', count).on('pong', count) }
  watchControlFrames()
  link.on('upgrade', watchControlFrames)
}

/** A type on which Engine.IO does nothing. */
const ignored = 'noop'

/** Whether Socket.IO makes an event of it: of all else, such as acknowledgements, nobody hears. */
const isRequest = (data: string | Buffer | undefined): data is string =>
  typeof data === 'string' && (data.startsWith('2') || data.startsWith('5'))

/**
 * Answers a request that is not parsed. Its id stands before its JSON: https://socket.io/docs/v4/socket-io-protocol/
 */
function refuse (link: Link, request: string, refusal: PublicError): void {
  const [, id] = /^(?:2|5\d{1,9}-)(\d{0,15})\[/.exec(request.slice(0, idLengthMax)) ?? []
  if (id === undefined) return
  const body = JSON.stringify({ ok: false, ...refusal.toBody() })
  link.write(id === '' ? `2["error",${body}]` : `3${id}[${body}]`, { compress: false })
}

const idLengthMax = 32

async function answer (
  socket: Socket, client: Client, connection: Connection, protocol: Protocol, name: string, args: unknown[]
): Promise<void> {
  const last = args.at(-1)
  const acknowledge = typeof last === 'function' ? last as Acknowledge : undefined
  const [fields] = acknowledge === undefined ? args : args.slice(0, -1)
  try {
    if (fields instanceof Unread) throw fields.refusal
    await protocol.handle(connection, name, fields ?? {}, body => {
      client.isAnswered = true
      acknowledge?.(body instanceof PreparedAnswer ? body : { ok: true, ...body })
      client.isAnswered = false
    })
  } catch (error) {
    const refusal = { ok: false, ...toPublicError(error).toBody() }
    if (acknowledge === undefined) socket.emit('error', refusal)
    else acknowledge(refusal)
  }
}
