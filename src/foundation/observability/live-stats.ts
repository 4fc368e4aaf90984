import { scopeKey, type Scope } from '../../../schemas/scope.ts'
import { bucketOf, bucketsCount, LatencyCounts, percentilesOf } from './latency-buckets.ts'

/** Seconds that are counted one by one, and the latest of them over which rates are computed. */
const secondsKept = 64
const rateSeconds = 10
/** Latencies are kept for a minute, in slots of ten seconds. */
const latencySlots = 6
const latencySlotMs = 10_000

const scopesMax = 1000
const topicsMax = 2000
const webhooksMax = 2000
/** A principal that opens a connection this soon after it lost one counts as reconnected. */
const reconnectWithinMs = 60_000
const lostSubjectsMax = 10_000

/** Counts occurrences, second by second, and in total until they are taken. */
export class RateWindow {
  #untaken = 0
  readonly #counts = new Uint32Array(secondsKept)
  readonly #stamps = new Uint32Array(secondsKept)
  /** The number of all occurrences. */
  total = 0

  add (count: number, now = Date.now()): void {
    this.#untaken += count
    this.total += count
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

  /** Returns the count since the last call. */
  take (): number {
    const count = this.#untaken
    this.#untaken = 0
    return count
  }

  perSecond (now = Date.now()): number { return this.sum(rateSeconds, now) / rateSeconds }
}

/** Records durations of the last minute, and all of them until they are taken. */
export class LatencyWindow {
  readonly untaken = new LatencyCounts()
  readonly #counts = new Uint32Array(latencySlots * bucketsCount)
  readonly #stamps = new Uint32Array(latencySlots)

  add (ms: number, count = 1, now = Date.now()): void {
    const time = Math.floor(now / latencySlotMs)
    const slot = time % latencySlots
    if (this.#stamps[slot] !== time) {
      this.#stamps[slot] = time
      this.#counts.fill(0, slot * bucketsCount, (slot + 1) * bucketsCount)
    }
    const bucket = bucketOf(ms)
    this.untaken.add(bucket, count)
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
  return percentilesOf(counts, shares)
}

/** Rates and latencies of one scope on this node. */
export class ScopeStats {
  readonly scope: Scope
  #connections = 0
  #connectionMs = 0
  #connectionMsUntil = performance.now()
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

  /** Open sockets. */
  get connections (): number { return this.#connections }

  countConnections (change: number): void {
    this.#advance(performance.now())
    this.#connections += change
  }

  /**
   * Returns for how long sockets were open since the last call, up to a time of the monotonic clock: the sum over all
   * sockets, in milliseconds.
   */
  takeConnectionMs (until: number): number {
    this.#advance(until)
    const ms = this.#connectionMs
    this.#connectionMs = 0
    return ms
  }

  #advance (until: number): void {
    if (until <= this.#connectionMsUntil) return
    this.#connectionMs += this.#connections * (until - this.#connectionMsUntil)
    this.#connectionMsUntil = until
  }
}

/** Rates and latencies of one topic on this node. */
export class TopicStats {
  readonly scope: Scope
  readonly topic: string
  /** Live feeds that use this entry. */
  feeds = 0
  /** Events handed to sockets, counted once per socket, since they were taken. */
  delivered = 0
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

/** Attempts of one webhook in one scope on this node, since they were taken. */
export class WebhookStats {
  readonly scope: Scope
  readonly webhookId: string
  succeeded = 0
  failed = 0
  /** Times from the write of an event to its delivery. */
  readonly latency = new LatencyCounts()

  constructor (scope: Scope, webhookId: string) {
    this.scope = scope
    this.webhookId = webhookId
  }
}

/** Receives entries that are forgotten, so that their counts are not lost. */
export interface Forgotten {
  scope (stats: ScopeStats): void
  topic (stats: TopicStats): void
  webhook (stats: WebhookStats): void
}

/**
 * Recent activity on this node, by scope, by topic and by webhook. Dashboards read its rates; the metric series take
 * its counts. It is kept in memory for a limited number of each; the least recently active are forgotten first.
 */
export class LiveStats {
  /** Set by the owner of the metric series. */
  forgotten: Forgotten | undefined
  readonly #scopes = new Map<string, ScopeStats>()
  readonly #topics = new Map<string, TopicStats>()
  readonly #webhooks = new Map<string, WebhookStats>()
  readonly #lost = new Map<string, number>()

  scope (scope: Scope): ScopeStats {
    return touch(
      this.#scopes, scopeKey(scope), scopesMax, () => new ScopeStats(scope),
      ({ connections, feeds }) => connections > 0 || feeds > 0,
      stats => this.forgotten?.scope(stats)
    )
  }

  topic (scope: Scope, topic: string): TopicStats {
    return touch(
      this.#topics,
      `${scopeKey(scope)}/${topic}`,
      topicsMax,
      () => new TopicStats(scope, topic),
      ({ feeds }) => feeds > 0,
      stats => this.forgotten?.topic(stats)
    )
  }

  webhook (scope: Scope, webhookId: string): WebhookStats {
    return touch(
      this.#webhooks,
      `${scopeKey(scope)}/${webhookId}`,
      webhooksMax,
      () => new WebhookStats(scope, webhookId),
      () => false,
      stats => this.forgotten?.webhook(stats)
    )
  }

  scopes (isMeant: (scope: Scope) => boolean): ScopeStats[] {
    return [...this.#scopes.values()].filter(({ scope }) => isMeant(scope))
  }

  topics (isMeant: (scope: Scope) => boolean): TopicStats[] {
    return [...this.#topics.values()].filter(({ scope }) => isMeant(scope))
  }

  webhooks (): Iterable<WebhookStats> { return this.#webhooks.values() }

  /** Records that a socket has opened for a subject. */
  opened (scope: Scope, subject: string): void {
    const stats = this.scope(scope)
    stats.countConnections(1)
    const lostAt = this.#lost.get(subject)
    if (lostAt === undefined) return
    this.#lost.delete(subject)
    if (Date.now() - lostAt <= reconnectWithinMs) stats.reconnects.add(1)
  }

  closed (scope: Scope, subject: string): void {
    this.scope(scope).countConnections(-1)
    this.#lost.delete(subject)
    this.#lost.set(subject, Date.now())
    if (this.#lost.size > lostSubjectsMax) this.#lost.delete(this.#lost.keys().next().value as string)
  }
}

/** Returns the entry, moved to the end of the map. In a full map, the oldest entry that is not held is dropped. */
function touch<T> (
  map: Map<string, T>, key: string, max: number, make: () => T, isHeld: (entry: T) => boolean,
  onDropped: (entry: T) => void
): T {
  let entry = map.get(key)
  if (entry === undefined) {
    entry = make()
    if (map.size >= max) {
      for (const [oldest, candidate] of map) {
        if (isHeld(candidate)) continue
        map.delete(oldest)
        onDropped(candidate)
        break
      }
    }
  } else {
    map.delete(key)
  }
  map.set(key, entry)
  return entry
}
