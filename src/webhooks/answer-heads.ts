import type { Socket } from 'node:net'

/** A longer head is left to the HTTP parser, which refuses it. */
export const headBytesMax = 16 * 1024
/** Informational answers to one request may take this much, so that an endless row of them costs little. */
const interimBytesMax = 64 * 1024

/**
 * Reads the bytes of a connection before the HTTP parser does. It removes informational (1xx) answers, which a client must be
 * able to read at any time (RFC 9110 §15.2) and undici refuses in part, and makes one of a `Content-Length` that is repeated with
 * the same value (RFC 9110 §8.6). Everything else passes as it came, so the parser stays the judge of what is HTTP.
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

  /** Returns the bytes that the parser gets; none while a head is incomplete. Throws when informational answers have no end. */
  take (chunk: Buffer): Buffer {
    this.#hasBegun = true
    if (!this.#isAtHead) return chunk
    let held = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk])
    this.#held = Buffer.alloc(0)
    for (;;) {
      const head = headOf(held)
      if (head === undefined) return this.#hold(held)
      if (!isInterim(head)) {
        this.#isAtHead = false
        const single = withSingleLength(head)
        return single === head ? held : Buffer.concat([Buffer.from(single, 'latin1'), held.subarray(head.length)])
      }
      this.#interimBytes += head.length
      if (this.#interimBytes > interimBytesMax) throw new Error(`more than ${interimBytesMax} bytes of informational (1xx) answers`)
      held = held.subarray(head.length)
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
  // A socket's handle hands over what it has read by `push`. A wrapping stream would cost a second buffer for each connection.
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

/** The head with its blank line, in Latin-1 so that a character is a byte. A bare LF ends a line, too (RFC 9112 §2.2). */
function headOf (bytes: Buffer): string | undefined {
  const text = bytes.toString('latin1', 0, headBytesMax)
  const end = /\r?\n\r?\n/.exec(text)
  return end === null ? undefined : text.slice(0, end.index + end[0].length)
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
