import type { LoggedEvent } from '../../events/envelope.ts'
import type { ReturnMode } from '../../../schemas/realtime.ts'
import { SharedMessage, type Delivery } from './transport.ts'

/** The text that a transport puts around an event's JSON. */
export interface EventWrapping {
  kind: string
  before (event: LoggedEvent): string
  after: string
  /** Encodes a message that is not an event. */
  message (message: SharedMessage): string
}

/**
 * Engine.IO message (`4`), Socket.IO event (`2`), the event name and its one argument.
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
 * Returns the part of an event message that all sockets of a transport share; `ending` completes it. Encoded once per
 * event and shape.
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

/** Returns a complete message, which is the same for all sockets of a transport and has no ending. */
function wholeMessage (message: SharedMessage, wrapping: EventWrapping): Buffer {
  let whole = message.encoded.get(wrapping.kind)
  if (whole === undefined) {
    whole = Buffer.from(wrapping.message(message))
    message.encoded.set(wrapping.kind, whole)
  }
  return whole
}

/**
 * Returns the end of an event message: the ids of the subscriptions that matched, and the closing brackets. `join`
 * makes one flat string; concatenation would keep the parts, in twice the memory.
 */
export const endingOf = (subscriptionIds: readonly string[], wrapping: EventWrapping): string =>
  [',"subscriptionIds":', JSON.stringify(subscriptionIds), '}', wrapping.after].join('')

/**
 * In a run longer than this, sockets share all but the short parts. In a shorter one, they share only parts longer than
 * `sharedMin`.
 */
const longRunBytes = 128 * 1024
/** Sharing a part takes two more pieces, which cost a socket about 200 bytes. */
const sharedInLongRunMin = 512
const sharedMin = 16 * 1024

/**
 * Encodes a run of events as WebSocket text frames: unfragmented, and unmasked because a server sends them (RFC 6455
 * §5.2). The pieces, written in order, are the frames. Long shared parts are pieces without a copy, so a large batch
 * for a thousand sockets is in memory once. The rest is copied into one buffer.
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

/** Returns the length of the frames that `encodeFrames` makes. */
export function frameBytes (run: readonly Delivery[], wrapping: EventWrapping): number {
  let bytes = 0
  for (const { event, shape, ending } of run) {
    const length = sharedPart(event, shape, wrapping).length + ending.length
    bytes += headerLength(length) + length
  }
  return bytes
}

/** Writes one event's frame. Returns the position after it. */
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
