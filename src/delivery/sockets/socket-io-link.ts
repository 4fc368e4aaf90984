import type { Socket } from 'socket.io'
import type { CloseReason } from '../../identity/auth/close-codes.ts'

/** An Engine.IO socket: the link below Socket.IO, from the first byte on. */
export type Link = Socket['conn']

/** The untyped part of it: the WebSocket, where it has one. */
interface Closable {
  writeBuffer: unknown[]
  transport: { socket?: { close (code: number, reason: string): void, terminate (): void } }
}

/**
 * Ends the link itself, once everything sent so far has left. A stock client sees "transport close" and reconnects by
 * itself; after a Socket.IO disconnect packet it would stay away. Over WebSocket the close frame carries the reason.
 * A peer that does not answer within `timeoutMs` is cut off.
 */
export function closeLink (link: Link, reason: CloseReason, timeoutMs: number): void {
  if (link.readyState !== 'open') return
  const { writeBuffer, transport } = link as unknown as Closable
  // Engine.IO sends no code of its own, and holds nothing back that this would overtake.
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
