import { isIP, Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { connect as connectTls, type ConnectionOptions } from 'node:tls'
import { Conversation, type WireLimits } from './conversation.ts'
import { MessageReader } from './message-reader.ts'
import { ProtocolError, TlsError } from './protocol-error.ts'

export interface CheckedSocketOptions {
  tls: ConnectionOptions | false
  limits: WireLimits
  /** Whether the server may begin a replication stream. */
  mayStream: boolean
}

/** An SSLRequest: length 8 and its code. */
const tlsRequest = Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f])

/**
 * A connection to a PostgreSQL server, for the option `stream` of node-postgres. It opens the TCP connection,
 * negotiates TLS, and passes on only checked messages. An unchecked message or an exception in a data listener destroys
 * it with an error, so nothing that a server sends reaches node-postgres unchecked or is thrown into the event loop.
 */
export class CheckedSocket extends Duplex {
  readonly #tls: ConnectionOptions | false
  readonly #socket = new Socket()
  readonly #conversation: Conversation
  readonly #reader: MessageReader
  /** The socket, or TLS over it. */
  #transport: Socket = this.#socket
  #hasEnded = false

  constructor ({ tls, limits, mayStream }: CheckedSocketOptions) {
    super({ allowHalfOpen: false })
    this.#tls = tls
    this.#conversation = new Conversation(limits, mayStream)
    this.#reader = new MessageReader(this.#conversation)
    this.#socket.on('error', error => this.destroy(error))
    this.#socket.on('close', () => this.#close())
  }

  connect (port: number, host: string): this {
    this.#socket.connect(port, host)
    this.#socket.once('connect', () => {
      if (this.#tls === false) this.#open(this.#socket)
      else this.#requestTls(this.#tls, host)
    })
    return this
  }

  setNoDelay (isOn: boolean): this {
    this.#socket.setNoDelay(isOn)
    return this
  }

  setKeepAlive (isOn: boolean, initialDelayMs: number): this {
    this.#socket.setKeepAlive(isOn, initialDelayMs)
    return this
  }

  ref (): this {
    this.#socket.ref()
    return this
  }

  unref (): this {
    this.#socket.unref()
    return this
  }

  override emit (event: string | symbol, ...values: unknown[]): boolean {
    if (event !== 'data') return super.emit(event, ...values)
    try {
      return super.emit(event, ...values)
    } catch (error) {
      this.destroy(new ProtocolError('A message could not be read', { cause: error }))
      return true
    }
  }

  override _read (): void {
    this.#transport.resume()
  }

  override _write (chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#conversation.sent(chunk[0])
    this.#transport.write(chunk, done)
  }

  override _writev (chunks: { chunk: Buffer }[], done: (error?: Error | null) => void): void {
    for (const { chunk } of chunks) this.#conversation.sent(chunk[0])
    this.#transport.write(Buffer.concat(chunks.map(({ chunk }) => chunk)), done)
  }

  override _final (done: (error?: Error | null) => void): void {
    if (this.#transport.destroyed) return done()
    this.#transport.end(() => done())
  }

  override _destroy (error: Error | null, done: (error?: Error | null) => void): void {
    this.#transport.destroy()
    this.#socket.destroy()
    done(error)
  }

  /** Requires an answer of exactly one byte: further bytes would not be encrypted. */
  #requestTls (options: ConnectionOptions, host: string): void {
    this.#socket.write(tlsRequest)
    this.#socket.once('data', (answer: Buffer) => {
      const [first] = answer
      if (answer.length > 1 && (first === 0x53 || first === 0x4e)) {
        return this.destroy(new ProtocolError('The answer to the request for TLS is malformed'))
      }
      if (first === 0x53) return this.#startTls(options, host)
      if (first === 0x4e || first === 0x45) return this.destroy(new TlsError('the server does not support TLS'))
      this.destroy(new ProtocolError('The answer to the request for TLS is malformed'))
    })
  }

  /** Omits the server name for an IP address (RFC 6066, section 3). */
  #startTls (options: ConnectionOptions, host: string): void {
    const secure = connectTls({ ...options, socket: this.#socket, host, ...(isIP(host) === 0 && { servername: host }) })
    this.#transport = secure
    secure.on('error', error => this.destroy(new TlsError(tlsReason(error), { cause: error })))
    secure.once('secureConnect', () => this.#open(secure))
  }

  #open (transport: Socket): void {
    transport.on('data', (chunk: Buffer) => this.#receive(chunk))
    transport.on('end', () => this.#close())
    transport.on('close', () => this.#close())
    this.emit('connect')
  }

  #receive (chunk: Buffer): void {
    if (this.destroyed) return
    try {
      this.#reader.take(chunk, messages => {
        if (!this.destroyed && !this.push(messages)) this.#transport.pause()
      })
    } catch (error) {
      this.destroy(error as Error)
    }
  }

  /** Ends the readable side after the data that has already arrived. */
  #close (): void {
    if (this.#hasEnded || this.destroyed) return
    this.#hasEnded = true
    this.push(null)
    this.end()
    // Until the connection is established nothing reads, so the end of the data would go unnoticed.
    if (this.readableFlowing === null) this.destroy()
  }
}

/** Describes a TLS error in our own words; OpenSSL's text contains its source lines. */
function tlsReason (error: Error): string {
  const { code = '' } = error as NodeJS.ErrnoException
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') return 'the certificate is for another host'
  if (/EXPIRED/.test(code)) return 'the certificate has expired'
  if (/SELF_SIGNED|UNABLE_TO|CERT_/.test(code)) return 'the certificate is not signed by a known authority'
  if (/^ECONN|^EPIPE/.test(code)) return 'the server closed the connection'
  return 'the handshake failed'
}
