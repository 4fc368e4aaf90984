import type { RealtimeError } from '../errors.ts'
import type { Messages, RequestName } from '../protocol/protocol.ts'

/*
 * A link is one socket, from the first byte to its close. The two transports are two functions that open one. A link
 * never reconnects: `Connection` opens another.
 */

export interface Credential { token: string, applicationId?: string, environment?: string }

export interface Opened {
  /** The id of the connection, by which members of channels see it. */
  socketId: string
  /** When the credential expires, in epoch milliseconds by the server's clock; null if it does not, or is unknown. */
  expiresAt: number | null
}

export interface LinkClose {
  /** The close code (docs/PROTOCOL.md#close-codes), or undefined if the link broke without one. */
  code?: number
  reason?: string
  /** Whether the same credential may reconnect. */
  mayReconnect: boolean
  /** The reason of the refusal, or what the transport reports about the end. */
  error?: RealtimeError
}

type MessageEvents = { [Name in keyof Messages]: (body: Messages[Name]) => void }

export interface LinkEvents extends MessageEvents {
  /** The server accepted the credential. Called at most once, before any message. */
  opened (hello: Opened): void
  /** The link has ended, or never opened. Called exactly once; nothing is called after it. */
  closed (close: LinkClose): void
}

export interface Link {
  /**
   * Sends a request. Calls `done` with the answer or the refusal exactly once, unless the link closes before. Requests
   * are sent in the order of the calls.
   */
  request (name: RequestName, fields: object, done: (error: RealtimeError | undefined, answer?: unknown) => void): void
  /** Calls `done` when the server has answered. */
  ping (done: () => void): void
  /** Closes the link. `closed` is called at once, with the error. */
  close (error?: RealtimeError): void
}

/** Opens a link to the server at `url` (http or https), and presents the credential. Calls back only later. */
export type Transport = (url: URL, credential: Credential, events: LinkEvents) => Link

/** Close codes after which the same credential is refused again (docs/PROTOCOL.md#close-codes). */
export const isRefusedCode = (code: number): boolean => [4401, 4402, 4403].includes(code)

/** Close codes after which the client does not reconnect with the same credential. */
export const isFinalCode = (code: number): boolean => isRefusedCode(code) || code === 4410 || code === 4411

/** Returns the path of an endpoint of the platform. It keeps the path of the URL, for a platform behind a prefix. */
export const pathOf = ({ pathname }: URL, path: string): string => pathname.replace(/\/+$/, '') + path
