import { setTimeout as delay } from 'node:timers/promises'
import type pg from 'pg'
import type { Writer } from '../events/intent.ts'
import { endDocuments, endPageSize, type DoomedDocument } from './end-documents.ts'

/** Reads in index order, so that the cost of a page does not depend on the number of expired documents. */
const expiredSql = `
  select application_id, environment, service, id, octet_length(data::text) as bytes from documents
  where not deleted and expires_at <= $1 and application_id <> all($3::text[])
  order by expires_at offset $2 limit ${endPageSize}`

export interface ExpiryOptions {
  pool: pg.Pool
  writer: Writer
  log: { info (fields: object, message: string): void, warn (fields: object, message: string): void }
  /** Default: the machine's clock. */
  now?: () => number
  /** The time between two sweeps. */
  intervalMs?: number
}

/**
 * Deletes expired documents of all tenants and publishes their `deleted` events. Every node may run a sweep: a deletion
 * is idempotent. For readers and writers a document is deleted as soon as it expires, before the sweep. An outage of
 * the database only delays the sweep.
 */
export class DocumentExpiry {
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

  /** Stops and waits for a running sweep. Call it before you close the writer and the pool. */
  async close (): Promise<void> {
    this.#stop.abort()
    await this.#running
  }

  /** Deletes all documents that have expired. Returns how many it deleted. */
  async sweep (now = (this.#options.now ?? Date.now)()): Promise<number> {
    const { pool, writer, log } = this.#options
    let ended = 0
    let failed = 0
    const crowded = new Set<string>()
    while (!this.#stop.signal.aborted) {
      // Deleted documents no longer match; the offset skips those that could not be deleted.
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
