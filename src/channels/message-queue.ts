import type { Connection } from '../delivery/sockets/connection.ts'
import type { SharedMessage } from '../delivery/sockets/transport.ts'
import type { Member } from './channel.ts'

/** Queues messages at connections, and flushes the connections at the end of the turn. */
export class MessageQueue {
  #queued: Connection[] = []
  readonly #flush = (): void => {
    const queued = this.#queued
    this.#queued = []
    for (const connection of queued) connection.flush()
  }

  /** Queues a message. Returns whether the connection accepts it. */
  send (connection: Connection, message: SharedMessage): boolean {
    if (!connection.hasRoom) {
      // Queueing over the limit makes the connection give up with `resync`, so the client learns that it missed a
      // message.
      connection.queueMessage(message)
      connection.flush()
      return false
    }
    if (connection.queueMessage(message)) {
      this.#queued.push(connection)
      if (this.#queued.length === 1) setImmediate(this.#flush)
    }
    return true
  }

  /** Sends to every connected member but one. Returns how many accept the message. */
  sendToMembers (members: Iterable<Member>, message: SharedMessage, but?: Connection): number {
    let taken = 0
    for (const { connection } of members) {
      if (connection !== undefined && connection !== but && this.send(connection, message)) taken++
    }
    return taken
  }
}
