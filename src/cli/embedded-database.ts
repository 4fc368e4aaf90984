import { setTimeout as sleep } from 'node:timers/promises'
import {
  startEmbeddedPostgres, type EmbeddedPostgres, type EmbeddedPostgresOptions
} from '../../db/embedded-postgres.ts'

const firstPauseMs = 100
const pauseMaxMs = 5000

/**
 * Keeps the embedded PostgreSQL running while the server runs. If it dies, it is restarted on the same port, so that
 * connection strings stay valid; restarts are retried without limit. Requests that need it get 503 meanwhile.
 */
export class EmbeddedDatabase {
  readonly #options: Omit<EmbeddedPostgresOptions, 'onExit' | 'port'>
  readonly #stopping = new AbortController()
  /** The current step; the next one begins after it. */
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

  /** Stops it, also during its start. */
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
        // Releases the data folder for the new server.
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
