/** A place in a topic's log: everything up to and including `offset` has been handled. */
export interface Position {
  offset: number
  /** The life of the log that the offset belongs to. Without it, a restarted log cannot be detected. */
  epoch?: string
  /** The topic of a pattern is no longer available, and its hole has been reported. */
  isLost?: true
}

/** Positions by topic. Those of a pattern have an entry for each topic that has had events. */
export type Positions = Record<string, Position>

/**
 * A hole: events that a subscription did not get and never will. Read the state again from your own source, or page
 * through `history`, where some of them may still be. With a filter, the hole may contain no event that matches.
 */
export interface Gap {
  /** The topic. For `SINCE_UNCERTAIN`, the pattern, if the subscription is to one. */
  topic: string
  /**
   * - `RETENTION_PASSED`: the log no longer has them.
   * - `EPOCH_CHANGED`: the log was restarted. `from` belongs to `previousEpoch`, `to` to `epoch`.
   * - `LOG_SHORTENED`: the log is shorter than it was, for example after a restore from a backup.
   * - `PERMISSION_DENIED`: the credential no longer covers this topic of the pattern.
   * - `TOPIC_UNAVAILABLE`: the topic was deleted, or the credential no longer covers it.
   * - `SINCE_UNCERTAIN`: events at or after `since` may have been removed already.
   */
  reason: GapReason
  /** The first offset that is missing. */
  from: number
  /** The last offset that is missing; null if it is not known. */
  to: number | null
  epoch?: string
  previousEpoch?: string
}
export type GapReason =
  'RETENTION_PASSED' | 'EPOCH_CHANGED' | 'LOG_SHORTENED' | 'PERMISSION_DENIED' | 'TOPIC_UNAVAILABLE' | 'SINCE_UNCERTAIN'

/**
 * Keeps positions across reloads and restarts. `set` is called after each handled event, with an object that changes
 * later: write it at once, or write what it has become. After a crash, the events since the last write arrive again.
 */
export interface PositionStore {
  /** Returns undefined if nothing is stored. Throw if the stored value cannot be read: the subscription then fails. */
  get (key: string): Positions | undefined | Promise<Positions | undefined>
  set (key: string, positions: Positions): void | Promise<void>
}

/** Returns whether a value that a store returned can be positions. */
export function isPositions (value: unknown): value is Positions {
  return typeof value === 'object' && value !== null &&
    Object.values(value).every((position: Partial<Position> | null) => Number.isSafeInteger(position?.offset))
}
