import type { Socket } from 'node:net'
import type { ReturnMode } from '../../schemas/realtime.ts'
import { encodeFrames, frameBytes, layOutFrame, sharedBytesOf, sharedParts, type EventWrapping } from './frames.ts'
import type { Delivery } from './transport.ts'

/** A socket that stalls keeps a sheet of this size until it drains. */
const sheetBytes = 16 * 1024
/** Up to here a longer run is copied for each socket that it goes to; of what is longer, all but short parts is not. */
const copiedBytesMax = 128 * 1024
/** Shorter parts are copied even then: a piece of its own costs a socket some hundred bytes. */
const pieceBytesMin = 1024

const nothing = Buffer.alloc(0)

/** Where on the sheet one event's frame has its ending. */
interface Place { event: Delivery['event'], shape: ReturnMode, endingAt: number, endingBytes: number }

/** A run without its endings. */
interface Lot {
  events: readonly Pick<Delivery, 'event' | 'shape'>[]
  parts: readonly Buffer[]
  /** Whether it has no place on the sheet. */
  isLong: boolean
  /** From which length on a part is not copied, and how much that is. */
  sharedFrom: number
  sharedBytes: number
  /** Sockets that the kernel has not taken it from. */
  holders: number
}

/** What a socket waits for, and its listener of the end. */
interface Held { lots: Lot[], end: () => void }

/**
 * Writes runs of events to sockets, each run in one write. One event mostly goes to many sockets, whose messages differ
 * in their endings only, and the kernel mostly takes a write at once: so they are laid out on one sheet of memory, of
 * which only the endings are written anew. Fresh memory for each would cost more than the copying. What is long is not copied:
 * a thousand sockets that wait for it hold it once.
 */
export class FrameWriter {
  readonly #wrapping: EventWrapping
  #sheet = Buffer.allocUnsafeSlow(sheetBytes)
  #places: Place[] = []
  /** The part of the sheet that is laid out. */
  #frames = this.#sheet.subarray(0, 0)
  /** Of this turn: the next socket mostly gets the same. */
  #lot: Lot | undefined
  /** By socket: what waits for it. */
  readonly #held = new Map<Socket, Held>()

  constructor (wrapping: EventWrapping) {
    this.#wrapping = wrapping
  }

  /** Calls `onTaken` when the kernel has all of it. */
  write (socket: Socket, run: readonly Delivery[], onTaken: () => void): void {
    if (socket.writableLength > 0 || this.#isLong(run) || (!this.#isLaidOut(run) && !this.#layOut(run))) return this.#writeLot(socket, run, onTaken)
    for (let i = 0; i < run.length; i++) this.#sheet.write((run[i] as Delivery).ending, (this.#places[i] as Place).endingAt, 'latin1')
    // A callback would cost more than the rest of this: it is only needed behind what the kernel did not take at once.
    socket.write(this.#frames)
    if (socket.writableLength === 0) return onTaken()
    socket.write(nothing, onTaken)
    // What is left will be sent from this memory.
    this.#takeNewSheet()
  }

  /** A run as pieces that somebody else writes; `onTaken` is to be called when the kernel has them. */
  encode (socket: Socket, run: readonly Delivery[]): { pieces: Buffer[], onTaken: () => void } {
    const lot = this.#lotOf(run)
    this.#hold(socket, lot)
    return { pieces: encodeFrames(run, lot.parts, lot.sharedFrom), onTaken: () => this.#release(socket, lot) }
  }

  /** How many of a socket's waiting bytes others pay for: what several wait for is divided among them. */
  sharedBytes (socket: Socket): number {
    let bytes = 0
    for (const { sharedBytes, holders } of this.#held.get(socket)?.lots ?? noLots) bytes += sharedBytes - sharedBytes / holders
    return bytes
  }

  #writeLot (socket: Socket, run: readonly Delivery[], onTaken: () => void): void {
    const lot = this.#lotOf(run)
    const pieces = encodeFrames(run, lot.parts, lot.sharedFrom)
    if (pieces.length === 1) {
      socket.write(pieces[0] as Buffer, onTaken)
      return
    }
    socket.cork()
    for (const piece of pieces) socket.write(piece)
    socket.uncork()
    if (socket.writableLength === 0) return onTaken()
    this.#hold(socket, lot)
    socket.write(nothing, () => {
      this.#release(socket, lot)
      onTaken()
    })
  }

  #hold (socket: Socket, lot: Lot): void {
    lot.holders++
    const held = this.#held.get(socket)
    if (held !== undefined) {
      held.lots.push(lot)
      return
    }
    const end = () => this.#releaseAll(socket)
    this.#held.set(socket, { lots: [lot], end })
    // Nobody else may tell of what it does not take any more.
    socket.once('close', end)
  }

  #release (socket: Socket, lot: Lot): void {
    const held = this.#held.get(socket)
    const at = held?.lots.indexOf(lot) ?? -1
    if (held === undefined || at < 0) return
    lot.holders--
    held.lots.splice(at, 1)
    if (held.lots.length === 0) this.#releaseAll(socket)
  }

  #releaseAll (socket: Socket): void {
    const held = this.#held.get(socket)
    if (held === undefined) return
    this.#held.delete(socket)
    socket.off('close', held.end)
    for (const lot of held.lots) lot.holders--
  }

  #lotOf (run: readonly Delivery[]): Lot {
    if (this.#lot !== undefined && isOf(this.#lot, run)) return this.#lot
    const parts = sharedParts(run, this.#wrapping)
    const bytes = frameBytes(run, parts)
    const sharedFrom = bytes > copiedBytesMax ? pieceBytesMin : sheetBytes
    if (this.#lot === undefined) setImmediate(() => { this.#lot = undefined })
    const events = run.map(({ event, shape }) => ({ event, shape }))
    this.#lot = { events, parts, isLong: bytes > sheetBytes, sharedFrom, sharedBytes: sharedBytesOf(parts, sharedFrom), holders: 0 }
    return this.#lot
  }

  #isLong (run: readonly Delivery[]): boolean {
    return this.#lot?.isLong === true && isOf(this.#lot, run)
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
    const parts = sharedParts(run, this.#wrapping)
    const bytes = frameBytes(run, parts)
    if (bytes > sheetBytes) return false
    let at = 0
    this.#places = run.map(({ event, shape, ending }, i) => {
      at = layOutFrame(this.#sheet, at, parts[i] as Buffer, ending)
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

const isOf = ({ events }: Lot, run: readonly Delivery[]): boolean =>
  events.length === run.length && events.every(({ event, shape }, i) => event === run[i]?.event && shape === run[i]?.shape)

const noLots: readonly Lot[] = []
