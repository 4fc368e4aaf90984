import type pg from 'pg'
import { isDatabaseUnavailable } from '../../errors.ts'
import type { Metrics } from '../../foundation/observability/metrics.ts'
import { BackgroundWriter } from '../../foundation/batching/background-writer.ts'
import type { Origin, Row } from './row.ts'

/** Rows that wait while the database is unavailable: a busy node's rows of some ten minutes, and about 40 MiB. */
const waitingRowsMax = 50_000
/** Rows of one statement, so that neither side is busy with it for long. */
const togetherMax = 1000

/** The columns are those of `Row` and `Origin`. A batch that was stored before is not stored again. */
const insertSql = `
  insert into metric_minutes (application_id, environment, kind, name, at, node, batch, is_cut, is_sampled, received,
    captured, routed, delivered, reconnects, schema_violations, mapping_failures, connection_ms, succeeded, failed,
    writes_waiting, webhooks_waiting, retrying, dead, oldest_due_ms, cdc_lag_ms, latency_buckets, latency_counts)
  select application_id, environment, kind, name, $2, $3, $4, is_cut, is_sampled, received,
    captured, routed, delivered, reconnects, schema_violations, mapping_failures, connection_ms, succeeded, failed,
    writes_waiting, webhooks_waiting, retrying, dead, oldest_due_ms, cdc_lag_ms, latency_buckets, latency_counts
  from json_populate_recordset(null::metric_minutes, $1::json)
  on conflict do nothing`

export interface SeriesStoreOptions {
  pool: pg.Pool
  metrics: Metrics
  log: { warn (fields: object, message: string): void, error (fields: object, message: string): void }
}

interface Batch { rows: Row[], origin: Origin }

/**
 * Stores rows of the metric series in the background. While the database is unavailable, they wait; if there are too
 * many, the oldest are dropped. Rows that the database refuses are dropped as well. Both are counted.
 */
export class SeriesStore {
  readonly #options: SeriesStoreOptions
  readonly #writer = new BackgroundWriter(() => this.#writeAll())
  #waiting: Batch[] = []
  #waitingRows = 0

  constructor (options: SeriesStoreOptions) {
    this.#options = options
  }

  add (rows: readonly Row[], origin: Origin): void {
    for (let from = 0; from < rows.length; from += togetherMax) {
      this.#waiting.push({ rows: rows.slice(from, from + togetherMax), origin })
    }
    this.#waitingRows += rows.length
    while (this.#waitingRows > waitingRowsMax) this.#drop()
    this.#writer.schedule()
  }

  /** Stores the waiting rows now. Resolves when they are stored, or the attempt has failed. */
  async flush (): Promise<void> {
    await this.#writer.now()
  }

  /** Stores the waiting rows a last time. */
  async close (): Promise<void> {
    await this.#writer.close()
  }

  #drop (): void {
    const dropped = this.#waiting.shift()?.rows.length ?? 0
    this.#waitingRows -= dropped
    this.#options.metrics.seriesRowsDropped.inc(dropped)
  }

  async #writeAll (): Promise<void> {
    const { pool, metrics, log } = this.#options
    for (let batch = this.#waiting[0]; batch !== undefined; batch = this.#waiting[0]) {
      const { rows, origin: { at, node, batch: number } } = batch
      try {
        await pool.query({
          name: 'metric_series_add', text: insertSql, values: [JSON.stringify(rows), at, node, number]
        })
      } catch (err) {
        metrics.seriesWriteFailures.inc()
        if (!isDatabaseUnavailable(err)) {
          log.error({ err, rows: rows.length }, 'metric_series.refused')
          if (this.#waiting[0] === batch) this.#drop()
          continue
        }
        if (!this.#writer.isFailing) log.warn({ err }, 'metric_series.not_stored')
        this.#writer.isFailing = true
        this.#writer.schedule()
        return
      }
      this.#writer.isFailing = false
      // It may have been dropped meanwhile.
      if (this.#waiting[0] === batch) {
        this.#waiting.shift()
        this.#waitingRows -= rows.length
      }
    }
  }
}
