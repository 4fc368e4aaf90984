import type { Socket } from 'node:net'

/** A longer head is left to the HTTP parser, which refuses it. */
export const headBytesMax = 16 * 1024
/** Informational answers to one request may take this much, so that a flood of them ends before the attempt's time. */
const interimBytesMax = 8 * 1024 * 1024

/**
 * Reads the bytes of a connection before the HTTP parser does. It removes informational (1xx) answers, which a client
 * must be able to read at any time (RFC 9110 §15.2) and undici refuses in part, and makes one of a `Content-Length`
 * that is repeated with the same value (RFC 9110 §8.6). Everything else passes as it came, so the parser stays the
 * judge of what is HTTP.
 */
export class AnswerHeads {
  #requests = 0
  #isAtHead = false
  #held: Buffer = Buffer.alloc(0)
  #interimBytes = 0
  #hasBegun = false

  /** Whether the current request is not the first one on its connection. */
  get isReused (): boolean { return this.#requests > 1 }
  /** Whether any byte came since the current request was begun. */
  get hasBegun (): boolean { return this.#hasBegun }

  /** Call before a request is written: what comes next is its answer. */
  begin (): void {
    this.#requests++
    this.#isAtHead = true
    this.#interimBytes = 0
    this.#hasBegun = false
  }

  /**
   * Returns the bytes that the parser gets; none while a head is incomplete. Throws when informational answers have no
   * end.
   */
  take (chunk: Buffer): Buffer {
    this.#hasBegun = true
    if (!this.#isAtHead) return chunk
    const held = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk])
    this.#held = Buffer.alloc(0)
    // In Latin-1 a character is a byte.
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
      if (this.#interimBytes > interimBytesMax) { throw Object.assign(new Error('endless 1xx answers'), { code: 'INTERIM_ANSWERS_TOO_LONG' }) }
      at += head.length
    }
  }

  /** Returns what is held of an incomplete head. Call at the end of the stream. */
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

/** Puts the filter between a connected socket and whoever reads it. */
export function filterHeads (socket: Socket): AnswerHeads {
  const heads = new AnswerHeads()
  const push = socket.push.bind(socket)
  const pass = (bytes: Buffer) => bytes.length === 0 || push(bytes)
  // A socket's handle hands over what it has read by `push`. A wrapping stream would cost a second buffer for each
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

/** The head that begins there, with its blank line. A bare LF ends a line, too (RFC 9112 §2.2). */
function headAt (text: string, at: number): string | undefined {
  const blankLine = /\r?\n\r?\n/g
  blankLine.lastIndex = at
  return blankLine.test(text) ? text.slice(at, blankLine.lastIndex) : undefined
}

const protocol = 'HTTP/1.'
const mayBeHttp = (bytes: Buffer) => protocol.startsWith(bytes.toString('latin1', 0, protocol.length))

/** 101 ends HTTP on the connection, so the parser has to see it: nobody asked for it. */
const isInterim = (head: string) => /^HTTP\/1\.\d 1(?!01)\d\d[ \r\n]/.test(head)

function withSingleLength (head: string): string {
  const lines = [...head.matchAll(/^content-length:(.*)\r?\n/gim)]
  const values = lines.flatMap(([, value = '']) => value.split(',').map(text => text.trim()))
  if (values.length < 2 || !values.every(value => /^\d+$/.test(value))) return head
  const [first = '', ...others] = values.map(value => value.replace(/^0+(?=\d)/, ''))
  if (others.some(value => value !== first)) return head
  return lines.reduce((text, [line], i) => text.replace(line, i === 0 ? `content-length: ${first}\r\n` : ''), head)
}
