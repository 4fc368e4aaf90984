import { isUtf8 } from 'node:buffer'
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import { WebSocket, type RawData } from 'ws'
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

/** Frames, and bytes of frames, that may wait while the credential is checked. */
const waitingFramesMax = 100
const waitingBytesMax = 64 * 1024
/** A refused frame of up to this length is parsed for its id; of a longer one only the beginning is looked at. */
const refusedBytesParsedMax = 1024

export interface WsGatewayOptions {
  handshake: Handshake
  protocol: Protocol
  /** Told of the end of each link, by the address that it came from. */
  closed (address: string): void
  /** Told when the client is authenticated. */
  opened?: (connection: Connection) => void
}

interface Frame { type: string, id: string | number | undefined, fields: Record<string, unknown> }

/**
 * The edge for plain WebSocket clients: one JSON object a text frame. A frame that is broken is answered with an
 * `error` frame and the connection lives; one without a credential after `authTimeoutMs` is closed. Nothing of the
 * request is kept once it is known who asks: it would be half of what a silent socket costs.
 */
export function acceptWebSocket (
  webSocket: ClientWebSocket, request: IncomingMessage, address: string, options: WsGatewayOptions
): void {
  webSocket.client = new WsClient(webSocket, request, address, options)
  webSocket.client.start(request.url)
}

/**
 * A WebSocket that tells its client what happens to it, and others too; a table of listeners for each would be a tenth
 * of what a silent one costs.
 */
export class ClientWebSocket extends WebSocket {
  client: WsClient | undefined = undefined

  /**
   * `ws` passes a Buffer where it answers the peer's close frame. It does not check that reason, because text frames
   * are to be checked by the gateway: RFC 6455 §8.1 asks for 1007.
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
      // `ws` closes by itself: 1009 for a frame that is too large, 1002 for what is no frame.
      case 'error': client?.failed(); return true
      case 'close': client?.closed()
    }
    return super.emit(event, ...args)
  }
}

/** What is known of a link until there is a connection. */
interface Arrival {
  /** Of the upgrade. */
  headers: IncomingHttpHeaders
  authTimer: NodeJS.Timeout | undefined
  /** While a credential is being checked: frames wait for it. */
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
      this.#refuse(new UnauthorizedError('AUTH_TIMEOUT', `No credential within ${authTimeoutMs} ms`))
      this.#transport.close(closeCodes.UNAUTHENTICATED)
    }, authTimeoutMs).unref()
    const query = new URL(url, 'ws://localhost').searchParams
    const token = query.get('token') ?? undefined
    if (token === undefined && !this.#options.handshake.hasCredential(arrival.headers)) return
    arrival.opening = this.#open({
      token, applicationId: query.get('applicationId'), environment: query.get('environment')
    }, undefined)
  }

  /** Asks the peer for a sign of life; one that gave none since the last call has vanished, and the link is ended. */
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
    // Before anything looks at it, and also while the link is closing.
    this.#pace.charge((data as Buffer).length)
    if (this.#webSocket.readyState === this.#webSocket.OPEN) void this.#receive(data as Buffer, isBinary)
    else this.#pace.tick()
  }

  /** Gets a ping or pong. */
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
      // Without a turn in between where nothing is being checked: the next frame of the same packet has to find the
      // `auth`.
      if (this.#arrival?.opening !== undefined) await this.#wait(this.#arrival, this.#arrival.opening, data.length)
      if (this.#connection !== undefined) return await this.#handle(this.#connection, frame)
      if (this.#webSocket.readyState !== this.#webSocket.OPEN) return
      if (frame.type !== 'auth') throw new UnauthorizedError('CREDENTIAL_MISSING', 'The first frame must be auth')
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
        `At most ${waitingFramesMax} frames of together ${waitingBytesMax} bytes may wait while the credential is checked`
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

  /** Checks the credential; a bad one closes the socket. Never rejects. */
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
      this.#send('authenticated', {
        socketId: this.#connection.id,
        ...identity.scope,
        expiresAt: identity.principal.expiresAt
      }, id)
    } catch (error) {
      this.#options.handshake.refused(error, this.#address)
      this.#refuse(error, id)
      this.#transport.close(reasonForRefusal(toPublicError(error)))
    }
    arrival.opening = undefined
  }

  #send (type: string, body: object, id: unknown): number {
    if (!(body instanceof PreparedAnswer)) { return this.#transport.send({ type, ...body, ...(id !== undefined && { id }) }) }
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
  if (isBinary) throw new ValidationError('FRAME_INVALID', 'Binary frames have no meaning here: send JSON as text')
  const { value: frame, text } = parseJson(data as Buffer, 'The frame')
  if (!isPlainObject(frame)) throw new ValidationError('FRAME_INVALID', 'A frame is a JSON object')
  if (typeof frame['type'] !== 'string') { throw new ValidationError('FRAME_INVALID', 'A frame has a type, which is a string') }
  const id = requireId(frame['id'], text)
  // One with so many fields is refused for their number: they are not copied before.
  if (Object.keys(frame).length > fieldsMax) return { frame: { type: frame['type'], id, fields: frame }, text }
  const { type, id: _, ...fields } = frame
  return { frame: { type: frame['type'], id, fields }, text }
}

const idLengthMax = 128
/**
 * An integer as JSON writes it, which is how the answer carries it: not `1.0`, nor a number of more digits than a
 * double has.
 */
const integerId = /"id"\s*:\s*-?(?:0|[1-9]\d*)\s*[,}]/

/** An id comes back exactly as it was sent, or is refused. Throws ValidationError `FRAME_INVALID`. */
function requireId (id: unknown, text: string): string | number | undefined {
  if (id === undefined || id === null) return undefined
  if (typeof id === 'string' && id.length <= idLengthMax) return id
  if (Number.isSafeInteger(id) && !Object.is(id, -0) && integerId.test(text)) return id as number
  throw new ValidationError(
    'FRAME_INVALID',
    `An id is a string of at most ${idLengthMax} characters, or an integer of at most ${Number.MAX_SAFE_INTEGER}`
  )
}

/** Where most clients put the id: at the beginning, or behind the type. */
const idAtStart = /^\{\s*(?:"type"\s*:\s*"\w{1,50}"\s*,\s*)?"id"\s*:\s*(\d{1,15}|"[^"\\]{0,100}")\s*[,}]/

/**
 * The id of a frame that is refused unseen, so that the refusal finds its request: without the work that the refusal is
 * to save.
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
