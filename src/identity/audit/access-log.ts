import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Principal } from '../access/principal.ts'
import { plainText } from '../../foundation/plain-text.ts'
import { withoutApiKeys } from './mask.ts'
import type { Scope } from '../../../schemas/scope.ts'

const textLengthMax = 500

/** A query, also where its question mark is encoded, and path parameters: a client may have put a token there. */
const beyondPath = /(?:[?;#]|%3[bf]|%23).*$/is
/** The scheme and authority of a target in absolute form, which may have credentials. */
const authority = /^[a-z][a-z\d+.-]*:\/\/[^/?#]*/i

/**
 * Returns the path of a request target: without authority, query and API keys, in one line and limited in length.
 */
export const loggedPath = (url: string | undefined): string =>
  plainText(
    withoutApiKeys((url ?? '').slice(0, 4 * textLengthMax).replace(authority, '').replace(beyondPath, '')),
    textLengthMax
  )

export const loggedAgent = (userAgent: string | undefined): string | undefined =>
  userAgent === undefined ? undefined : plainText(userAgent, textLengthMax)

/** Counts the bytes of a body that is written in pieces. Call it before the first piece. */
export function countWritten (response: ServerResponse): () => number {
  let bytes = 0
  const { write, end } = response
  const counting = (method: typeof write | typeof end) =>
    function (this: ServerResponse, ...args: unknown[]) {
      const [chunk, encoding] = args
      if (typeof chunk === 'string') {
        bytes += Buffer.byteLength(
          chunk,
          typeof encoding === 'string' ? encoding as BufferEncoding : 'utf8'
        )
      } else if (chunk instanceof Uint8Array) bytes += chunk.length
      return (method as (...args: unknown[]) => unknown).apply(this, args)
    }
  response.write = counting(write) as typeof write
  response.end = counting(end) as typeof end
  return () => bytes
}

export interface OpenedSocket {
  transport: 'socket.io' | 'ws'
  path: string
  address: string
  userAgent: string | undefined
  /** The TCP socket of a WebSocket; undefined while a client polls. */
  tcp: Socket | undefined
}

/** The owner of an authenticated socket. */
interface Owner { readonly id: string, readonly principal: Principal, readonly scope: Scope }

/**
 * Writes the access log of one socket: a line when it is authenticated, and a line when it ends, authenticated or not.
 */
export class SocketAccess {
  readonly #log: AccessLogger
  readonly #of: Omit<OpenedSocket, 'tcp'>
  readonly #begin = performance.now()
  #tcp: { socket: Socket, read: number, written: number } | undefined
  /** Bytes of packets while the client polls. */
  #received = 0
  #sent = 0
  #owner: object = {}

  constructor (log: AccessLogger, { tcp, path, userAgent, ...rest }: OpenedSocket) {
    this.#log = log
    this.#of = { ...rest, path: loggedPath(path), userAgent: loggedAgent(userAgent) }
    if (tcp !== undefined) this.upgraded(tcp)
  }

  get isPolling () { return this.#tcp === undefined }

  /** A WebSocket replaces polling. Its bytes are counted from now on, without the handshake. */
  upgraded (socket: Socket): void {
    this.#tcp = { socket, read: socket.bytesRead, written: socket.bytesWritten }
  }

  polled (received: number, sent: number): void {
    this.#received += received
    this.#sent += sent
  }

  authenticated ({ id, principal, scope }: Owner): void {
    this.#owner = { socketId: id, principal: principal.id, scope }
    this.#log.info({ ...this.#of, status: this.#tcp === undefined ? 200 : 101, ...this.#owner }, 'socket.connected')
  }

  closed (end: { code?: number, reason?: string }): void {
    const { socket, read, written } = this.#tcp ?? { socket: { bytesRead: 0, bytesWritten: 0 }, read: 0, written: 0 }
    this.#log.info({
      ...this.#of,
      ...this.#owner,
      ...(end.code !== undefined && { code: end.code }),
      ...(end.reason !== undefined && end.reason !== '' && { reason: plainText(end.reason, textLengthMax) }),
      durationMs: Math.round(performance.now() - this.#begin),
      bytesReceived: this.#received + socket.bytesRead - read,
      bytesSent: this.#sent + socket.bytesWritten - written
    }, 'socket.disconnected')
  }
}

export interface AccessLogger { info (fields: object, message: string): void }
