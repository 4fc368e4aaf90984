import { LRUCache } from 'lru-cache'
import { TokenBucket } from '../foundation/limits/token-bucket.ts'

/** Applications that a node remembers the rates of. */
const applicationsMax = 10_000
/** The part of a quota that is divided equally, so that a node without traffic can begin. */
const equalPart = 0.05
/** The weight of the latest measurement in the average of the demand. */
const freshness = 0.6
/** A demand below this, in events per second, counts as none. */
const demandMin = 0.01

/** The demand of one application over all nodes, in events per second. */
export interface Demand { nodes: number, elsewhere: number }

class Rate {
  readonly bucket = new TokenBucket()
  /** The events that were requested since the last measurement, refused ones included. */
  requested = 0
  measuredAt: number
  /** Average of the events that are requested per second at this node. */
  demand = 0
  quota = 0
  others: Demand = { nodes: 0, elsewhere: 0 }

  constructor (now: number) {
    this.measuredAt = now
  }

  /** This node's share of the quota: by its part of the demand, so that traffic through one node gets all of it. */
  get share (): number {
    const { quota, demand, others: { nodes, elsewhere } } = this
    if (nodes === 0) return quota
    const equal = quota * equalPart
    return quota * (demand + equal / (nodes + 1)) / (demand + elsewhere + equal)
  }
}

/**
 * Limits the events per second of each application. Every node has a token bucket with a share of the quota. The shares
 * follow the demand at each node, which the nodes exchange about once a second; no request waits for another node.
 */
export class PublishRates {
  readonly #rates = new LRUCache<string, Rate>({ max: applicationsMax })
  readonly #now: () => number

  /** `now` is a monotonic clock in milliseconds. */
  constructor (now: () => number = () => performance.now()) {
    this.#now = now
  }

  /**
   * Takes events out of the share. More events than one burst need a full bucket, which they leave in debt. Returns the
   * milliseconds to wait if there is no room, otherwise 0.
   */
  take (applicationId: string, events: number, quota: number): number {
    const now = this.#now()
    const rate = this.#of(applicationId, quota, now)
    rate.requested += events
    const at = rate.bucket.nextAt(now, events)
    if (at > now) return Math.ceil(at - now)
    rate.bucket.take(events)
    return 0
  }

  /** Takes the room that is left for events that must not be refused, such as row changes. */
  takeLeft (applicationId: string, events: number, quota: number): void {
    const now = this.#now()
    const rate = this.#of(applicationId, quota, now)
    rate.requested += events
    rate.bucket.take(Math.min(events, Math.max(0, rate.bucket.room(now))))
  }

  /** Measures the demand at this node. Returns it for each application that has one. */
  measure (): Map<string, number> {
    const now = this.#now()
    const demands = new Map<string, number>()
    for (const [applicationId, rate] of this.#rates.entries()) {
      const seconds = (now - rate.measuredAt) / 1000
      if (seconds <= 0) continue
      rate.demand = rate.demand * (1 - freshness) + rate.requested / seconds * freshness
      if (rate.demand < demandMin) rate.demand = 0
      rate.requested = 0
      rate.measuredAt = now
      if (rate.demand > 0) demands.set(applicationId, rate.demand)
    }
    return demands
  }

  /** Applies the demand of the other nodes. */
  share (demandOf: (applicationId: string) => Demand): void {
    const now = this.#now()
    for (const [applicationId, rate] of this.#rates.entries()) {
      rate.others = demandOf(applicationId)
      rate.bucket.adjust(rate.share, now)
    }
  }

  /** The applications with a rate. */
  get applications (): Iterable<string> { return this.#rates.keys() }

  forget (applicationId: string): void {
    this.#rates.delete(applicationId)
  }

  #of (applicationId: string, quota: number, now: number): Rate {
    let rate = this.#rates.get(applicationId)
    if (rate === undefined) this.#rates.set(applicationId, rate = new Rate(now))
    if (rate.quota !== quota) {
      rate.quota = quota
      rate.bucket.adjust(rate.share, now)
    }
    return rate
  }
}
