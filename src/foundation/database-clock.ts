import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'

const readEveryMs = 1000
/** Difference up to which the two clocks count as equal; the machine's own clock is then used. */
const agreeMs = 1000

/**
 * The clock that all nodes share: for the time of an event, the expiry of a document, the end of a lease. It returns
 * the machine's time while that agrees with the database's. If the machine's clock is wrong or is being set, it returns
 * the database's time, advanced by a monotonic clock between readings.
 */
export class DatabaseClock {
  readonly #pool: pg.Pool
  readonly #stop = new AbortController()
  /** How far the database's clock is ahead of the monotonic one. */
  #ahead: number | undefined
  #running: Promise<void> | undefined

  constructor (pool: pg.Pool) {
    this.#pool = pool
  }

  /** Epoch milliseconds. */
  readonly now = (): number => {
    const own = Date.now()
    if (this.#ahead === undefined) return own
    const theirs = Math.round(performance.now() + this.#ahead)
    return Math.abs(own - theirs) <= agreeMs ? own : theirs
  }

  /** Resolves after the first reading. While the database is unreachable, the monotonic clock continues. */
  async start (): Promise<void> {
    await this.read()
    this.#running ??= this.#run(this.#stop.signal)
  }

  async close (): Promise<void> {
    this.#stop.abort()
    await this.#running
  }

  async read (): Promise<void> {
    const asked = performance.now()
    const { rows: [row] } = await this.#pool.query<{ ms: number }>({
      name: 'clock', text: 'select (extract(epoch from clock_timestamp()) * 1000)::float8 as ms'
    })
    const answered = performance.now()
    // A slow reading is inaccurate.
    if (row !== undefined && (answered - asked < agreeMs / 2 || this.#ahead === undefined)) {
      this.#ahead = row.ms - (asked + answered) / 2
    }
  }

  async #run (signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await sleep(readEveryMs, undefined, { signal, ref: false }).catch(() => {})
      if (!signal.aborted) await this.read().catch(() => {})
    }
  }
}
