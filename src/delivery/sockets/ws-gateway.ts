import { isUtf8 } from 'node:buffer'
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import { WebSocket, type RawData } from 'ws'
import type { Authenticated } from '../../../schemas/realtime.ts'
import { RateLimitError, toPublicError, UnauthorizedError, ValidationError } from '../../errors.ts'
import { requireExactNumbers } from '../../foundation/exact-numbers.ts'
import { isPlainObject, parseJson } from '../../foundation/json.ts'
import { closeCodes, reasonForRefusal } from '../../identity/auth/close-codes.ts'
import type { Connection } from './connection.ts'
import type { Greeting, Handshake } from './handshake.ts'
import { limitMessages } from './message-limit.ts'
import type { Pace, PacedClient } from '../../foundation/limits/pace.ts'
import { PreparedAnswer } from './prepared-answer.ts'
import { fieldsMax, type Protocol } from './protocol.ts'
import { WsTransport } from './ws-transport.ts'

/** Limits for frames, and for their bytes, that wait while the credential is checked. */
const waitingFramesMax = 100
const waitingBytesMax = 64 * 1024
/** A refused frame up to this length is parsed for its id. Only the beginning of a longer one is searched. */
const refusedBytesParsedMax = 1024

export interface WsGatewayOptions {
  handshake: Handshake
  protocol: Protocol
  /** Called when a link has ended, with the client's address. */
  closed (address: string): void
  /** Called when the client is authenticated. */
  opened?: (connection: Connection) => void
}

interface Frame { type: string, id: string | number | undefined, fields: Record<string, unknown> }

/**
 * Accepts plain WebSocket clients, which send one JSON object per text frame. Answers an invalid frame with an `error`
 * frame and keeps the connection. Closes a connection without a credential after `authTimeoutMs`. Releases the upgrade
 * request once the client is authenticated: it would be half of a silent socket's memory.
 */
export function acceptWebSocket (
  webSocket: ClientWebSocket, request: IncomingMessage, address: string, options: WsGatewayOptions
): void {
  webSocket.client = new WsClient(webSocket, request, address, options)
  webSocket.client.start(request.url)
}

/**
 * A WebSocket that passes its events to its client directly. Listeners would add a tenth to a silent socket's memory.
 */
export class ClientWebSocket extends WebSocket {
  client: WsClient | undefined = undefined

  /**
   * `ws` passes a Buffer when it answers the peer's close frame. `skipUTF8Validation` leaves the check of text frames
   * to the gateway, but also skips that of the close reason, for which RFC 6455 §8.1 requires 1007.
   */
  override close (code?: number, reason?: string | Buffer): void {
    if (Buffer.isBuffer(reason) && !isUtf8(reason)) super.close(1007)
    else super.close(code, reason)
  }

  override emit (event: string | symbol, ...args: unknown[]): boolean {
    const { client } = this
    switch (client === undefined ? undefined : event) {
      case 'message': client?.message(args[0] as RawData, args[1] as boolean); return true
      case 'ping':
      case 'pong': client?.controlled(args[0] as Buffer); return true
      // `ws` closes by itself: with 1009 for a frame that is too large, with 1002 for invalid framing.
      case 'error': client?.failed(); return true
      case 'close': client?.closed()
    }
    return super.emit(event, ...args)
  }
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

class WsClient implements PacedClient {
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

  /** Pings the peer. Ends the link if nothing has arrived since the last call. */
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

  /** Receives a ping or pong. */
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
        socketId: this.#connection.id, ...identity.scope, expiresAt: identity.principal.expiresAt
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

/** Throws ValidationError `INVALID_UTF8`, `INVALID_JSON` or `FRAME_INVALID`. */
function toFrame (data: RawData, isBinary: boolean): { frame: Frame, text: string } {
  if (isBinary) throw new ValidationError('FRAME_INVALID', 'Binary frames are not supported. Send JSON in a text frame')
  const { value: frame, text } = parseJson(data as Buffer, 'The frame')
  if (!isPlainObject(frame)) throw new ValidationError('FRAME_INVALID', 'A frame must be a JSON object')
  if (typeof frame['type'] !== 'string') {
    throw new ValidationError('FRAME_INVALID', 'The type of a frame must be a string')
  }
  const id = requireId(frame['id'], text)
  // Too many fields are refused later. Copying them first would be wasted.
  if (Object.keys(frame).length > fieldsMax) return { frame: { type: frame['type'], id, fields: frame }, text }
  const { type, id: _, ...fields } = frame
  return { frame: { type: frame['type'], id, fields }, text }
}

const idLengthMax = 128
/**
 * Matches an id that is an integer in the form in which the answer repeats it: not `1.0`, and not with more digits than
 * a double can hold.
 */
const integerId = /"id"\s*:\s*-?(?:0|[1-9]\d*)\s*[,}]/

/** Returns the id, which the answer repeats exactly. Throws ValidationError `FRAME_INVALID` for any other id. */
function requireId (id: unknown, text: string): string | number | undefined {
  if (id === undefined || id === null) return undefined
  if (typeof id === 'string' && id.length <= idLengthMax) return id
  if (Number.isSafeInteger(id) && !Object.is(id, -0) && integerId.test(text)) return id as number
  throw new ValidationError(
    'FRAME_INVALID',
    `An id must be a string of at most ${idLengthMax} characters or an integer ` +
      `between -${Number.MAX_SAFE_INTEGER} and ${Number.MAX_SAFE_INTEGER}`
  )
}

/** Matches the id where most clients put it: at the beginning, or after the type. */
const idAtStart = /^\{\s*(?:"type"\s*:\s*"\w{1,50}"\s*,\s*)?"id"\s*:\s*(\d{1,15}|"[^"\\]{0,100}")\s*[,}]/

/**
 * Finds the id of a refused frame, so that the client can assign the refusal to its request. Avoids most of the parsing
 * that the refusal is meant to save.
 */
function idOfRefused (data: Buffer): unknown {
  try {
    if (data.length <= refusedBytesParsedMax) return toFrame(data, false).frame.id
    const [, id] = idAtStart.exec(data.toString('utf8', 0, refusedBytesParsedMax)) ?? []
    return id === undefined ? undefined : JSON.parse(id) as unknown
  } catch {
    return undefined
  }
}
