import { scopeKey, type Scope } from '../../../schemas/scope.ts'

/** Seconds that are counted one by one, and the latest of them over which rates are computed. */
const secondsKept = 64
const rateSeconds = 10
/** Latencies are kept for a minute, in slots of ten seconds. */
const latencySlots = 6
const latencySlotMs = 10_000
/**
 * Each bucket is a quarter wider than the one before: percentiles are accurate to an eighth, from 0.1 ms to a minute.
 */
const bucketsCount = 64
const bucketGrowth = 1.25
const bucketStartMs = 0.1

const scopesMax = 1000
const topicsMax = 2000
/** A principal that opens a connection this soon after it lost one counts as reconnected. */
const reconnectWithinMs = 60_000
const lostSubjectsMax = 10_000

/** Counts occurrences, second by second. */
export class RateWindow {
  readonly #counts = new Uint32Array(secondsKept)
  readonly #stamps = new Uint32Array(secondsKept)

  add (count: number, now = Date.now()): void {
    const second = Math.floor(now / 1000)
    const slot = second % secondsKept
    if (this.#stamps[slot] !== second) {
      this.#stamps[slot] = second
      this.#counts[slot] = 0
    }
    (this.#counts[slot] as number) += count
  }

  /** Returns the count of the last seconds, including the current one. */
  sum (seconds: number, now = Date.now()): number {
    const last = Math.floor(now / 1000)
    let sum = 0
    for (let second = last - seconds + 1; second <= last; second++) {
      const slot = second % secondsKept
      if (this.#stamps[slot] === second) sum += this.#counts[slot] as number
    }
    return sum
  }

  perSecond (now = Date.now()): number { return this.sum(rateSeconds, now) / rateSeconds }
}

/** Records durations of the last minute. */
export class LatencyWindow {
  readonly #counts = new Uint32Array(latencySlots * bucketsCount)
  readonly #stamps = new Uint32Array(latencySlots)

  add (ms: number, count = 1, now = Date.now()): void {
    const time = Math.floor(now / latencySlotMs)
    const slot = time % latencySlots
    if (this.#stamps[slot] !== time) {
      this.#stamps[slot] = time
      this.#counts.fill(0, slot * bucketsCount, (slot + 1) * bucketsCount)
    }
    const bucket = ms <= bucketStartMs
      ? 0
      : Math.min(bucketsCount - 1, Math.ceil(Math.log(ms / bucketStartMs) / Math.log(bucketGrowth)))
    ;(this.#counts[slot * bucketsCount + bucket] as number) += count
  }

  /** Adds its counts, by bucket, to those given. */
  addTo (counts: Float64Array, now = Date.now()): void {
    const last = Math.floor(now / latencySlotMs)
    for (let slot = 0; slot < latencySlots; slot++) {
      if (last - (this.#stamps[slot] as number) >= latencySlots) continue
      for (let i = 0; i < bucketsCount; i++) (counts[i] as number) += this.#counts[slot * bucketsCount + i] as number
    }
  }
}

/**
 * Returns, for each share, the milliseconds below which that share of the durations lies, over all windows together; 0
 * without any.
 */
export function percentiles (windows: Iterable<LatencyWindow>, shares: readonly number[]): number[] {
  const counts = new Float64Array(bucketsCount)
  for (const window of windows) window.addTo(counts)
  const total = counts.reduce((sum, count) => sum + count, 0)
  return shares.map(share => {
    if (total === 0) return 0
    let seen = 0
    const bucket = counts.findIndex(count => (seen += count) >= share * total)
    return Number((bucketStartMs * bucketGrowth ** Math.max(0, bucket)).toPrecision(3))
  })
}

/** Rates and latencies of one scope on this node. */
export class ScopeStats {
  readonly scope: Scope
  /** Open sockets. */
  connections = 0
  /** Live topic feeds that use this entry. */
  feeds = 0
  readonly received = new RateWindow()
  readonly captured = new RateWindow()
  readonly routed = new RateWindow()
  readonly delivered = new RateWindow()
  readonly reconnects = new RateWindow()
  readonly schemaViolations = new RateWindow()
  readonly mappingFailures = new RateWindow()
  readonly fanOut = new LatencyWindow()

  constructor (scope: Scope) {
    this.scope = scope
  }
}

/** Rates and latencies of one topic on this node. */
export class TopicStats {
  readonly scope: Scope
  readonly topic: string
  /** Live feeds that use this entry. */
  feeds = 0
  readonly received = new RateWindow()
  readonly routed = new RateWindow()
  readonly fanOut = new LatencyWindow()

  constructor (scope: Scope, topic: string) {
    this.scope = scope
    this.topic = topic
  }

  /** Rate of the events that this node wrote or received from other nodes. */
  get eventsPerSecond (): number { return Math.max(this.received.perSecond(), this.routed.perSecond()) }
}

/**
 * Recent activity on this node, by scope and by topic, for dashboards. It is kept in memory for a limited number of
 * scopes and topics; the least recently active are forgotten first.
 */
export class LiveStats {
  readonly #scopes = new Map<string, ScopeStats>()
  readonly #topics = new Map<string, TopicStats>()
  readonly #lost = new Map<string, number>()

  scope (scope: Scope): ScopeStats {
    return touch(
      this.#scopes, scopeKey(scope), scopesMax, () => new ScopeStats(scope),
      ({ connections, feeds }) => connections > 0 || feeds > 0
    )
  }

  topic (scope: Scope, topic: string): TopicStats {
    return touch(
      this.#topics,
      `${scopeKey(scope)}/${topic}`,
      topicsMax,
      () => new TopicStats(scope, topic),
      ({ feeds }) => feeds > 0
    )
  }

  scopes (isMeant: (scope: Scope) => boolean): ScopeStats[] {
    return [...this.#scopes.values()].filter(({ scope }) => isMeant(scope))
  }

  topics (isMeant: (scope: Scope) => boolean): TopicStats[] {
    return [...this.#topics.values()].filter(({ scope }) => isMeant(scope))
  }

  /** Records that a socket has opened for a subject. */
  opened (scope: Scope, subject: string): void {
    const stats = this.scope(scope)
    stats.connections++
    const lostAt = this.#lost.get(subject)
    if (lostAt === undefined) return
    this.#lost.delete(subject)
    if (Date.now() - lostAt <= reconnectWithinMs) stats.reconnects.add(1)
  }

  closed (scope: Scope, subject: string): void {
    this.scope(scope).connections--
    this.#lost.delete(subject)
    this.#lost.set(subject, Date.now())
    if (this.#lost.size > lostSubjectsMax) this.#lost.delete(this.#lost.keys().next().value as string)
  }
}

/** Returns the entry, moved to the end of the map. In a full map, the oldest entry that is not held is dropped. */
function touch<T> (map: Map<string, T>, key: string, max: number, make: () => T, isHeld: (entry: T) => boolean): T {
  let entry = map.get(key)
  if (entry === undefined) {
    entry = make()
    if (map.size >= max) {
      for (const [oldest, candidate] of map) {
        if (isHeld(candidate)) continue
        map.delete(oldest)
        break
      }
    }
  } else {
    map.delete(key)
  }
  map.set(key, entry)
  return entry
}
