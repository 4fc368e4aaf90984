import { scopeKey, type Scope } from '../../../schemas/scope.ts'
import type {
  LiveStats, ScopeStats, TopicStats, WebhookStats
} from '../../foundation/observability/live-stats.ts'
import { Counts } from './counts.ts'
import { toRow, type Row } from './row.ts'

const minuteMs = 60_000
/** Limits of rows that a node stores for a minute. */
const scopesMax = 5000
const partsMax = 5000
/** Topics, and webhooks, of one scope. */
export const partsOfScopeMax = 200
/** Each scope has room for some of its topics, however many scopes there are. */
const partsOfScopeMin = 10
/** Topics and webhooks that are kept in memory until the end of the minute after `LiveStats` has forgotten them. */
const forgottenMax = 10_000
const forgottenOfScopeMax = 1000

/** The topics or the webhooks of one scope in the current minute. */
class Parts {
  readonly all = new Map<string, Counts>()
  /** Whether the counts of some are lost. */
  isCut = false

  /** Adds counts. A new part is added only if there is room. Returns whether it is new. */
  add (name: string, counts: Counts, hasRoom: boolean): boolean {
    const known = this.all.get(name)
    if (known !== undefined) known.add(counts)
    else if (hasRoom) this.all.set(name, counts)
    else this.isCut = true
    return known === undefined && hasRoom
  }

  /** Returns the busiest ones. */
  busiest (max: number): [name: string, counts: Counts][] {
    const all = [...this.all]
    if (all.length <= max) return all
    this.isCut = true
    return all.sort(([, a], [, b]) => b.activity - a.activity).slice(0, max)
  }
}

/** One scope in the current minute. */
class ScopeMinute {
  readonly scope: Scope
  readonly counts = new Counts()
  readonly webhookCounts = new Counts()
  readonly topics = new Parts()
  readonly webhooks = new Parts()

  constructor (scope: Scope) {
    this.scope = scope
  }

  /** Returns the rows of the scope. */
  rows (partsMax: number): Row[] {
    const { scope } = this
    const topics = this.topics.busiest(partsMax)
    const webhooks = this.webhooks.busiest(partsMax)
    return [
      toRow(scope, 'scope', '', this.counts, this.topics.isCut),
      ...this.webhookCounts.isEmpty ? [] : [toRow(scope, 'webhook', '', this.webhookCounts, this.webhooks.isCut)],
      ...topics.map(([name, counts]) => toRow(scope, 'topic', name, counts)),
      ...webhooks.map(([name, counts]) => toRow(scope, 'webhook', name, counts))
    ]
  }
}

/** Takes the counts of this node out of `LiveStats`, as rows of the metric series. */
export class Collector {
  /** Returns the scopes of the writes that wait, one for each. */
  writesWaiting: () => Iterable<Scope> = () => []
  readonly #liveStats: LiveStats
  #scopes = new Map<string, ScopeMinute>()
  #total = new Counts()
  #webhookTotal = new Counts()
  #forgotten = 0
  #isCut = false
  #collectedUntil = performance.now()

  constructor (liveStats: LiveStats) {
    this.#liveStats = liveStats
    liveStats.forgotten = {
      scope: stats => this.#takeScope(stats, performance.now(), 1),
      topic: stats => this.#takeTopic(stats, true),
      webhook: stats => this.#takeWebhook(stats, true)
    }
  }

  /**
   * Returns the counts since the last call. The first row has the totals, and is there even if nothing has happened.
   * `until` is the end of the period by the monotonic clock.
   */
  collect (until = performance.now()): Row[] {
    const isMeant = () => true
    // After a suspension, the sockets do not count for more than a minute.
    const timeShare = Math.min(1, minuteMs / Math.max(1, until - this.#collectedUntil))
    this.#collectedUntil = until
    for (const stats of this.#liveStats.scopes(isMeant)) this.#takeScope(stats, until, timeShare)
    for (const stats of this.#liveStats.topics(isMeant)) this.#takeTopic(stats, false)
    for (const stats of this.#liveStats.webhooks()) this.#takeWebhook(stats, false)
    for (const scope of this.writesWaiting()) {
      this.#total.writesWaiting++
      const own = this.#minuteOf(scope)
      if (own !== undefined) own.counts.writesWaiting++
    }
    const [scopes, isCut] = [[...this.#scopes.values()], this.#isCut]
    const share = Math.floor(partsMax / Math.max(1, scopes.length))
    const max = Math.min(partsOfScopeMax, Math.max(partsOfScopeMin, share))
    const rows = [
      toRow(undefined, 'scope', '', this.#total, isCut),
      ...this.#webhookTotal.isEmpty ? [] : [toRow(undefined, 'webhook', '', this.#webhookTotal)],
      ...scopes.flatMap(scope => scope.rows(max))
    ]
    this.#scopes = new Map()
    this.#total = new Counts()
    this.#webhookTotal = new Counts()
    this.#forgotten = 0
    this.#isCut = false
    return rows
  }

  #takeScope (stats: ScopeStats, until: number, timeShare: number): void {
    const counts = new Counts()
    counts.received = stats.received.take()
    counts.captured = stats.captured.take()
    counts.routed = stats.routed.take()
    counts.delivered = stats.delivered.take()
    counts.reconnects = stats.reconnects.take()
    counts.schemaViolations = stats.schemaViolations.take()
    counts.mappingFailures = stats.mappingFailures.take()
    counts.connectionMs = stats.takeConnectionMs(until) * timeShare
    counts.takeLatencies(stats.fanOut.untaken)
    if (counts.isEmpty) return
    this.#total.add(counts)
    this.#minuteOf(stats.scope)?.counts.add(counts)
  }

  #takeTopic (stats: TopicStats, isForgotten: boolean): void {
    const counts = new Counts()
    counts.received = stats.received.take()
    counts.routed = stats.routed.take()
    counts.delivered = stats.delivered
    stats.delivered = 0
    counts.takeLatencies(stats.fanOut.untaken)
    if (!counts.isEmpty) this.#addPart(this.#minuteOf(stats.scope)?.topics, stats.topic, counts, isForgotten)
  }

  #takeWebhook (stats: WebhookStats, isForgotten: boolean): void {
    const counts = new Counts()
    counts.succeeded = stats.succeeded
    counts.failed = stats.failed
    stats.succeeded = stats.failed = 0
    counts.takeLatencies(stats.latency)
    if (counts.isEmpty) return
    this.#webhookTotal.add(counts)
    const own = this.#minuteOf(stats.scope)
    own?.webhookCounts.add(counts)
    this.#addPart(own?.webhooks, stats.webhookId, counts, isForgotten)
  }

  #addPart (parts: Parts | undefined, name: string, counts: Counts, isForgotten: boolean): void {
    if (parts === undefined) return
    const hasRoom = !isForgotten || (this.#forgotten < forgottenMax && parts.all.size < forgottenOfScopeMax)
    if (parts.add(name, counts, hasRoom) && isForgotten) this.#forgotten++
  }

  /** Returns undefined if the minute has no room for another scope. */
  #minuteOf (scope: Scope): ScopeMinute | undefined {
    const key = scopeKey(scope)
    let minute = this.#scopes.get(key)
    if (minute === undefined) {
      if (this.#scopes.size >= scopesMax) {
        this.#isCut = true
        return undefined
      }
      minute = new ScopeMinute(scope)
      this.#scopes.set(key, minute)
    }
    return minute
  }
}
