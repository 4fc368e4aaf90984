/** A channel that is being listened to. */
export interface Listening {
  /** Resolves when every message published from then on arrives, as far as the bus delivers it. */
  readonly live: Promise<void>
  /** Stops listening. The listener receives no further message. */
  end (): void
}

export interface BusHealth {
  isConnected: boolean
  /** Milliseconds since the bus last answered. */
  heartbeatAgeMs: number
}

/**
 * Carries messages between nodes. A message is a hint and never the only copy: it arrives once or not at all. Messages
 * from one node in one channel keep their order. Listeners must be able to find missed changes in the database. The
 * code that opens a bus closes it.
 */
export interface Bus {
  /**
   * Sends a message to the other nodes that listen to the channel, not to this one. Never throws and never waits. Drops
   * and counts a message that cannot be sent.
   */
  publish (channel: string, message: string): void
  /** Listens to a channel. Each of several listeners receives every message. */
  listen (channel: string, listener: (message: string) => void): Listening
  /**
   * Returns the number of nodes that listen to the channel, this one included. Rejects while the bus is unavailable.
   */
  reach (channel: string): Promise<number>
  /**
   * Sets the message that the other nodes that listen to the channel receive if this process ends without closing the
   * bus. Does nothing if the bus does not learn of that.
   */
  setWill (channel: string, message: string): void
  /** Calls the listener when the bus works again after an outage in which messages may have been lost. */
  onRestored (listener: () => void): void
  health (): BusHealth
  close (): Promise<void>
}
