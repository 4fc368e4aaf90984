import type { Socket } from 'node:net'
import type { ReturnMode } from '../../../schemas/realtime.ts'
import { encodeFrames, frameBytes, layOutFrame, type EventWrapping } from './frames.ts'
import type { Delivery } from './transport.ts'

/** The longest run that goes to the sheet; a socket that stalls keeps a sheet of this size until it drains. */
const sheetBytes = 16 * 1024

const nothing = Buffer.alloc(0)

/** Where on the sheet one event's frame has its ending. */
interface Place { event: Delivery['event'], shape: ReturnMode, endingAt: number, endingBytes: number }

/**
 * Writes runs of events to sockets, each run in one write. One event mostly goes to many sockets, whose messages differ
 * in their endings only, and the kernel mostly takes a write at once: so they are laid out on one sheet of memory, of
 * which only the endings are written anew. Fresh memory for each would cost more than the copying. Longer runs are
 * written in pieces, of which sockets share the long ones.
 */
export class FrameWriter {
  readonly #wrapping: EventWrapping
  #sheet = Buffer.allocUnsafeSlow(sheetBytes)
  #places: Place[] = []
  /** The part of the sheet that is laid out. */
  #frames = this.#sheet.subarray(0, 0)

  constructor (wrapping: EventWrapping) {
    this.#wrapping = wrapping
  }

  /** Calls `onTaken` when the kernel has all of it. */
  write (socket: Socket, run: readonly Delivery[], onTaken: () => void): void {
    if (socket.writableLength > 0 || (!this.#isLaidOut(run) && !this.#layOut(run))) {
      return writeAll(socket, encodeFrames(run, this.#wrapping), onTaken)
    }
    for (let i = 0; i < run.length; i++) { this.#sheet.write((run[i] as Delivery).ending, (this.#places[i] as Place).endingAt, 'latin1') }
    // A callback would cost more than the rest of this: it is only needed behind what the kernel did not take at once.
    socket.write(this.#frames)
    if (socket.writableLength === 0) return onTaken()
    socket.write(nothing, onTaken)
    // What is left will be sent from this memory.
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

  /** Answers false when it does not fit. */
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
