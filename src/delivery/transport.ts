import type { LoggedEvent } from '../events/envelope.ts'
import type { ReturnMode } from '../../schemas/realtime.ts'
import type { CloseReason } from './close-codes.ts'

/** One event on its way to one socket. */
export interface Delivery {
  event: LoggedEvent
  shape: ReturnMode
  /** What distinguishes this socket's message from another's: the end of its text, with the subscriptions that matched. */
  ending: Buffer
}

/**
 * A socket as the delivery sees it. Everything sent arrives in the order of the calls, or the socket closes.
 * The transport owns the link: after `close`, or when the peer is gone, sends are ignored.
 */
export interface Transport {
  readonly kind: 'socket.io' | 'ws'
  /** Bytes accepted but not yet taken by the kernel (for long polling: by the next poll). */
  readonly bufferedBytes: number
  /** The end of an event message that names these subscriptions. */
  ending (subscriptionIds: readonly string[]): Buffer
  /** Sends a run of events with one write where the link allows it. `onTaken` is called when the kernel has them. */
  sendEvents (run: readonly Delivery[], onTaken: () => void): void
  /** Sends a message that is not an event: `resync`, `closing`. */
  sendMessage (name: string, body: object): void
  close (reason: CloseReason): void
}
