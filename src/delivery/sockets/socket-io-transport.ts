import type { ServerResponse } from 'node:http'
import type { Socket as TcpSocket } from 'node:net'
import type { Socket } from 'socket.io'
import type { CloseReason } from '../../identity/auth/close-codes.ts'
import { FrameWriter } from './frame-writer.ts'
import { encodeFrames, endingOf, sharedPart, socketIoWrapping } from './frames.ts'
import { arrivingBytesOf } from './message-limit.ts'
import { closeLink, cutLink } from './socket-io-link.ts'
import type { Delivery, Transport } from './transport.ts'

/** Engine.IO adds its own message type (`4`) to what goes through a long poll. */
const engineTypeLength = 1

/** The most buffers that `ws` takes as one frame. Where they begin and end does not matter to it. */
const engineFramePieces = 2

/**
 * The untyped part of Engine.IO's options that Socket.IO's own adapter uses to send one encoded frame to many sockets.
 */
interface PreEncoded { compress: false, wsPreEncodedFrame: Buffer[] }

/**
 * The untyped part of an Engine.IO socket: what it holds back, and the way from its WebSocket down to the TCP socket.
 */
interface EngineLink {
  writeBuffer: unknown[]
  transport: { name: string, writable: boolean, socket?: { _socket?: TcpSocket }, res?: ServerResponse | null }
}

/** What Engine.IO says of a packet that it takes. */
interface EnginePacket { data?: string | Buffer, options: Partial<PreEncoded> }

const frames = new FrameWriter(socketIoWrapping)

/**
 * A Socket.IO client. Over WebSocket a run of events goes to the TCP socket as whole frames in one write; over long
 * polling each is an ordinary packet. Everything else goes through Engine.IO, which, with compression off, only ever
 * writes whole frames. While it holds packets back the events queue behind them, so that the order is that of the
 * calls.
 */
export class SocketIoTransport implements Transport {
  readonly kind = 'socket.io'
  readonly id: string
  readonly #socket: Socket
  readonly #link: EngineLink
  readonly #closeTimeoutMs: number
  /** Bytes that Engine.IO holds back. */
  #heldBytes = 0
  /** Bytes of answers to polls that the client has not read. */
  #polledBytes = 0

  constructor (socket: Socket, { closeTimeoutMs }: { closeTimeoutMs: number }) {
    this.id = socket.id
    this.#socket = socket
    this.#closeTimeoutMs = closeTimeoutMs
    this.#link = socket.conn as unknown as EngineLink
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
    const { transport, writeBuffer } = this.#link
    if (transport.name !== 'websocket') return this.#sendPackets(run, onTaken)
    const tcp = transport.socket?._socket
    if (tcp !== undefined && transport.writable && writeBuffer.length === 0) return frames.write(tcp, run, onTaken)
    this.#queueFrames(encodeFrames(run, socketIoWrapping), onTaken)
  }

  sendMessage (name: string, body: object): void {
    this.#socket.emit(name, body)
  }

  close (reason: CloseReason): void {
    const { conn } = this.#socket
    this.#socket.emit('closing', reason)
    if (reason.reconnect) return closeLink(conn, reason, this.#closeTimeoutMs)
    this.#socket.disconnect(true)
    // Engine.IO waits for the client to read all there is.
    setTimeout(() => cutLink(conn), this.#closeTimeoutMs).unref()
  }

  cut (): void {
    cutLink(this.#socket.conn)
  }

  /**
   * Queues pieces of frames behind what Engine.IO holds back. It writes all that it holds in one turn, so nothing gets
   * between them.
   */
  #queueFrames (encoded: Buffer[], onTaken: () => void): void {
    // What leaves at once may be split by what Engine.IO is yet to be given.
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

  /** Engine.IO hands on all that it held: to the WebSocket, or as the answer to a poll. */
  #released (): void {
    const bytes = this.#heldBytes
    const { res } = this.#link.transport
    this.#heldBytes = 0
    if (res === undefined || res === null) return
    this.#polledBytes += bytes
    res.once('close', () => { this.#polledBytes -= bytes })
  }
}

/** Of this turn, by the part that they are the text of: long polls that wait for the same share it. */
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
