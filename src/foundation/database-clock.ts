import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'

const readEveryMs = 1000
/** As far as the two may be apart and still be taken for the same: the machine's own clock then counts. */
const agreeMs = 1000

/**
 * The time that all nodes go by where they have to agree: when an event was written, when a document expires, when a
 * lease ends. It is the machine's, as long as that agrees with the database's; of a machine whose clock is wrong, or is
 * being set, it is the database's, carried on by a steady clock from one reading to the next.
 */
export class DatabaseClock {
  readonly #pool: pg.Pool
  readonly #stop = new AbortController()
  /** What the database's clock is ahead of the steady one. */
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

  /** Resolves with the first reading. While the database is away, the steady clock goes on. */
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
    // One that took long says little.
    if (row !== undefined && (answered - asked < agreeMs / 2 || this.#ahead === undefined)) { this.#ahead = row.ms - (asked + answered) / 2 }
  }

  async #run (signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await sleep(readEveryMs, undefined, { signal, ref: false }).catch(() => {})
      if (!signal.aborted) await this.read().catch(() => {})
    }
  }
}
