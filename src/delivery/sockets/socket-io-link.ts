import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket as TcpSocket } from 'node:net'
import type { Socket } from 'socket.io'
import type { WebSocket } from 'ws'
import type { CloseReason } from '../../identity/auth/close-codes.ts'

/** An Engine.IO socket: the link below Socket.IO, from the first byte on. */
export type Link = Socket['conn'] & { transport: LinkTransport }

/** A transport of Engine.IO with the members of WebSocket and long polling that its types lack. */
type LinkTransport = Socket['conn']['transport'] & {
  /** WebSocket only. */
  socket?: WebSocket & { _socket?: TcpSocket }
  /** Long polling only: the longest body of a POST. */
  maxHttpBufferSize?: number
  /** Long polling only: the poll that waits for packets. */
  res?: ServerResponse | null
  /** Long polling only: the POST in progress, and the bytes of it that have arrived. */
  dataReq?: IncomingMessage | null
  postedBytes?: number
  onDataRequest? (request: IncomingMessage, response: ServerResponse): void
}

/**
 * Ends the link itself, once everything sent so far has left. A stock client then sees "transport close" and reconnects
 * by itself. After a Socket.IO disconnect packet it would not. Over WebSocket, the close frame carries the reason. Cuts
 * off a peer that does not answer within `timeoutMs`.
 */
export function closeLink (link: Link, reason: CloseReason, timeoutMs: number): void {
  if (link.readyState !== 'open') return
  // Engine.IO sends no close code. With an empty buffer, this close frame overtakes nothing.
  if (link['writeBuffer'].length === 0) link.transport.socket?.close(reason.code, reason.reason)
  link.close()
  setTimeout(() => cutLink(link), timeoutMs).unref()
}

/** Ends the link without waiting for the peer. */
export function cutLink (link: Link): void {
  const { socket } = link.transport
  link.close(true)
  socket?.terminate()
}
