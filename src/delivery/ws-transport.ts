import type { Socket } from 'node:net'
import type { WebSocket } from 'ws'
import type { CloseReason } from './close-codes.ts'
import { encodeFrames, endingOf, wsWrapping } from './frames.ts'
import type { Delivery, Transport } from './transport.ts'

/**
 * A plain WebSocket. Events bypass `ws` and go to the TCP socket as whole frames, many in one write; that is safe
 * because compression is off, so `ws` itself only ever writes whole frames, at once.
 */
export class WsTransport implements Transport {
  readonly kind = 'ws'
  readonly #webSocket: WebSocket
  readonly #socket: Socket

  constructor (webSocket: WebSocket, socket: Socket) {
    this.#webSocket = webSocket
    this.#socket = socket
  }

  get bufferedBytes () { return this.#socket.writableLength }

  ending (subscriptionIds: readonly string[]): Buffer {
    return endingOf(subscriptionIds, wsWrapping)
  }

  sendEvents (run: readonly Delivery[], onTaken: () => void): void {
    if (this.#webSocket.readyState === this.#webSocket.OPEN) this.#socket.write(encodeFrames(run, wsWrapping), onTaken)
  }

  sendMessage (name: string, body: object): void {
    this.send({ type: name, ...body })
  }

  send (frame: object): void {
    if (this.#webSocket.readyState === this.#webSocket.OPEN) this.#webSocket.send(JSON.stringify(frame))
  }

  close (reason: CloseReason): void {
    this.#webSocket.close(reason.code, reason.reason)
  }
}
