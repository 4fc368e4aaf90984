import type { LoggedEvent } from '../../events/envelope.ts'
import type { ReturnMode } from '../../../schemas/realtime.ts'
import type { ServerMessage, ServerMessageName } from '../../../schemas/socket-protocol.ts'
import type { CloseReason } from '../../identity/auth/close-codes.ts'

/** One event or one channel message on its way to one socket. */
export interface Delivery {
  event: LoggedEvent | SharedMessage
  shape: ReturnMode
  /**
   * The end of the message's text, with the ids of the subscriptions that matched. Only this differs between sockets.
   * ASCII; empty for a channel message.
   */
  ending: string
}

/**
 * A socket as delivery uses it. Messages arrive in the order of the calls, or the socket closes. The transport owns the
 * link: sends after `close`, or after the peer has gone, are ignored.
 */
export interface Transport {
  readonly kind: 'socket.io' | 'ws'
  /** Identifies the socket to its client and to others in its scope. */
  readonly id: string
  /** Bytes accepted but not yet taken by the kernel (for long polling: by the next poll). */
  readonly bufferedBytes: number
  /** Bytes of a partly received message. */
  readonly arrivingBytes: number
  /** Returns the end of an event message that names these subscriptions. */
  ending (subscriptionIds: readonly string[]): string
  /** Sends a run of events, in one write where the link allows it. Calls `onTaken` when the kernel has taken them. */
  sendEvents (run: readonly Delivery[], onTaken: () => void): void
  /** Sends a message that is not an event. */
  sendMessage<N extends ServerMessageName>(name: N, body: ServerMessage<N>): void
  /** Closes with a reason. Cuts off a peer that does not answer in time. */
  close (reason: CloseReason): void
  /** Ends the link at once, without a close frame. */
  cut (): void
}

/**
 * A message that is not an event and is the same for all its receivers. Each transport encodes it once, for all its
 * sockets.
 */
export class SharedMessage {
  readonly name: 'message' | 'presence'
  /** JSON text of an object with at least one member. */
  readonly body: string
  /** The encoded message, by transport kind. */
  readonly encoded = new Map<string, Buffer>()

  constructor (name: 'message' | 'presence', body: string) {
    this.name = name
    this.body = body
  }
}
