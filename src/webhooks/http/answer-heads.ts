import type { Socket } from 'node:net'

/** A longer head is passed to the HTTP parser, which rejects it. */
export const headBytesMax = 16 * 1024
/** Limit for informational responses to one request, so that a flood of them ends before the attempt times out. */
const interimBytesMax = 8 * 1024 * 1024

/**
 * Filters the bytes of a connection before the HTTP parser reads them. It removes informational (1xx) responses, which
 * a client must accept at any time (RFC 9110 §15.2) and undici partly rejects, and merges a `Content-Length` repeated
 * with the same value (RFC 9110 §8.6). All other bytes pass unchanged, so the parser still decides what is valid HTTP.
 */
export class AnswerHeads {
  #requests = 0
  #isAtHead = false
  #held: Buffer = Buffer.alloc(0)
  #interimBytes = 0
  #hasBegun = false

  /** Whether the current request is not the first one on its connection. */
  get isReused (): boolean { return this.#requests > 1 }
  /** Whether any byte has arrived since the current request began. */
  get hasBegun (): boolean { return this.#hasBegun }

  /** Call before a request is written: the bytes that follow are its response. */
  begin (): void {
    this.#requests++
    this.#isAtHead = true
    this.#interimBytes = 0
    this.#hasBegun = false
  }

  /**
   * Returns the bytes for the parser; none while a head is incomplete. Throws when informational responses exceed
   * their limit.
   */
  take (chunk: Buffer): Buffer {
    this.#hasBegun = true
    if (!this.#isAtHead) return chunk
    const held = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk])
    this.#held = Buffer.alloc(0)
    // Latin-1 maps each byte to one character.
    const text = held.toString('latin1')
    for (let at = 0; ;) {
      const head = headAt(text, at)
      if (head === undefined) return this.#hold(held.subarray(at))
      if (!isInterim(head)) {
        this.#isAtHead = false
        const single = withSingleLength(head)
        return single === head
          ? held.subarray(at)
          : Buffer.concat([Buffer.from(single, 'latin1'), held.subarray(at + head.length)])
      }
      this.#interimBytes += head.length
      if (this.#interimBytes > interimBytesMax) {
        throw Object.assign(new Error('too many 1xx responses'), { code: 'INTERIM_ANSWERS_TOO_LONG' })
      }
      at += head.length
    }
  }

  /** Returns the bytes of an incomplete head. Call at the end of the stream. */
  rest (): Buffer {
    this.#isAtHead = false
    return this.#held
  }

  #hold (bytes: Buffer): Buffer {
    if (bytes.length <= headBytesMax && mayBeHttp(bytes)) {
      this.#held = bytes
      return Buffer.alloc(0)
    }
    this.#isAtHead = false
    return bytes
  }
}

/** Installs the filter between a connected socket and its reader. */
export function filterHeads (socket: Socket): AnswerHeads {
  const heads = new AnswerHeads()
  const push = socket.push.bind(socket)
  const pass = (bytes: Buffer) => bytes.length === 0 || push(bytes)
  // A socket's handle delivers the bytes it reads through `push`. A wrapping stream would cost a second buffer per
  // connection.
  socket.push = (chunk: Buffer | null) => {
    if (chunk === null) {
      pass(heads.rest())
      return push(null)
    }
    try {
      return pass(heads.take(chunk))
    } catch (error) {
      socket.destroy(error as Error)
      return false
    }
  }
  return heads
}

/** Returns the head that begins at `at`, with its blank line. A bare LF also ends a line (RFC 9112 §2.2). */
function headAt (text: string, at: number): string | undefined {
  const blankLine = /\r?\n\r?\n/g
  blankLine.lastIndex = at
  return blankLine.test(text) ? text.slice(at, blankLine.lastIndex) : undefined
}

const protocol = 'HTTP/1.'
const mayBeHttp = (bytes: Buffer) => protocol.startsWith(bytes.toString('latin1', 0, protocol.length))

/** Excludes 101: it ends HTTP on the connection, so the parser must see it and reject it as not requested. */
const isInterim = (head: string) => /^HTTP\/1\.\d 1(?!01)\d\d[ \r\n]/.test(head)

function withSingleLength (head: string): string {
  const lines = [...head.matchAll(/^content-length:(.*)\r?\n/gim)]
  const values = lines.flatMap(([, value = '']) => value.split(',').map(text => text.trim()))
  if (values.length < 2 || !values.every(value => /^\d+$/.test(value))) return head
  const [first = '', ...others] = values.map(value => value.replace(/^0+(?=\d)/, ''))
  if (others.some(value => value !== first)) return head
  return lines.reduce((text, [line], i) => text.replace(line, i === 0 ? `content-length: ${first}\r\n` : ''), head)
}
