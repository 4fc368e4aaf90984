/**
 * Share of the process's memory for the threads that talk to connected databases, all together. `usual` is what one
 * thread normally takes, `max` its limit.
 */
const threadsShareMax = 0.4
const threadBytes = { usual: 32 * 1024 ** 2, max: 512 * 1024 ** 2 }

/** PostgreSQL ends a replication session without a reply for `wal_sender_timeout`, one minute by default. */
export const defaultCdcTiming = { pingEveryMs: 2000, careEveryMs: 5000, silenceMaxMs: 30_000 }

/** How connected databases are read. Only the name has a variable; tests may set the others. */
export interface CdcSettings {
  /** Prefix of replication slots and publications. */
  namePrefix: string
  /** How long the lease of a failed node blocks other readers. A reader renews it four times as often. */
  leaseMs: number
  /**
   * `pingEveryMs`: how often the server of a stream is queried for its position. `careEveryMs`: how often slot,
   * publication and tables are checked. `silenceMaxMs`: the silence after which the stream is tested for life.
   */
  timing: { pingEveryMs: number, careEveryMs: number, silenceMaxMs: number }
  /** WAL that a slot may retain before a warning. */
  retainedBytesWarning: number
  /**
   * How long enabling a mapping waits for transactions that have already written to its table. It must stay well below
   * our own transaction timeout.
   */
  writersWaitMs: number
  /** Limits of what a connected database may send. */
  limits: { messageBytesMax: number, resultBytesMax: number }
  /** Limits of the threads that talk to connected databases. */
  threads: {
    readerThreadsMax: number
    conversationsMax: number
    conversationsOfApplicationMax: number
    threadBytesMax: number
    heapBytesMax: number
  }
  /** Time limits for starting a stream, and for a whole conversation outside of a reader. */
  startMaxMs: number
  conversationMaxMs: number
  /** Interval of attempts to drop the slots and publications of deleted connections. */
  leftoverRetryMs: number
}

/**
 * Divides a share of the process's memory among threads: their number is what the share can hold, and one thread never
 * takes all of it.
 */
export function threadShares (memoryBytesMax: number, readerThreadsMax: number): CdcSettings['threads'] {
  const threadBytesMax = Math.max(threadBytes.usual * 4, Math.floor(memoryBytesMax * threadsShareMax))
  const count = Math.floor(threadBytesMax / threadBytes.usual)
  const conversationsMax = Math.min(8, Math.max(2, Math.floor(count / 4)))
  return {
    conversationsMax,
    conversationsOfApplicationMax: Math.ceil(conversationsMax / 3),
    readerThreadsMax: Math.min(readerThreadsMax, count - conversationsMax),
    threadBytesMax,
    heapBytesMax: Math.min(threadBytes.max, Math.floor(threadBytesMax / 2))
  }
}
