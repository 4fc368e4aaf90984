/*
 * Frames between a worker and its parent process, both ways: the length of the rest, a type, a number, the length of a
 * name, the name and a body. The parent forwards a message as the bytes in which it arrived.
 */

export const frameTypes = {
  /** A message of the channel `name`. */
  message: 1,
  /** The worker listens to the channel `name`; the parent confirms it with an answer. */
  listen: 2,
  unlisten: 3,
  /** A question of the kind `name`. */
  ask: 4,
  /** The answer to the question `id`. An empty name means that there is none. */
  answer: 5,
  /** The message that the parent sends to the channel `name` when the worker ends without closing its link. */
  will: 6,
  /** The parent dropped messages for this worker, because it did not read them in time. */
  missed: 7
} as const
export type FrameType = typeof frameTypes[keyof typeof frameTypes]

export interface Frame {
  type: number
  id: number
  name: string
  /** The body as text. */
  readonly text: string
  /** The whole frame, to forward it. Valid only during the call that receives it, unless it is copied. */
  readonly bytes: Buffer
}

const headerBytes = 11

export function encodeFrame (type: FrameType, id: number, name: string, text: string): Buffer {
  const nameBytes = Buffer.byteLength(name)
  const textBytes = Buffer.byteLength(text)
  const frame = Buffer.allocUnsafe(headerBytes + nameBytes + textBytes)
  frame.writeUInt32LE(frame.length - 4, 0)
  frame[4] = type
  frame.writeUInt32LE(id, 5)
  frame.writeUInt16LE(nameBytes, 9)
  frame.write(name, headerBytes)
  frame.write(text, headerBytes + nameBytes)
  return frame
}

function decodeFrame (bytes: Buffer): Frame {
  const bodyAt = headerBytes + bytes.readUInt16LE(9)
  return {
    type: bytes[4] as number,
    id: bytes.readUInt32LE(5),
    name: bytes.toString('utf8', headerBytes, bodyAt),
    get text () { return bytes.toString('utf8', bodyAt) },
    bytes
  }
}

/** Returns a function that takes the chunks of a stream and calls `onFrame` for each complete frame. */
export function frameReader (onFrame: (frame: Frame) => void): (chunk: Buffer) => void {
  let parts: Buffer[] = []
  let length = 0
  /** Bytes without which the next frame is incomplete. */
  let needed = 4
  return chunk => {
    parts.push(chunk)
    length += chunk.length
    if (length < needed) return
    // A large frame is joined once, when all of it has arrived.
    const buffer = parts.length === 1 ? chunk : Buffer.concat(parts, length)
    let at = 0
    needed = 4
    while (buffer.length - at >= needed) {
      needed = 4 + buffer.readUInt32LE(at)
      if (buffer.length - at < needed) break
      onFrame(decodeFrame(buffer.subarray(at, at + needed)))
      at += needed
      needed = 4
    }
    parts = at === buffer.length ? [] : [buffer.subarray(at)]
    length = buffer.length - at
  }
}
