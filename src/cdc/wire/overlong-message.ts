import { ProtocolError } from './protocol-error.ts'

/** A CopyData message begins with a type and a length; its XLogData with a type, two LSNs and a time. */
const copyHeaderBytes = 5
const walHeaderBytes = 25
/** A change begins with its operation and the OID of its table. */
const changeHeaderBytes = 5
const keptBytes = copyHeaderBytes + walHeaderBytes + changeHeaderBytes

/**
 * A tag that pgoutput does not use. The operation, the OID of the table and the length of the change follow, without
 * the row.
 */
export const overlongTag = 'X'

/**
 * A row change of a replication stream that exceeds the limit. Keeps only its start, and passes a short message in its
 * place: the row fails and the stream continues.
 */
export class OverlongMessage {
  readonly #bytes: number
  readonly #kept = Buffer.alloc(keptBytes)
  #taken = 0

  /** Takes the length of the whole message, including its header. */
  constructor (bytes: number) {
    this.#bytes = bytes
  }

  get left (): number { return this.#bytes - this.#taken }

  /** Returns how many bytes of the chunk belong to the message. */
  take (chunk: Buffer): number {
    const taken = Math.min(this.left, chunk.length)
    if (this.#taken < keptBytes) chunk.copy(this.#kept, this.#taken, 0, Math.min(taken, keptBytes - this.#taken))
    this.#taken += taken
    return taken
  }

  /** Returns the short message. Throws ProtocolError unless this is a row change: nothing else may exceed the limit. */
  shortened (): Buffer {
    const changeAt = copyHeaderBytes + walHeaderBytes
    if (this.#kept[copyHeaderBytes] !== 0x77 || !'IUD'.includes(String.fromCharCode(this.#kept[changeAt] as number))) {
      throw new ProtocolError(`A message of ${this.#bytes} bytes exceeds the limit`)
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
