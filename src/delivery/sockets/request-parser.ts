import { EventEmitter } from 'node:events'
import { Decoder, Encoder, PacketType, type Packet } from 'socket.io-parser'
import { toPublicError, ValidationError, type PublicError } from '../../errors.ts'
import { requireExactNumbers } from '../../foundation/exact-numbers.ts'
import { PreparedAnswer } from './prepared-answer.ts'

/** Replaces the fields of a request that is refused without being read. */
export class Unread {
  readonly refusal: PublicError

  constructor (refusal: PublicError) {
    this.refusal = refusal
  }
}

const binary = new Unread(new ValidationError('FRAME_INVALID', 'Binary data is not supported. Send JSON'))
const tooMany = new Unread(
  new ValidationError('FRAME_INVALID', 'A request must have a name and at most one argument, an object')
)

/**
 * The start of a packet with attachments: their count, the namespace, the acknowledgement id.
 * https://socket.io/docs/v4/socket-io-protocol/
 */
const binaryHead = /^5\d+-(?:(\/[^,]*),)?(?:(\d{1,15})(?!\d))?/
const headLengthMax = 256

/** Decoding text keeps no state, so one decoder serves all clients. */
const textDecoder = new Decoder()
let decoded: Packet | undefined
textDecoder.on('decoded', packet => { decoded = packet })

/**
 * Decodes Socket.IO requests, which are JSON. Passes a request with attachments on as one to refuse. Its JSON is not
 * parsed, and its attachments are dropped as they arrive, so nothing waits for missing ones.
 */
class RequestDecoder extends EventEmitter {
  /** Throws for an invalid packet; Socket.IO then ends the link. */
  add (data: unknown): void {
    if (typeof data !== 'string') return
    const packet = data.startsWith('5') ? toRefusedPacket(data) : data.startsWith('6') ? undefined : decode(data)
    if (packet !== undefined) this.emit('decoded', packet)
  }

  destroy (): void {}
}

/** Socket.IO's encoder, which inserts the text of prepared answers without parsing it. */
class AnswerEncoder extends Encoder {
  override encode (packet: Packet): (string | Buffer)[] {
    const [answer] = packet.type === PacketType.ACK ? packet.data as unknown[] : []
    if (!(answer instanceof PreparedAnswer)) return super.encode(packet) as (string | Buffer)[]
    return [
      `${PacketType.ACK}${packet.nsp === '/' ? '' : `${packet.nsp},`}${packet.id ?? ''}[{"ok":true,${answer.fields}}]`
    ]
  }
}

/** The `parser` option of Socket.IO's server. */
export const requestParser = { Encoder: AnswerEncoder, Decoder: RequestDecoder }

function decode (data: string): Packet | undefined {
  decoded = undefined
  textDecoder.add(data)
  const packet = decoded as Packet | undefined
  decoded = undefined
  if (packet?.type !== PacketType.EVENT) return packet
  const [name, , ...more] = packet.data as unknown[]
  const unread = more.length > 0 ? tooMany : inexactOf(data)
  if (unread !== undefined) packet.data = [name, unread]
  return packet
}

/** The part of a packet before its JSON: the type, the namespace, the acknowledgement id. */
const eventHead = /^2(?:\/[^,]*,)?\d*/

/**
 * Returns the refusal of a request with a number that parsing would change. The request's fields are the second item of
 * the packet's array.
 */
function inexactOf (data: string): Unread | undefined {
  try {
    requireExactNumbers(data.slice(eventHead.exec(data)?.[0].length), 1)
  } catch (error) {
    return new Unread(toPublicError(error))
  }
}

function toRefusedPacket (data: string): Packet {
  const match = binaryHead.exec(data.slice(0, headLengthMax))
  if (match === null) throw new Error('a packet with attachments must begin with their count')
  const [, nsp = '/', id] = match
  return { type: PacketType.EVENT, nsp, data: ['binary', binary], ...(id !== undefined && { id: Number(id) }) }
}
