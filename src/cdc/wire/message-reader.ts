import type { Conversation } from './conversation.ts'
import { OverlongMessage } from './overlong-message.ts'

const headerBytes = 5
const firstPieceBytes = 16 * 1024

/**
 * Splits what a server sends into messages and passes on only those that are complete and expected. Memory grows with
 * the bytes that have arrived, not with the declared length.
 */
export class MessageReader {
  readonly #conversation: Conversation
  /** The received start of a message that is not complete yet. */
  #partial: Buffer = Buffer.alloc(0)
  #partialBytes = 0
  #overlong: OverlongMessage | undefined

  constructor (conversation: Conversation) {
    this.#conversation = conversation
  }

  /**
   * Calls `pass` with whole messages, one or more at a time. Throws ProtocolError at the first invalid one, after it
   * has passed those before.
   */
  take (chunk: Buffer, pass: (messages: Buffer) => void): void {
    for (let at = 0; at < chunk.length;) {
      if (this.#overlong !== undefined) at += this.#passOver(this.#overlong, chunk.subarray(at), pass)
      else if (this.#partialBytes > 0) at += this.#complete(chunk.subarray(at), pass)
      else at += this.#takeWhole(chunk.subarray(at), pass)
    }
  }

  /** Passes the complete messages and keeps the start of an incomplete one. Stops at an overlong message. */
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

  /** Passes a short message in place of an overlong one, once all of that has arrived. */
  #passOver (overlong: OverlongMessage, chunk: Buffer, pass: (messages: Buffer) => void): number {
    const taken = overlong.take(chunk)
    if (overlong.left > 0) return taken
    this.#overlong = undefined
    const message = overlong.shortened()
    this.#check(message, 0, message.length)
    pass(message)
    return taken
  }

  /** Appends to the incomplete message. Returns how many bytes of the chunk it used. */
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

  /** Returns where the message that begins at `at` ends; undefined until its header has arrived. */
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
