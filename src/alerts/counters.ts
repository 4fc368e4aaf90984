import type pg from 'pg'
import { textArray } from '../../db/arrays.ts'
import { scopeKey, type Scope } from '../../schemas/scope.ts'
import type { Signal } from './measures.ts'

/** Counts that wait to be stored. Beyond it, targets that have no count yet are not counted. */
const pendingMax = 10_000
/** Those of one scope: clients choose the patterns that they subscribe to, and must leave room for other scopes. */
const pendingOfScopeMax = 500
/** Counts that one statement stores. */
const rowsAtOnce = 1000

/** Sorted, so that two nodes do not deadlock. */
const storeSql = `
  insert into alert_counts as c (application_id, environment, signal, target, at, count)
  select * from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::bigint[])
    as k(application_id, environment, signal, target, at, count)
  order by signal, at, application_id, environment, target
  on conflict (signal, at, application_id, environment, target) do update set count = c.count + excluded.count`

export interface AlertCountersOptions {
  pool: pg.Pool
  /** The clock that all nodes share. */
  now: () => number
  countedPerMs: number
  storedEveryMs: number
  log: { warn (fields: object, message: string): void }
}

interface Count { scope: Scope, signal: Signal, target: string, at: number, count: number }

/**
 * Counts what only this node observes, and stores the counts in the background, where the evaluating node adds them to
 * those of other nodes. While the database is away, counts are kept in memory. A node that dies loses those of about
 * two seconds.
 */
export class AlertCounters {
  readonly #options: AlertCountersOptions
  #pending = new Map<string, Count>()
  #pendingOfScope = new Map<string, number>()
  #timer: NodeJS.Timeout | undefined
  #storing: Promise<void> | undefined
  #isFailing = false

  constructor (options: AlertCountersOptions) {
    this.#options = options
  }

  start (): void {
    this.#timer = setInterval(() => { void this.store() }, this.#options.storedEveryMs).unref()
  }

  count (scope: Scope, signal: Signal, target: string): void {
    const { now, countedPerMs } = this.#options
    const at = Math.floor(now() / countedPerMs) * countedPerMs
    const key = JSON.stringify([scope.applicationId, scope.environment, signal, target, at])
    this.#add(key, { scope, signal, target, at, count: 1 })
  }

  /** Stores the counts. Never rejects: what cannot be stored is stored later. */
  async store (): Promise<void> {
    await this.#storing
    this.#storing = this.#storeAll().finally(() => { this.#storing = undefined })
    await this.#storing
  }

  async close (): Promise<void> {
    clearInterval(this.#timer)
    await this.store()
  }

  async #storeAll (): Promise<void> {
    const counts = [...this.#pending]
    this.#pending = new Map()
    this.#pendingOfScope = new Map()
    for (let i = 0; i < counts.length; i += rowsAtOnce) {
      try {
        await this.#storeSome(counts.slice(i, i + rowsAtOnce).map(([, count]) => count))
        this.#isFailing = false
      } catch (err) {
        if (!this.#isFailing) this.#options.log.warn({ err }, 'alerts.counts_not_stored')
        this.#isFailing = true
        return this.#keep(counts.slice(i))
      }
    }
  }

  async #storeSome (counts: readonly Count[]): Promise<void> {
    await this.#options.pool.query({
      name: 'alerts_store_counts',
      text: storeSql,
      values: [
        textArray(counts.map(({ scope }) => scope.applicationId)),
        textArray(counts.map(({ scope }) => scope.environment)), textArray(counts.map(({ signal }) => signal)),
        textArray(counts.map(({ target }) => target)), counts.map(({ at }) => at), counts.map(({ count }) => count)
      ]
    })
  }

  #keep (counts: readonly [string, Count][]): void {
    for (const [key, count] of counts) this.#add(key, count)
  }

  #add (key: string, count: Count): void {
    const known = this.#pending.get(key)
    if (known !== undefined) {
      known.count += count.count
      return
    }
    const scope = scopeKey(count.scope)
    const ofScope = this.#pendingOfScope.get(scope) ?? 0
    if (this.#pending.size >= pendingMax || ofScope >= pendingOfScopeMax) return
    this.#pendingOfScope.set(scope, ofScope + 1)
    this.#pending.set(key, count)
  }
}
