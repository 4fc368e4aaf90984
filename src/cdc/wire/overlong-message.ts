import { ProtocolError } from './protocol-error.ts'

/** Of a CopyData message: type and length; of its XLogData: type, two LSNs and a time. */
const copyHeaderBytes = 5
const walHeaderBytes = 25
/** Of the change: its operation, and the oid of its table. */
const changeHeaderBytes = 5
const keptBytes = copyHeaderBytes + walHeaderBytes + changeHeaderBytes

/**
 * A tag that pgoutput has not: the operation, the table's oid and the length of a change follow, and nothing of the
 * row.
 */
export const overlongTag = 'X'

/**
 * A row change of a replication stream that is longer than the limit. No more than its beginning is kept, whatever
 * arrives, and a short message takes its place, so that the row fails and the stream goes on.
 */
export class OverlongMessage {
  readonly #bytes: number
  readonly #kept = Buffer.alloc(keptBytes)
  #taken = 0

  /** The length of the whole message, with its header. */
  constructor (bytes: number) {
    this.#bytes = bytes
  }

  get left (): number { return this.#bytes - this.#taken }

  /** Returns how many bytes of the chunk are the message's. */
  take (chunk: Buffer): number {
    const taken = Math.min(this.left, chunk.length)
    if (this.#taken < keptBytes) chunk.copy(this.#kept, this.#taken, 0, Math.min(taken, keptBytes - this.#taken))
    this.#taken += taken
    return taken
  }

  /** Throws ProtocolError for what is no row change: nothing else may be so long. */
  shortened (): Buffer {
    const changeAt = copyHeaderBytes + walHeaderBytes
    if (this.#kept[copyHeaderBytes] !== 0x77 || !'IUD'.includes(String.fromCharCode(this.#kept[changeAt] as number))) {
      throw new ProtocolError(`A message has ${this.#bytes} bytes, more than are allowed`)
    }
    const message = Buffer.alloc(keptBytes + 1 + 4)
    this.#kept.copy(message, 0, 0, changeAt)
    message.writeInt32BE(message.length - 1, 1)
    message.write(overlongTag, changeAt, 'latin1')
    this.#kept.copy(message, changeAt + 1, changeAt)
    message.writeInt32BE(this.#bytes - changeAt, keptBytes + 1)
    return message
  }
}
