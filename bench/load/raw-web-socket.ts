import { randomBytes } from 'node:crypto'
import { connect, type Socket } from 'node:net'

const textFrame = 1
const closeFrame = 8
const pingFrame = 9
const pongFrame = 10

export interface RawWebSocketOptions {
  /** Receives a text message as bytes of a chunk, valid only during the call. */
  onText (chunk: Buffer, start: number, end: number): void
  onClose (reason: string): void
  headers: Record<string, string>
}

/**
 * A minimal WebSocket client, cheap enough for 2,000 of them in one process: it receives whole unmasked frames, sends
 * masked text frames (RFC 6455 §5.2), and decodes nothing.
 */
export class RawWebSocket {
  readonly #socket: Socket
  readonly #options: RawWebSocketOptions
  #rest: Buffer | undefined
  #isOpen = false

  constructor (url: string, path: string, options: RawWebSocketOptions) {
    this.#options = options
    const { hostname, port, host } = new URL(url)
    const headers = Object.entries({
      host, connection: 'Upgrade', upgrade: 'websocket', 'sec-websocket-version': '13',
      'sec-websocket-key': randomBytes(16).toString('base64'), ...options.headers
    }).map(([name, value]) => `${name}: ${value}\r\n`)
    this.#socket = connect(Number(port), hostname)
    this.#socket.setNoDelay(true)
    this.#socket.write(`GET ${path} HTTP/1.1\r\n${headers.join('')}\r\n`)
    this.#socket.on('data', chunk => this.#take(chunk))
    this.#socket.on('error', error => options.onClose(error.message))
    this.#socket.on('close', () => options.onClose('the connection ended'))
  }

  send (text: string): void {
    this.#sendFrame(textFrame, Buffer.from(text))
  }

  /** Stops reading. */
  pause (): void {
    this.#socket.pause()
  }

  close (): void {
    this.#socket.removeAllListeners('close').destroy()
  }

  #sendFrame (opcode: number, payload: Buffer): void {
    if (payload.length > 65_535) throw new Error('too long for this client')
    const isShort = payload.length < 126
    const head = isShort
      ? [0x80 | opcode, 0x80 | payload.length]
      : [0x80 | opcode, 0xfe, payload.length >> 8, payload.length & 0xff]
    // A mask of zeros leaves the payload as it is.
    this.#socket.write(Buffer.concat([Buffer.from([...head, 0, 0, 0, 0]), payload]))
  }

  #take (chunk: Buffer): void {
    const bytes = this.#rest === undefined ? chunk : Buffer.concat([this.#rest, chunk])
    let at = this.#isOpen ? 0 : this.#readUpgrade(bytes)
    while (at + 2 <= bytes.length) {
      const opcode = (bytes[at] as number) & 0x0f
      let length = (bytes[at + 1] as number) & 0x7f
      let start = at + 2
      if (length === 126) {
        if (start + 2 > bytes.length) break
        length = bytes.readUInt16BE(start)
        start += 2
      } else if (length === 127) {
        throw new Error('too long for this client')
      }
      if (start + length > bytes.length) break
      at = start + length
      if (opcode === textFrame) this.#options.onText(bytes, start, at)
      else if (opcode === pingFrame) this.#sendFrame(pongFrame, bytes.subarray(start, at))
      else if (opcode === closeFrame) this.#options.onClose('the server closed it')
    }
    this.#rest = at === bytes.length ? undefined : bytes.subarray(at)
  }

  #readUpgrade (bytes: Buffer): number {
    const end = bytes.indexOf('\r\n\r\n')
    if (end === -1) return 0
    if (!bytes.toString('latin1', 0, 12).endsWith('101')) return this.#refused(bytes)
    this.#isOpen = true
    return end + 4
  }

  #refused (bytes: Buffer): number {
    this.#options.onClose(bytes.toString('latin1', 0, 200))
    return bytes.length
  }
}
