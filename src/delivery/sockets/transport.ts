import type { LoggedEvent } from '../../events/envelope.ts'
import type { ReturnMode } from '../../../schemas/realtime.ts'
import type { CloseReason } from '../../identity/auth/close-codes.ts'

/** One event, or one message of a channel, on its way to one socket. */
export interface Delivery {
  event: LoggedEvent | SharedMessage
  shape: ReturnMode
  /**
   * What distinguishes this socket's message from another's: the end of its text, with the subscriptions that matched.
   * ASCII; empty for a message.
   */
  ending: string
}

/**
 * A socket as the delivery sees it. Everything sent arrives in the order of the calls, or the socket closes.
 * The transport owns the link: after `close`, or when the peer is gone, sends are ignored.
 */
export interface Transport {
  readonly kind: 'socket.io' | 'ws'
  /** What the socket is known by, to its client and to others in its scope. */
  readonly id: string
  /** Bytes accepted but not yet taken by the kernel (for long polling: by the next poll). */
  readonly bufferedBytes: number
  /** Bytes of a message that has arrived in part. */
  readonly arrivingBytes: number
  /** The end of an event message that names these subscriptions. */
  ending (subscriptionIds: readonly string[]): string
  /** Sends a run of events with one write where the link allows it. `onTaken` is called when the kernel has them. */
  sendEvents (run: readonly Delivery[], onTaken: () => void): void
  /** Sends a message that is not an event: `resync`, `closing`. */
  sendMessage (name: string, body: object): void
  /** Says goodbye and closes; a peer that does not answer in time is cut off. */
  close (reason: CloseReason): void
  /** Ends the link without a goodbye. */
  cut (): void
}

/**
 * A message that is not an event and is the same for all who get it: its bytes are made once a transport, whatever the
 * number of sockets.
 */
export class SharedMessage {
  readonly name: 'message' | 'presence'
  /** JSON text of an object with at least one member. */
  readonly body: string
  /** Bytes that transports made of it, by their kind. */
  readonly encoded = new Map<string, Buffer>()

  constructor (name: 'message' | 'presence', body: string) {
    this.name = name
    this.body = body
  }
}
