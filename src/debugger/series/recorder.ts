import type pg from 'pg'
import { createNamedLeases, HeldLeases } from '../../cluster/leases.ts'
import type { Node } from '../../cluster/node.ts'
import { reasonOf } from '../../foundation/observability/logger.ts'
import type { Collector } from './collector.ts'
import { rollUp } from './roll-up.ts'
import type { SeriesStore } from './series-store.ts'
import { sampleStates } from './state-sample.ts'

export const minuteMs = 60_000
/** Survives one turn in which the lease cannot be renewed. */
const leaseMs = 150_000
const lease = 'metric-series'

export interface SeriesRecorderOptions {
  pool: pg.Pool
  collector: Collector
  store: SeriesStore
  node: Node
  /** The clock that all nodes share, so that their minutes are the same. */
  now: () => number
  log: { warn (fields: object, message: string): void }
}

/**
 * Records the metric series of this node at the end of each minute. One node at a time also samples the states that
 * all nodes share, and combines old minutes into quarter-hours. The lease only saves work: two nodes that both do it
 * store nothing twice.
 */
export class SeriesRecorder {
  readonly #options: SeriesRecorderOptions
  readonly #leases: HeldLeases
  #since: number
  #batch = 0
  #timer: NodeJS.Timeout | undefined
  #sharedWork: Promise<void> | undefined
  #isFailing = false
  #isClosed = false

  constructor (options: SeriesRecorderOptions) {
    this.#options = options
    this.#since = options.now()
    this.#leases = new HeldLeases(createNamedLeases({ pool: options.pool, node: options.node.id, leaseMs }))
  }

  start (): void {
    this.#since = this.#options.now()
    this.#schedule()
  }

  /** Stores what has been counted until now. Resolves when it is stored, or the attempt has failed. */
  async flush (): Promise<void> {
    this.#collect()
    await this.#options.store.flush()
  }

  /**
   * Samples the shared states for the minute before a time, and combines old minutes, if no other node does this work.
   * `now` is a time of the shared clock. Rejects while the database is unavailable.
   */
  async doSharedWork (now = this.#options.now()): Promise<void> {
    const { pool, store } = this.#options
    const mayContinue = async () => !this.#isClosed && await this.#leases.hold(lease) !== undefined
    if (!await mayContinue()) return
    const minute = Math.floor(now / minuteMs) * minuteMs - minuteMs
    // The key of the batch is the same on every node. So a minute has one sample, even if the lease has changed hands.
    store.add(await sampleStates(pool, now), { at: minute, node: '', batch: 0 })
    await rollUp(now, { pool, mayContinue })
  }

  /** Stores the rest. Call when nothing is counted any more, and before the pool is closed. */
  async close (): Promise<void> {
    this.#isClosed = true
    clearTimeout(this.#timer)
    this.#collect()
    await this.#options.store.close()
    await this.#sharedWork
    await this.#leases.releaseAll()
  }

  #schedule (): void {
    if (this.#isClosed) return
    const now = this.#options.now()
    this.#timer = setTimeout(() => { this.#turn() }, minuteMs - now % minuteMs).unref()
  }

  #turn (): void {
    this.#collect()
    // One at a time: the first roll-up after a long outage may take longer than a minute.
    this.#sharedWork ??= this.doSharedWork().then(() => { this.#isFailing = false }, (err: unknown) => {
      if (!this.#isFailing) this.#options.log.warn(reasonOf(err), 'metric_series.shared_work_failed')
      this.#isFailing = true
    }).finally(() => { this.#sharedWork = undefined })
    this.#schedule()
  }

  /**
   * Adds what has been counted to the minute in which most of it happened: a timer may fire just before its minute is
   * over. A minute can get several batches, for example when the clock is set back.
   */
  #collect (): void {
    const { collector, store, node, now: clock } = this.#options
    const now = clock()
    const at = Math.floor((this.#since + now) / 2 / minuteMs) * minuteMs
    const lateMs = Math.min(Math.max(0, now - at - minuteMs), minuteMs)
    store.add(collector.collect(performance.now() - lateMs), { at, node: node.id, batch: this.#batch++ })
    this.#since = now
  }
}
