/** A channel that is being listened to. */
export interface Listening {
  /** Resolves when every message that is published from then on arrives, as far as the bus goes. */
  readonly live: Promise<void>
  /** No message comes after it. */
  end (): void
}

export interface BusHealth {
  isConnected: boolean
  /** Since the bus last gave a sign of life, milliseconds. */
  heartbeatAgeMs: number
}

/**
 * What nodes tell each other. It is a hint and never the truth: a message arrives once or not at all, those of one node
 * in one channel in their order. Whoever listens must be able to find out from the database what it was not told. The
 * one who opens a bus closes it.
 */
export interface Bus {
  /**
   * Hands a message to the other nodes that listen to the channel, not to this one. Never throws and never waits: what
   * cannot be sent is dropped, and counted.
   */
  publish (channel: string, message: string): void
  /** Of several listeners to one channel, each gets every message. */
  listen (channel: string, listener: (message: string) => void): Listening
  /** How many nodes listen to the channel, this one included. Rejects while the bus is away. */
  reach (channel: string): Promise<number>
  /** Calls back when the bus is there again after messages may have been missed. */
  onRestored (listener: () => void): void
  health (): BusHealth
  close (): Promise<void>
}
