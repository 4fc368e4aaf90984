import type { Socket } from 'socket.io'
import type { CloseReason } from './close-codes.ts'
import { encodeFrames, endingOf, sharedPart, socketIoWrapping } from './frames.ts'
import type { Delivery, Transport } from './transport.ts'

/** Engine.IO adds its own message type (`4`) to what goes through a long poll. */
const engineTypeLength = 1

/** The untyped part of Engine.IO's options that Socket.IO's own adapter uses to send one encoded frame to many sockets. */
interface PreEncoded { compress: false, wsPreEncodedFrame: Buffer[] }

/**
 * A Socket.IO client. Over WebSocket a run of events goes out as one pre-encoded "frame", which is in truth the frames
 * of all of them; over long polling each is an ordinary packet. Engine.IO keeps both in order with everything else.
 */
export class SocketIoTransport implements Transport {
  readonly kind = 'socket.io'
  readonly #socket: Socket
  #bufferedBytes = 0

  constructor (socket: Socket) {
    this.#socket = socket
  }

  get bufferedBytes () { return this.#bufferedBytes }

  ending (subscriptionIds: readonly string[]): Buffer {
    return endingOf(subscriptionIds, socketIoWrapping)
  }

  sendEvents (run: readonly Delivery[], onTaken: () => void): void {
    if (!this.#socket.connected) return
    const { conn } = this.#socket
    if (conn.transport.name === 'websocket') {
      const frames = encodeFrames(run, socketIoWrapping)
      const options: PreEncoded = { compress: false, wsPreEncodedFrame: [frames] }
      this.#count(frames.length, onTaken, taken => conn.write('', options as { compress: false }, taken))
      return
    }
    for (const { event, shape, ending } of run) {
      const text = sharedPart(event, shape, socketIoWrapping).toString('utf8', engineTypeLength) + ending.toString()
      this.#count(text.length, onTaken, taken => conn.write(text, { compress: false }, taken))
    }
  }

  sendMessage (name: string, body: object): void {
    this.#socket.emit(name, body)
  }

  close (reason: CloseReason): void {
    this.#socket.emit('closing', reason)
    this.#socket.disconnect(true)
  }

  #count (bytes: number, onTaken: () => void, write: (taken: () => void) => void): void {
    this.#bufferedBytes += bytes
    write(() => {
      this.#bufferedBytes -= bytes
      onTaken()
    })
  }
}
