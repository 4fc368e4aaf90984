import type { Socket } from 'node:net'
import type { WebSocket } from 'ws'
import type { ServerMessage, ServerMessageName } from '../../../schemas/socket-protocol.ts'
import { randomId } from '../../foundation/ids.ts'
import type { CloseReason } from '../../identity/auth/close-codes.ts'
import { FrameWriter } from './frame-writer.ts'
import { endingOf, wsWrapping } from './frames.ts'
import { arrivingBytes } from './message-limit.ts'
import type { Delivery, Transport } from './transport.ts'

const frames = new FrameWriter(wsWrapping)

/**
 * A plain WebSocket. Events bypass `ws` and go to the TCP socket as whole frames, many in one write. That is safe
 * because compression is off, so `ws` itself only writes whole frames, synchronously.
 */
export class WsTransport implements Transport {
  readonly id = randomId('conn')
  readonly #webSocket: WebSocket
  readonly #socket: Socket

  constructor (webSocket: WebSocket, socket: Socket) {
    this.#webSocket = webSocket
    this.#socket = socket
  }

  get kind () { return 'ws' as const }
  get bufferedBytes () { return this.#socket.writableLength }
  get arrivingBytes () { return arrivingBytes(this.#webSocket) }

  ending (subscriptionIds: readonly string[]): string {
    return endingOf(subscriptionIds, wsWrapping)
  }

  sendEvents (run: readonly Delivery[], onTaken: () => void): void {
    if (this.#webSocket.readyState === this.#webSocket.OPEN) frames.write(this.#socket, run, onTaken)
  }

  sendMessage<N extends ServerMessageName>(name: N, body: ServerMessage<N>): void {
    this.send({ type: name, ...body })
  }

  /** Returns the length of the text sent. */
  send (frame: object): number {
    return this.#webSocket.readyState === this.#webSocket.OPEN ? this.sendText(JSON.stringify(frame)) : 0
  }

  /** Like `send`, for a frame that is JSON text already. */
  sendText (text: string): number {
    if (this.#webSocket.readyState !== this.#webSocket.OPEN) return 0
    this.#webSocket.send(text)
    return text.length
  }

  close (reason: CloseReason): void {
    this.#webSocket.close(reason.code, reason.reason)
  }

  cut (): void {
    this.#webSocket.terminate()
  }
}
