import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import type { RawData, WebSocket } from 'ws'
import type { Authenticated } from '../../../schemas/realtime.ts'
import { RateLimitError, toPublicError, UnauthorizedError } from '../../errors.ts'
import { requireExactNumbers } from '../../foundation/exact-numbers.ts'
import { expiryOf } from '../../identity/access/principal.ts'
import { closeCodes, reasonForRefusal } from '../../identity/auth/close-codes.ts'
import type { ClientWebSocket, WebSocketClient } from './client-web-socket.ts'
import type { Connection } from './connection.ts'
import type { Greeting, Handshake } from './handshake.ts'
import { limitMessages } from './message-limit.ts'
import type { Pace, PacedClient } from '../../foundation/limits/pace.ts'
import { PreparedAnswer } from './prepared-answer.ts'
import type { Protocol } from './protocol.ts'
import { idOfRefused, toFrame, type Frame } from './ws-frame.ts'
import { WsTransport } from './ws-transport.ts'

/** Limits for frames, and for their bytes, that wait while the credential is checked. */
const waitingFramesMax = 100
const waitingBytesMax = 64 * 1024

export interface WsGatewayOptions {
  handshake: Handshake
  protocol: Protocol
  /** Called when a link has ended, with the client's address. */
  closed (address: string): void
  /** Called when the client is authenticated. */
  opened?: (connection: Connection) => void
}

/**
 * Accepts plain WebSocket clients, which send one JSON object per text frame. Answers an invalid frame with an `error`
 * frame and keeps the connection. Closes a connection without a credential after `authTimeoutMs`. Releases the upgrade
 * request once the client is authenticated: it would be half of a silent socket's memory.
 */
export function acceptWebSocket (
  webSocket: ClientWebSocket, request: IncomingMessage, address: string, options: WsGatewayOptions
): void {
  const client = new WsClient(webSocket, request, address, options)
  webSocket.client = client
  client.start(request.url)
}

/** The state of a link before its connection opens. */
interface Arrival {
  /** Headers of the upgrade. */
  headers: IncomingHttpHeaders
  authTimer: NodeJS.Timeout | undefined
  /** Set while a credential is checked. Frames wait for it. */
  opening: Promise<void> | undefined
  waitingFrames: number
  waitingBytes: number
}

class WsClient implements PacedClient, WebSocketClient {
  readonly #webSocket: WebSocket
  readonly #transport: WsTransport
  readonly #options: WsGatewayOptions
  readonly #pace: Pace
  readonly #address: string
  #isAlive = true
  #connection: Connection | undefined
  #arrival: Arrival | undefined

  constructor (webSocket: WebSocket, request: IncomingMessage, address: string, options: WsGatewayOptions) {
    this.#webSocket = webSocket
    this.#address = address
    this.#transport = new WsTransport(webSocket, request.socket)
    this.#options = options
    this.#pace = options.handshake.pace(this)
    this.#arrival = {
      headers: request.headers, authTimer: undefined, opening: undefined, waitingFrames: 0, waitingBytes: 0
    }
  }

  start (url = '/'): void {
    const { authTimeoutMs } = this.#options.handshake.limits
    const arrival = this.#arrival as Arrival
    arrival.authTimer = setTimeout(() => {
      this.#refuse(new UnauthorizedError('AUTH_TIMEOUT', `No credential arrived within ${authTimeoutMs} ms`))
      this.#transport.close(closeCodes.UNAUTHENTICATED)
    }, authTimeoutMs).unref()
    const query = new URL(url, 'ws://localhost').searchParams
    const token = query.get('token') ?? undefined
    if (token === undefined && !this.#options.handshake.hasCredential(arrival.headers)) return
    arrival.opening = this.#open({
      token, applicationId: query.get('applicationId'), environment: query.get('environment')
    }, undefined)
  }

  ping (): void {
    if (this.#isAlive) {
      this.#isAlive = false
      return this.#webSocket.ping()
    }
    this.#connection?.vanished()
    this.#transport.cut()
    this.#connection?.closed()
  }

  message (data: RawData, isBinary: boolean): void {
    this.#isAlive = true
    // Counted before the message is read, and also while the link is closing.
    this.#pace.charge((data as Buffer).length)
    if (this.#webSocket.readyState === this.#webSocket.OPEN) void this.#receive(data as Buffer, isBinary)
    else this.#pace.tick()
  }

  controlled (data: Buffer): void {
    this.#isAlive = true
    this.#pace.charge(data.length)
    this.#pace.tick()
  }

  failed (): void {
    this.#connection?.closed()
  }

  keptOn (): void {
    if (this.#connection === undefined) this.#transport.close(closeCodes.RATE_LIMITED)
    else this.#connection.close(closeCodes.RATE_LIMITED)
  }

  wentOn (): void {
    this.#transport.cut()
  }

  closed (): void {
    clearTimeout(this.#arrival?.authTimer)
    this.#connection?.closed()
    this.#options.closed(this.#address)
  }

  async #receive (data: Buffer, isBinary: boolean): Promise<void> {
    let id: unknown
    try {
      const refusal = this.#pace.refusal()
      if (refusal !== undefined) {
        id = isBinary ? undefined : idOfRefused(data)
        throw refusal
      }
      const { frame, text } = toFrame(data, isBinary)
      id = frame.id
      requireExactNumbers(text)
      if (frame.type === 'ping') {
        this.#send('pong', {}, id)
        return
      }
      // Does not yield when no credential is being checked, so that the next frame of the same packet finds this
      // `auth`.
      if (this.#arrival?.opening !== undefined) await this.#wait(this.#arrival, this.#arrival.opening, data.length)
      if (this.#connection !== undefined) return await this.#handle(this.#connection, frame)
      if (this.#webSocket.readyState !== this.#webSocket.OPEN) return
      if (frame.type !== 'auth') {
        throw new UnauthorizedError('CREDENTIAL_MISSING', 'Not authenticated. The first frame must have type auth')
      }
      const arrival = this.#arrival as Arrival
      arrival.opening = this.#open(frame.fields as Greeting, id)
    } catch (error) {
      this.#refuse(error, id)
    }
  }

  async #wait (arrival: Arrival, opening: Promise<void>, bytes: number): Promise<void> {
    if (arrival.waitingFrames >= waitingFramesMax || arrival.waitingBytes + bytes > waitingBytesMax) {
      throw new RateLimitError(
        'RATE_LIMITED',
        `At most ${waitingFramesMax} frames with ${waitingBytesMax} bytes in total may wait ` +
          'while the credential is checked'
      )
    }
    arrival.waitingFrames++
    arrival.waitingBytes += bytes
    await opening
    arrival.waitingFrames--
    arrival.waitingBytes -= bytes
  }

  async #handle (connection: Connection, { type, id, fields }: Frame): Promise<void> {
    const { protocol } = this.#options
    await protocol.handle(
      connection, type, fields, answer => this.#pace.charge(this.#send(protocol.answerTo(type), answer, id))
    )
  }

  /** Checks the credential and opens the connection, or closes the socket if it is refused. Never rejects. */
  async #open (greeting: Greeting, id: unknown): Promise<void> {
    const arrival = this.#arrival as Arrival
    try {
      const identity = await this.#options.handshake.identify(greeting, arrival.headers, this.#address)
      clearTimeout(arrival.authTimer)
      if (this.#webSocket.readyState !== this.#webSocket.OPEN) return
      this.#connection = this.#options.handshake.open(this.#transport, identity)
      this.#options.opened?.(this.#connection)
      limitMessages(this.#webSocket, this.#options.handshake.limits.frameBytesMax)
      this.#arrival = undefined
      const answer: Authenticated = {
        socketId: this.#connection.id, ...identity.scope, expiresAt: expiryOf(identity.principal)
      }
      this.#send('authenticated', answer, id)
    } catch (error) {
      this.#options.handshake.refused(error, this.#address)
      this.#refuse(error, id)
      this.#transport.close(reasonForRefusal(toPublicError(error)))
    }
    arrival.opening = undefined
  }

  #send (type: string, body: object, id: unknown): number {
    if (!(body instanceof PreparedAnswer)) {
      return this.#transport.send({ type, ...body, ...(id !== undefined && { id }) })
    }
    return this.#transport.sendText(
      `{"type":"${type}",${body.fields}${id === undefined ? '' : `,"id":${JSON.stringify(id)}`}}`
    )
  }

  #refuse (error: unknown, id?: unknown): void {
    this.#send('error', toPublicError(error).toBody(), id)
  }
}
