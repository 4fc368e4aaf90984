import type { IncomingMessage } from 'node:http'
import type { Server, Socket } from 'socket.io'
import type { DeliveryLimits } from '../../config/delivery-limits.ts'
import { RateLimitError, ServiceUnavailableError, toPublicError, type PublicError } from '../../errors.ts'
import { closeCodes, isPassing, reasonForRefusal } from '../../identity/auth/close-codes.ts'
import type { Connection } from './connection.ts'
import type { Greeting, Handshake } from './handshake.ts'
import { countPosts, limitLink, limitPackets } from './message-limit.ts'
import type { Pace } from '../../foundation/limits/pace.ts'
import { PreparedAnswer } from './prepared-answer.ts'
import type { Protocol } from './protocol.ts'
import { Unread } from './request-parser.ts'
import { closeLink, cutLink, type Link } from './socket-io-link.ts'
import { SocketIoTransport } from './socket-io-transport.ts'

type Identity = Awaited<ReturnType<Handshake['identify']>>
type Acknowledge = (answer: object) => void

/**
 * `packets` counts those before the connection opened. `isAnswered` is true while an answer is passed to Engine.IO.
 * `isRefused` is true once a handshake of this link was refused.
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
  /** Returns the client's address, as reported by trusted proxies. */
  addressOf (request: IncomingMessage): string
  /** Called when the client of a link is authenticated. */
  opened?: ((link: Link, connection: Connection) => void) | undefined
}

/** Accepts Socket.IO clients. Requests are events with an acknowledgement, refusals are `{ok: false, …}`. */
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
          if (client.connection === undefined) return cutLink(link)
          const webSocket = link.transport.socket
          client.connection.close(closeCodes.RATE_LIMITED)
          // After the close, Engine.IO no longer reports what arrives, but it must still count.
          webSocket?.on('message', (data: Buffer) => { client.pace.charge(data.length); client.pace.tick() })
        },
        wentOn: () => cutLink(link)
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
    // How long a long-polling client may take to fetch the closing message.
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
    letGo(socket, connection)
    socket.on('disconnect', reason => {
      if (reason === 'ping timeout') connection.vanished()
      connection.closed()
    })
    // An invalid packet ends the link. Without this listener, Node.js would throw the error.
    socket.on('error', () => {})
    socket.onAny((name: string, ...args: unknown[]) => {
      void answer(socket, client, connection, protocol, name, args)
    })
  })
}

const refusedLinkMsMin = 1000

/**
 * Refuses a handshake. After a `connect_error`, a stock client gives up. For a temporary refusal, the link is closed
 * instead, so that the client retries by itself. The close is delayed by a random time and by the refusal's retry
 * advice, because the client does not back off after it. A stopping server closes the link at once, because another
 * server has taken over.
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
    // Socket.IO sends no refusal over a link that is closed.
    refuse()
  }, waitMs).unref()
}

/**
 * Releases the request that the link began with, a large part of the memory of a silent socket. Keeps its credential
 * headers: a client may leave the namespace and enter it again over the same link.
 */
function letGo (socket: Socket, { client: { userAgent } }: Connection): void {
  const { handshake } = socket
  const conn: Link = socket.conn
  const headers = Object.fromEntries([
    ...identifyingHeaders.flatMap(name =>
      conn.request.headers[name] === undefined ? [] : [[name, conn.request.headers[name]]]
    ),
    ...userAgent === null ? [] : [['user-agent', userAgent]]
  ])
  Object.assign(conn, { request: { headers, connection: {}, _query: {}, url: '' } })
  Object.assign(handshake, { headers, auth: {}, query: {} })
  // Engine.IO's error listener for the time of the upgrade. Its closure holds the request.
  const webSocket = conn.transport.socket
  for (const listener of webSocket?.listeners('error') ?? []) {
    if (listener.name === 'onUpgradeError') webSocket?.removeListener('error', listener as () => void)
  }
}

const identifyingHeaders = ['authorization', 'x-session-token', 'x-application-id', 'x-environment']

/** A packet as Engine.IO reports it. Engine.IO reads `type` after the listeners have run. */
interface Packet { type: string, data?: string | Buffer }

/**
 * Counts every packet of any kind, and the control frames of the WebSocket below. Refuses a request above the pace
 * before Socket.IO parses it.
 */
function watchPace (link: Link, client: Client, limits: Pick<DeliveryLimits, 'unauthenticatedPacketsMax'>): void {
  const { pace } = client
  link.on('packet', (packet: Packet) => {
    const { data } = packet
    if (client.connection === undefined && ++client.packets > limits.unauthenticatedPacketsMax) {
      packet.type = ignored
      return cutLink(link)
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
  const watchControlFrames = () => { link.transport.socket?.on('ping', count).on('pong', count) }
  watchControlFrames()
  link.on('upgrade', watchControlFrames)
}

/** A packet type that Engine.IO ignores. */
const ignored = 'noop'

/** Returns whether Socket.IO emits an event for the packet. It emits none for others, such as acknowledgements. */
const isRequest = (data: string | Buffer | undefined): data is string =>
  typeof data === 'string' && (data.startsWith('2') || data.startsWith('5'))

/** Refuses a request without parsing it. Its id precedes its JSON: https://socket.io/docs/v4/socket-io-protocol/ */
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
