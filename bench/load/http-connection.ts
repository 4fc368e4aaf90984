import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

export interface Response { status: number, body: Buffer }

/** Returns the bytes of a request, which are built once and sent many times. */
export function encodeRequest (
  url: string, method: string, path: string, { token, body }: { token?: string | undefined, body?: string } = {}
): Buffer {
  const headers = [`host: ${new URL(url).host}`]
  if (token !== undefined) headers.push(`authorization: Bearer ${token}`)
  if (body !== undefined) headers.push('content-type: application/json', `content-length: ${Buffer.byteLength(body)}`)
  return Buffer.from(`${method} ${path} HTTP/1.1\r\n${headers.join('\r\n')}\r\n\r\n${body ?? ''}`)
}

/**
 * A keep-alive connection with one request in flight, cheaper than what it measures. It only reads responses with a
 * Content-Length, which both sides of every row send.
 */
export class HttpConnection {
  readonly #socket: Socket
  #chunks: Buffer[] = []
  #bytes = 0
  /** Length of the current response including its head, once it is known. */
  #expected = 0
  #headBytes = 0
  #waiter: { resolve (response: Response): void, reject (error: Error): void } | undefined

  constructor (socket: Socket) {
    this.#socket = socket
    socket.setNoDelay(true)
    socket.on('data', chunk => this.#take(chunk))
    socket.on('error', error => this.#fail(error))
    socket.on('close', () => this.#fail(new Error('the server closed the connection')))
  }

  static async open (url: string): Promise<HttpConnection> {
    const { hostname, port } = new URL(url)
    const socket = connect(Number(port), hostname)
    await once(socket, 'connect')
    return new HttpConnection(socket)
  }

  /** False once the server has closed it, as it does after some idle time. */
  get isOpen (): boolean {
    return this.#socket.writable
  }

  request (bytes: Buffer): Promise<Response> {
    if (!this.isOpen) return Promise.reject(new Error('the server has closed the connection'))
    return new Promise((resolve, reject) => {
      this.#waiter = { resolve, reject }
      this.#socket.write(bytes)
    })
  }

  close (): void {
    this.#socket.destroy()
  }

  #take (chunk: Buffer): void {
    this.#chunks.push(chunk)
    this.#bytes += chunk.length
    if (this.#expected === 0 && !this.#readHead()) return
    if (this.#bytes < this.#expected) return
    const answer = this.#chunks.length === 1 ? chunk : Buffer.concat(this.#chunks)
    this.#chunks = []
    this.#bytes = this.#expected = 0
    const waiter = this.#waiter
    this.#waiter = undefined
    // "HTTP/1.1 200 …"
    waiter?.resolve({ status: Number(answer.toString('latin1', 9, 12)), body: answer.subarray(this.#headBytes) })
  }

  #readHead (): boolean {
    const start = this.#chunks.length === 1 ? this.#chunks[0] as Buffer : Buffer.concat(this.#chunks)
    const end = start.indexOf('\r\n\r\n')
    if (end === -1) return false
    const head = start.toString('latin1', 0, end)
    // 204 has neither a body nor its length.
    const length = head.startsWith('204', 9) ? '0' : /\r\ncontent-length: (\d+)/i.exec(head)?.[1]
    if (length === undefined) this.#fail(new Error('a response without a Content-Length'))
    this.#headBytes = end + 4
    this.#expected = this.#headBytes + Number(length)
    return true
  }

  #fail (error: Error): void {
    this.#waiter?.reject(error)
    this.#waiter = undefined
  }
}
