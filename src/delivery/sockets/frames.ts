import type { LoggedEvent } from '../../events/envelope.ts'
import type { ReturnMode } from '../../../schemas/realtime.ts'
import { SharedMessage, type Delivery } from './transport.ts'

/** How a transport wraps an event's JSON: the text before it. The matching end closes what this opens. */
export interface EventWrapping {
  kind: string
  before (event: LoggedEvent): string
  after: string
  /** A whole message that is not an event. */
  message (message: SharedMessage): string
}

/**
 * Engine.IO message (`4`), Socket.IO event (`2`), its name and its one argument.
 * https://socket.io/docs/v4/socket-io-protocol/
 */
export const socketIoWrapping: EventWrapping = {
  kind: 'socket.io',
  before: () => '42["event",',
  after: ']',
  message: ({ name, body }) => `42["${name}",${body}]`
}
export const wsWrapping: EventWrapping = {
  kind: 'ws',
  before: event => `{"type":"event","topic":"${event.topic}","data":`,
  after: '}',
  message: ({ name, body }) => `{"type":"${name}",${body.slice(1)}`
}

/**
 * The part of an event message that all sockets of a transport share, open at the end for `ending`. Made once an event
 * and shape.
 */
export function sharedPart (event: LoggedEvent | SharedMessage, shape: ReturnMode, wrapping: EventWrapping): Buffer {
  if (event instanceof SharedMessage) return wholeMessage(event, wrapping)
  const key = `${wrapping.kind}/${shape}`
  let part = event.encoded.get(key)
  if (part === undefined) {
    part = Buffer.from(wrapping.before(event) + event.json(shape).slice(0, -1))
    event.encoded.set(key, part)
  }
  return part
}

/** A message is the same for all of a transport: there is nothing left for an ending. */
function wholeMessage (message: SharedMessage, wrapping: EventWrapping): Buffer {
  let whole = message.encoded.get(wrapping.kind)
  if (whole === undefined) {
    whole = Buffer.from(wrapping.message(message))
    message.encoded.set(wrapping.kind, whole)
  }
  return whole
}

/**
 * The end of an event message: the subscriptions that matched, then what closes the envelope and the wrapping. Joined,
 * which makes one text: a text that is added up is kept as its parts, in twice the memory.
 */
export const endingOf = (subscriptionIds: readonly string[], wrapping: EventWrapping): string =>
  [',"subscriptionIds":', JSON.stringify(subscriptionIds), '}', wrapping.after].join('')

/**
 * In a run longer than this, sockets share all but the short parts; in a shorter one, only a part that is long by
 * itself.
 */
const longRunBytes = 128 * 1024
/** A shared part is two pieces more, which cost a socket some 200 bytes. */
const sharedInLongRunMin = 512
const sharedMin = 16 * 1024

/**
 * Encodes a run of events as WebSocket text frames: unfragmented, and unmasked because a server sends them (RFC 6455
 * §5.2). Written one after the other, the pieces are the frames. Long shared parts are pieces as they are: a large
 * batch that a thousand sockets wait for is in memory once. The rest is copied into one buffer.
 */
export function encodeFrames (run: readonly Delivery[], wrapping: EventWrapping): Buffer[] {
  const bytes = frameBytes(run, wrapping)
  const sharedFrom = bytes > longRunBytes ? sharedInLongRunMin : sharedMin
  const own = Buffer.allocUnsafe(bytes - sharedBytes(run, wrapping, sharedFrom))
  const pieces: Buffer[] = []
  let [from, at] = [0, 0]
  for (const delivery of run) {
    const part = sharedPart(delivery.event, delivery.shape, wrapping)
    if (part.length < sharedFrom) {
      at = layOutFrame(own, at, delivery, wrapping)
      continue
    }
    at = writeHeader(own, at, part.length + delivery.ending.length)
    pieces.push(own.subarray(from, at), part)
    from = at
    at += own.write(delivery.ending, at, 'latin1')
  }
  if (at > from) pieces.push(own.subarray(from, at))
  return pieces
}

function sharedBytes (run: readonly Delivery[], wrapping: EventWrapping, sharedFrom: number): number {
  let bytes = 0
  for (const { event, shape } of run) {
    const { length } = sharedPart(event, shape, wrapping)
    if (length >= sharedFrom) bytes += length
  }
  return bytes
}

/** The length of what `encodeFrames` makes. */
export function frameBytes (run: readonly Delivery[], wrapping: EventWrapping): number {
  let bytes = 0
  for (const { event, shape, ending } of run) {
    const length = sharedPart(event, shape, wrapping).length + ending.length
    bytes += headerLength(length) + length
  }
  return bytes
}

/** Writes one event's frame; answers where it ends. */
export function layOutFrame (
  buffer: Buffer, at: number, { event, shape, ending }: Delivery, wrapping: EventWrapping
): number {
  const shared = sharedPart(event, shape, wrapping)
  let end = writeHeader(buffer, at, shared.length + ending.length)
  end += shared.copy(buffer, end)
  return end + buffer.write(ending, end, 'latin1')
}

const finalTextFrame = 0x81
const headerLength = (length: number) => length < 126 ? 2 : length < 65_536 ? 4 : 10

function writeHeader (buffer: Buffer, at: number, length: number): number {
  buffer[at++] = finalTextFrame
  if (length < 126) {
    buffer[at++] = length
    return at
  }
  if (length < 65_536) {
    buffer[at++] = 126
    return buffer.writeUInt16BE(length, at)
  }
  buffer[at++] = 127
  return buffer.writeBigUInt64BE(BigInt(length), at)
}
