import { setTimeout as sleep } from 'node:timers/promises'
import {
  startEmbeddedPostgres, type EmbeddedPostgres, type EmbeddedPostgresOptions
} from '../../db/embedded-postgres.ts'

const firstPauseMs = 100
const pauseMaxMs = 5000

/**
 * The embedded PostgreSQL for as long as the server runs: when it dies though nobody asked, it is started again on its
 * port, so that its connection strings stay true. Until then, whatever needs it is answered 503. Starting it again is
 * tried without end.
 */
export class EmbeddedDatabase {
  readonly #options: Omit<EmbeddedPostgresOptions, 'onExit' | 'port'>
  readonly #stopping = new AbortController()
  /** What is under way; the next step begins after it. */
  #work: Promise<unknown> = Promise.resolve()
  #postgres: EmbeddedPostgres | undefined

  constructor (options: Omit<EmbeddedPostgresOptions, 'onExit' | 'port'>) {
    this.#options = options
  }

  async start (): Promise<EmbeddedPostgres> {
    const starting = this.#launch(undefined)
    this.#work = starting
    return await starting
  }

  /** Ends it, also while it is being started. */
  async close (): Promise<void> {
    this.#stopping.abort()
    await this.#work.catch(() => {})
    await this.#postgres?.stop()
  }

  async #launch (port: number | undefined): Promise<EmbeddedPostgres> {
    this.#postgres = await startEmbeddedPostgres({
      ...this.#options,
      port,
      onExit: (code, signal) => {
        this.#options.log('error', 'postgres.exited', { code, signal })
        this.#work = this.#work.then(() => this.#restart())
      }
    })
    return this.#postgres
  }

  /** Never rejects. */
  async #restart (): Promise<void> {
    const { signal } = this.#stopping
    for (let pauseMs = firstPauseMs; !signal.aborted; pauseMs = Math.min(pauseMs * 2, pauseMaxMs)) {
      try {
        // Gives the data folder back, for the new one to take.
        await this.#postgres?.stop()
        await this.#launch(this.#postgres?.port)
        return
      } catch (err) {
        this.#options.log('error', 'postgres.restart_failed', { err, pauseMs })
        await sleep(pauseMs, undefined, { signal }).catch(() => {})
      }
    }
  }
}
