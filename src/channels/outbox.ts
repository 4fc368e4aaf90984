import type { Connection } from '../delivery/sockets/connection.ts'
import type { SharedMessage } from '../delivery/sockets/transport.ts'
import type { Member } from './channel.ts'

/**
 * Queues messages at connections, and lets those that are ready in one turn of the event loop leave together at its
 * end.
 */
export class Outbox {
  #queued: Connection[] = []
  readonly #flush = (): void => {
    const queued = this.#queued
    this.#queued = []
    for (const connection of queued) connection.flush()
  }

  /** Answers whether the connection takes it. */
  send (connection: Connection, message: SharedMessage): boolean {
    if (!connection.hasRoom) {
      // Gives the connection up, so that whoever misses a message is told.
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

  /** To every connected member but one. Answers how many take it. */
  sendToMembers (members: Iterable<Member>, message: SharedMessage, but?: Connection): number {
    let taken = 0
    for (const { connection } of members) {
      if (connection !== undefined && connection !== but && this.send(connection, message)) taken++
    }
    return taken
  }
}
