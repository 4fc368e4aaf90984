import type { Conversation } from './conversation.ts'

const headerBytes = 5
const firstPieceBytes = 16 * 1024

/**
 * Cuts what a server sends into messages and lets through only those that are complete and that the conversation expects.
 * Memory grows with the bytes that have arrived, not with the length that was declared.
 */
export class MessageReader {
  readonly #conversation: Conversation
  /** The beginning of a message whose rest has not arrived. */
  #partial: Buffer = Buffer.alloc(0)
  #partialBytes = 0

  constructor (conversation: Conversation) {
    this.#conversation = conversation
  }

  /** Calls `pass` with whole messages, one or more at a time. Throws ProtocolError at the first one that is wrong, after those before it were passed. */
  take (chunk: Buffer, pass: (messages: Buffer) => void): void {
    let start = this.#complete(chunk, pass)
    let at = start
    try {
      for (let next; at < chunk.length && (next = this.#end(chunk, at, chunk.length)) !== undefined && next <= chunk.length; at = next) this.#check(chunk, at, next)
    } finally {
      if (at > start) pass(chunk.subarray(start, at))
      start = at
    }
    if (start < chunk.length) this.#keep(chunk, start, chunk.length)
  }

  /** Adds to the message that is incomplete; returns how many bytes of the chunk it took. */
  #complete (chunk: Buffer, pass: (messages: Buffer) => void): number {
    if (this.#partialBytes === 0) return 0
    let taken = 0
    while (taken < chunk.length) {
      const end = this.#end(this.#partial, 0, this.#partialBytes)
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
