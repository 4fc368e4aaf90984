import type { Socket } from 'node:net'
import type { ReturnMode } from '../../../schemas/realtime.ts'
import { encodeFrames, frameBytes, layOutFrame, type EventWrapping } from './frames.ts'
import type { Delivery } from './transport.ts'

/** The longest run that fits the sheet. A stalled socket keeps a sheet of this size until it drains. */
const sheetBytes = 16 * 1024

const nothing = Buffer.alloc(0)

/** The position of one event's ending on the sheet. */
interface Place { event: Delivery['event'], shape: ReturnMode, endingAt: number, endingBytes: number }

/**
 * Writes runs of events to sockets, one write per run. An event usually goes to many sockets, whose messages differ
 * only in their endings, and the kernel usually takes a write at once. So the frames are laid out on one sheet of
 * memory, and only the endings are rewritten for each socket. Allocating memory for each would cost more than the
 * copying. Longer runs are written in pieces; sockets share the long ones.
 */
export class FrameWriter {
  readonly #wrapping: EventWrapping
  #sheet = Buffer.allocUnsafeSlow(sheetBytes)
  #places: Place[] = []
  /** The part of the sheet that is in use. */
  #frames = this.#sheet.subarray(0, 0)

  constructor (wrapping: EventWrapping) {
    this.#wrapping = wrapping
  }

  /** Calls `onTaken` when the kernel has taken the whole run. */
  write (socket: Socket, run: readonly Delivery[], onTaken: () => void): void {
    if (socket.writableLength > 0 || (!this.#isLaidOut(run) && !this.#layOut(run))) {
      return writeAll(socket, encodeFrames(run, this.#wrapping), onTaken)
    }
    for (let i = 0; i < run.length; i++) {
      this.#sheet.write((run[i] as Delivery).ending, (this.#places[i] as Place).endingAt, 'latin1')
    }
    // A callback on each write would cost more than the rest of this function. It is only needed for a remainder.
    socket.write(this.#frames)
    if (socket.writableLength === 0) return onTaken()
    socket.write(nothing, onTaken)
    // The remainder will be sent from this memory.
    this.#takeNewSheet()
  }

  #isLaidOut (run: readonly Delivery[]): boolean {
    if (run.length !== this.#places.length) return false
    for (let i = 0; i < run.length; i++) {
      const { event, shape, ending } = run[i] as Delivery
      const place = this.#places[i] as Place
      if (event !== place.event || shape !== place.shape || ending.length !== place.endingBytes) return false
    }
    return true
  }

  /** Returns false if the run does not fit the sheet. */
  #layOut (run: readonly Delivery[]): boolean {
    const bytes = frameBytes(run, this.#wrapping)
    if (bytes > sheetBytes) return false
    let at = 0
    this.#places = run.map(delivery => {
      at = layOutFrame(this.#sheet, at, delivery, this.#wrapping)
      const { event, shape, ending } = delivery
      return { event, shape, endingAt: at - ending.length, endingBytes: ending.length }
    })
    this.#frames = this.#sheet.subarray(0, bytes)
    return true
  }

  #takeNewSheet (): void {
    this.#sheet = Buffer.allocUnsafeSlow(sheetBytes)
    this.#places = []
  }
}

/** Hands all pieces to the kernel in one call. */
function writeAll (socket: Socket, pieces: readonly Buffer[], onTaken: () => void): void {
  const last = pieces.length - 1
  if (last > 0) socket.cork()
  pieces.forEach((piece, i) => { socket.write(piece, i === last ? onTaken : undefined) })
  if (last > 0) socket.uncork()
}
