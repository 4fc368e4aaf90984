import type { Conversation } from './conversation.ts'
import { OverlongMessage } from './overlong-message.ts'

const headerBytes = 5
const firstPieceBytes = 16 * 1024

/**
 * Cuts what a server sends into messages and lets through only those that are complete and that the conversation
 * expects. Memory grows with the bytes that have arrived, not with the length that was declared.
 */
export class MessageReader {
  readonly #conversation: Conversation
  /** The beginning of a message whose rest has not arrived. */
  #partial: Buffer = Buffer.alloc(0)
  #partialBytes = 0
  #overlong: OverlongMessage | undefined

  constructor (conversation: Conversation) {
    this.#conversation = conversation
  }

  /**
   * Calls `pass` with whole messages, one or more at a time. Throws ProtocolError at the first one that is wrong, after
   * those before it were passed.
   */
  take (chunk: Buffer, pass: (messages: Buffer) => void): void {
    for (let at = 0; at < chunk.length;) {
      if (this.#overlong !== undefined) at += this.#passOver(this.#overlong, chunk.subarray(at), pass)
      else if (this.#partialBytes > 0) at += this.#complete(chunk.subarray(at), pass)
      else at += this.#takeWhole(chunk.subarray(at), pass)
    }
  }

  /** Takes what is whole, and the beginning of what is not; up to one that is overlong. */
  #takeWhole (chunk: Buffer, pass: (messages: Buffer) => void): number {
    let at = 0
    try {
      for (
        let next;
        at < chunk.length && (next = this.#end(chunk, at, chunk.length)) !== undefined && next <= chunk.length &&
        !this.#isOverlong(chunk, at);
        at = next
      ) this.#check(chunk, at, next)
    } finally {
      if (at > 0) pass(chunk.subarray(0, at))
    }
    if (at === chunk.length) return at
    if (chunk.length - at >= headerBytes && this.#isOverlong(chunk, at)) {
      this.#overlong = new OverlongMessage(chunk.readInt32BE(at + 1) + 1)
      return at
    }
    this.#keep(chunk, at, chunk.length)
    return chunk.length
  }

  #isOverlong (buffer: Buffer, at: number): boolean {
    return this.#conversation.isOverlong(buffer[at] as number, buffer.readInt32BE(at + 1) - 4)
  }

  /** Passes a short message in place of an overlong one once all of it has arrived. */
  #passOver (overlong: OverlongMessage, chunk: Buffer, pass: (messages: Buffer) => void): number {
    const taken = overlong.take(chunk)
    if (overlong.left > 0) return taken
    this.#overlong = undefined
    const message = overlong.shortened()
    this.#check(message, 0, message.length)
    pass(message)
    return taken
  }

  /** Adds to the message that is incomplete; returns how many bytes of the chunk it took. */
  #complete (chunk: Buffer, pass: (messages: Buffer) => void): number {
    let taken = 0
    while (taken < chunk.length) {
      const end = this.#end(this.#partial, 0, this.#partialBytes)
      if (end !== undefined && this.#isOverlong(this.#partial, 0)) {
        this.#overlong = new OverlongMessage(end)
        this.#overlong.take(this.#partial.subarray(0, this.#partialBytes))
        this.#partial = Buffer.alloc(0)
        this.#partialBytes = 0
        return taken
      }
      const wanted = (end ?? headerBytes) - this.#partialBytes
      const piece = Math.min(wanted, chunk.length - taken)
      this.#keep(chunk, taken, taken + piece, end)
      taken += piece
      if (piece < wanted) return taken
      const whole = this.#end(this.#partial, 0, this.#partialBytes) as number
      if (whole > this.#partialBytes) continue
      const message = this.#partial.subarray(0, whole)
      this.#partial = Buffer.alloc(0)
      this.#partialBytes = 0
      this.#check(message, 0, whole)
      pass(message)
      return taken
    }
    return taken
  }

  /** Where the message that begins at `at` ends, once its header is there. */
  #end (buffer: Buffer, at: number, available: number): number | undefined {
    if (available - at < headerBytes) return undefined
    const length = buffer.readInt32BE(at + 1)
    this.#conversation.admit(buffer[at] as number, length - 4)
    return at + 1 + length
  }

  #check (buffer: Buffer, at: number, end: number): void {
    this.#conversation.check(buffer[at] as number, buffer, at + headerBytes, end)
  }

  #keep (chunk: Buffer, from: number, to: number, whole = firstPieceBytes): void {
    const bytes = this.#partialBytes + to - from
    if (bytes > this.#partial.length) {
      const grown = Buffer.allocUnsafe(Math.max(bytes, Math.min(whole, this.#partial.length * 2), headerBytes))
      this.#partial.copy(grown, 0, 0, this.#partialBytes)
      this.#partial = grown
    }
    chunk.copy(this.#partial, this.#partialBytes, from, to)
    this.#partialBytes = bytes
  }
}
