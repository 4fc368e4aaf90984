import type { Selectable } from 'kysely'
import type pg from 'pg'
import type { ApplicationQuotasTable } from '../../db/tables.ts'
import { quotaNames, type Quotas, type QuotaName } from '../../schemas/quotas.ts'

/** How long a node may use quotas that another node has changed, if the announcement is lost. */
const pollMs = 2000
/** Looks back this far, because a change gets its time before it is committed. */
const slackMs = 60_000

export type QuotaRow = Selectable<ApplicationQuotasTable>

export const quotaColumns = {
  publishesPerSecond: 'publishes_per_second',
  bytesStored: 'bytes_stored',
  sockets: 'sockets',
  subscriptions: 'subscriptions',
  webhooks: 'webhooks',
  documents: 'documents'
} as const satisfies Record<QuotaName, keyof QuotaRow>

export const unlimited = -1

const rowsSql = `
  select application_id, publishes_per_second, bytes_stored, sockets, subscriptions, webhooks, documents, changed_at
  from application_quotas`

/** Returns the quotas that a row stands for; without one, the defaults. */
export function toQuotas (row: Omit<QuotaRow, 'application_id' | 'changed_at'> | undefined, defaults: Quotas): Quotas {
  if (row === undefined) return defaults
  const quotas = { ...defaults }
  for (const name of quotaNames) {
    const value = row[quotaColumns[name]]
    if (value !== null) quotas[name] = value === unlimited ? null : value
  }
  return quotas
}

export interface QuotaLimitsOptions {
  pool: pg.Pool
  defaults: Quotas
  log: { warn (fields: object, message: string): void }
}

/** Keeps the quotas of all applications in memory, so that a check costs one look-up. Reads changes of other nodes. */
export class QuotaLimits {
  readonly #options: QuotaLimitsOptions
  readonly #byApplication = new Map<string, Quotas>()
  #readUpTo = 0
  #timer: NodeJS.Timeout | undefined
  #reading: Promise<void> | undefined

  constructor (options: QuotaLimitsOptions) {
    this.#options = options
  }

  get defaults (): Quotas { return this.#options.defaults }

  /** Whether any application can have a quota. */
  get isEmpty (): boolean {
    return this.#byApplication.size === 0 && quotaNames.every(name => this.#options.defaults[name] === null)
  }

  of (applicationId: string): Quotas {
    return this.#byApplication.get(applicationId) ?? this.#options.defaults
  }

  /** Returns whether any of these quotas of the application has a limit. */
  hasLimit (applicationId: string, names: readonly QuotaName[] = quotaNames): boolean {
    const quotas = this.of(applicationId)
    return names.some(name => quotas[name] !== null)
  }

  /** The applications whose quotas are not the defaults. */
  get applications (): Iterable<string> { return this.#byApplication.keys() }

  /** Applies quotas that this node has stored. */
  set (row: QuotaRow): void {
    this.#byApplication.set(row.application_id, toQuotas(row, this.#options.defaults))
  }

  forget (applicationId: string): void {
    this.#byApplication.delete(applicationId)
  }

  /** Reads the quotas that have changed. Calls that arrive while one is running share the next. */
  async refresh (): Promise<void> {
    await this.#reading?.catch(() => {})
    this.#reading ??= this.#read().finally(() => { this.#reading = undefined })
    await this.#reading
  }

  async start (): Promise<void> {
    await this.refresh()
    this.#timer = setInterval(() => {
      this.refresh().catch((err: unknown) => this.#options.log.warn({ err }, 'quotas.not_read'))
    }, pollMs).unref()
  }

  stop (): void { clearInterval(this.#timer) }

  async #read (): Promise<void> {
    const { rows } = await this.#options.pool.query<QuotaRow>({
      name: 'quotas_changed', text: `${rowsSql} where changed_at >= $1`, values: [new Date(this.#readUpTo - slackMs)]
    })
    for (const row of rows) {
      this.set(row)
      this.#readUpTo = Math.max(this.#readUpTo, row.changed_at.getTime())
    }
  }
}
