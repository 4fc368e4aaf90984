import type { Socket } from 'socket.io'
import type { CloseReason } from '../../identity/auth/close-codes.ts'

/** An Engine.IO socket: the link below Socket.IO, from the first byte on. */
export type Link = Socket['conn']

/** The untyped parts of a link that this file uses; long polling has no WebSocket. */
interface Closable {
  writeBuffer: unknown[]
  transport: { socket?: { close (code: number, reason: string): void, terminate (): void } }
}

/**
 * Ends the link itself, once everything sent so far has left. A stock client then sees "transport close" and reconnects
 * by itself. After a Socket.IO disconnect packet it would not. Over WebSocket, the close frame carries the reason. Cuts
 * off a peer that does not answer within `timeoutMs`.
 */
export function closeLink (link: Link, reason: CloseReason, timeoutMs: number): void {
  if (link.readyState !== 'open') return
  const { writeBuffer, transport } = link as unknown as Closable
  // Engine.IO sends no close code. With an empty buffer, this close frame overtakes nothing.
  if (writeBuffer.length === 0) transport.socket?.close(reason.code, reason.reason)
  link.close()
  setTimeout(() => cutLink(link), timeoutMs).unref()
}

/** Ends the link without waiting for the peer. */
export function cutLink (link: Link): void {
  const { transport } = link as unknown as Closable
  link.close(true)
  transport.socket?.terminate()
}
