import { setTimeout as delay } from 'node:timers/promises'
import type pg from 'pg'
import type { Writer } from '../events/intent.ts'
import { endDocuments, endPageSize, type DoomedDocument } from './end-documents.ts'

/** In the order of an index, so that a page costs the same however many wait. */
const expiredSql = `
  select application_id, environment, service, id, octet_length(data::text) as bytes from documents
  where not deleted and expires_at <= $1 and application_id <> all($3::text[]) order by expires_at offset $2 limit ${endPageSize}`

export interface ExpiryOptions {
  pool: pg.Pool
  writer: Writer
  log: { info (fields: object, message: string): void, warn (fields: object, message: string): void }
  /** The machine's clock without it. */
  now?: () => number
  /** Between two sweeps. */
  intervalMs?: number
}

/**
 * Ends documents whose time has come, across all tenants. Every node may run one: ending is idempotent. Readers and
 * writers do not wait for it, an expired document is gone for them at once; it is what publishes the `deleted` event.
 * An outage of the database only delays it.
 */
export class ExpirySweep {
  readonly #options: ExpiryOptions
  readonly #stop = new AbortController()
  #running: Promise<void> | undefined
  #isFailing = false

  constructor (options: ExpiryOptions) {
    this.#options = options
  }

  start (): void {
    this.#running ??= this.#run(this.#stop.signal)
  }

  /** To be called before the writer and the pool are closed; waits for the sweep under way. */
  async close (): Promise<void> {
    this.#stop.abort()
    await this.#running
  }

  /** One sweep over everything that has expired by now; answers how many documents it ended. */
  async sweep (now = (this.#options.now ?? Date.now)()): Promise<number> {
    const { pool, writer, log } = this.#options
    let ended = 0
    let failed = 0
    const crowded = new Set<string>()
    while (!this.#stop.signal.aborted) {
      // Those that were ended are out of the way; those that could not be are stepped over.
      const { rows } = await pool.query<DoomedDocument>({
        name: 'documents_expired', text: expiredSql, values: [now, failed, [...crowded]]
      })
      const outcome = await endDocuments(writer, rows, { isForced: false })
      ended += outcome.ended
      failed += outcome.failed
      if (outcome.isInterrupted) throw outcome.failure
      for (const applicationId of outcome.crowded) crowded.add(applicationId)
      if (outcome.failed > 0) log.warn({ err: outcome.failure, documents: outcome.failed }, 'documents.expiry_refused')
      const isOthersWork = outcome.ended === 0 && outcome.failed === 0 && outcome.crowded.size === 0
      if (rows.length < endPageSize || isOthersWork) break
    }
    if (ended > 0) log.info({ documents: ended }, 'documents.expired')
    return ended
  }

  async #run (signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await delay(this.#options.intervalMs ?? 1000, undefined, { signal, ref: false })
        await this.sweep()
        this.#isFailing = false
      } catch (error) {
        if (signal.aborted) return
        if (!this.#isFailing) this.#options.log.warn({ err: error }, 'documents.expiry_failed')
        this.#isFailing = true
      }
    }
  }
}
