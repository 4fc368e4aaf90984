import type { Socket } from 'socket.io'
import type { ServerMessage, ServerMessageName } from '../../../schemas/socket-protocol.ts'
import type { CloseReason } from '../../identity/auth/close-codes.ts'
import { FrameWriter } from './frame-writer.ts'
import { encodeFrames, endingOf, sharedPart, socketIoWrapping } from './frames.ts'
import { arrivingBytesOf } from './message-limit.ts'
import { closeLink, cutLink, type Link } from './socket-io-link.ts'
import type { Delivery, Transport } from './transport.ts'

/** Engine.IO adds its own message type (`4`) to text sent over long polling. */
const engineTypeLength = 1

/**
 * The most buffers that `ws` takes as one frame. It sends them as they are, wherever the frames in them begin and end.
 */
const engineFramePieces = 2

/** The untyped Engine.IO options with which Socket.IO's adapter sends one encoded frame to many sockets. */
interface PreEncoded { compress: false, wsPreEncodedFrame: Buffer[] }

/** A packet as Engine.IO reports it on creation. */
interface EnginePacket { data?: string | Buffer, options: Partial<PreEncoded> }

const frames = new FrameWriter(socketIoWrapping)

/**
 * A Socket.IO client. Over WebSocket, a run of events goes to the TCP socket as whole frames in one write. Over long
 * polling, each event is an ordinary packet. Everything else goes through Engine.IO, which only writes whole frames
 * while compression is off. While Engine.IO buffers packets, events queue behind them, so the order of the calls is
 * kept.
 */
export class SocketIoTransport implements Transport {
  readonly kind = 'socket.io'
  readonly id: string
  readonly #socket: Socket
  readonly #link: Link
  readonly #closeTimeoutMs: number
  /** Bytes that Engine.IO buffers. */
  #heldBytes = 0
  /** Bytes of poll responses that the client has not read. */
  #polledBytes = 0

  constructor (socket: Socket, { closeTimeoutMs }: { closeTimeoutMs: number }) {
    this.id = socket.id
    this.#socket = socket
    this.#closeTimeoutMs = closeTimeoutMs
    this.#link = socket.conn
    socket.conn.on('packetCreate', ({ data, options }: EnginePacket) => {
      this.#heldBytes += options.wsPreEncodedFrame?.reduce((sum, { length }) => sum + length, 0) ?? data?.length ?? 0
    })
    socket.conn.on('flush', () => this.#released())
  }

  get bufferedBytes () {
    return this.#heldBytes + this.#polledBytes + (this.#link.transport.socket?._socket?.writableLength ?? 0)
  }

  get arrivingBytes () { return arrivingBytesOf(this.#socket.conn) }

  ending (subscriptionIds: readonly string[]): string {
    return endingOf(subscriptionIds, socketIoWrapping)
  }

  sendEvents (run: readonly Delivery[], onTaken: () => void): void {
    if (!this.#socket.connected) return
    const { transport } = this.#link
    if (transport.name !== 'websocket') return this.#sendPackets(run, onTaken)
    const tcp = transport.socket?._socket
    const isIdle = transport.writable && this.#link['writeBuffer'].length === 0
    if (tcp !== undefined && isIdle) return frames.write(tcp, run, onTaken)
    this.#queueFrames(encodeFrames(run, socketIoWrapping), onTaken)
  }

  sendMessage<N extends ServerMessageName>(name: N, body: ServerMessage<N>): void {
    this.#socket.emit(name, body)
  }

  close (reason: CloseReason): void {
    const { conn } = this.#socket
    this.sendMessage('closing', reason)
    if (reason.reconnect) return closeLink(conn, reason, this.#closeTimeoutMs)
    this.#socket.disconnect(true)
    // Engine.IO waits until the client has read everything.
    setTimeout(() => cutLink(conn), this.#closeTimeoutMs).unref()
  }

  cut (): void {
    cutLink(this.#socket.conn)
  }

  /**
   * Queues pieces of frames behind the packets that Engine.IO buffers. Engine.IO writes all of them in one turn, so
   * nothing gets between them.
   */
  #queueFrames (encoded: Buffer[], onTaken: () => void): void {
    // If the transport is writable, Engine.IO would send the first pieces before it gets the rest. One piece cannot be
    // split.
    const pieces = this.#link.transport.writable ? [Buffer.concat(encoded)] : encoded
    for (let i = 0; i < pieces.length; i += engineFramePieces) {
      const options: PreEncoded = { compress: false, wsPreEncodedFrame: pieces.slice(i, i + engineFramePieces) }
      this.#socket.conn.write(
        '', options as { compress: false }, i + engineFramePieces < pieces.length ? undefined : onTaken
      )
    }
  }

  #sendPackets (run: readonly Delivery[], onTaken: () => void): void {
    for (const { event, shape, ending } of run) {
      this.#socket.conn.write(textOf(sharedPart(event, shape, socketIoWrapping)) + ending, { compress: false }, onTaken)
    }
  }

  /** Called when Engine.IO hands over its buffer, to the WebSocket or as the response to a poll. */
  #released (): void {
    const bytes = this.#heldBytes
    const { res } = this.#link.transport
    this.#heldBytes = 0
    if (res === undefined || res === null) return
    this.#polledBytes += bytes
    res.once('close', () => { this.#polledBytes -= bytes })
  }
}

/** The texts of shared parts, for this turn: long polls that wait for the same events share them. */
const texts = new Map<Buffer, string>()

function textOf (part: Buffer): string {
  let text = texts.get(part)
  if (text === undefined) {
    if (texts.size === 0) setImmediate(() => { texts.clear() })
    text = part.toString('utf8', engineTypeLength)
    texts.set(part, text)
  }
  return text
}
