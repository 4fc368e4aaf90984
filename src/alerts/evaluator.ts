import { setTimeout as delay } from 'node:timers/promises'
import type pg from 'pg'
import type { AlertRuleName } from '../../schemas/alerts.ts'
import { createNamedLeases, HeldLeases } from '../cluster/leases.ts'
import type { AlertSettings } from '../config/alert-settings.ts'
import type { Writer } from '../events/intent.ts'
import type { Metrics } from '../foundation/observability/metrics.ts'
import { dueAtOnce, readDueAlerts, type DueAlert } from './due-alerts.ts'
import { evaluateRule, type ReadQuotas } from './evaluation.ts'
import { countFiring, deleteOldAlerts } from './housekeeping.ts'
import { ruleEntries } from './rule-settings.ts'
import { transitionOf } from './transitions.ts'

const leaseName = 'alerts'
/** A node that has not renewed its lease for this many evaluations is replaced, or after this time if it is longer. */
const leaseIntervals = 3
const leaseLeastMs = 10_000
const housekeepingEveryMs = 60_000
/** Pieces of due alerts that one evaluation works off. The rest waits for the next. */
const piecesMax = 20

export interface AlertEvaluatorOptions {
  pool: pg.Pool
  writer: Writer
  metrics: Metrics
  /** The id of this node. */
  node: string
  /** The clock that all nodes share. */
  now: () => number
  settings: AlertSettings
  log: { info (fields: object, message: string): void, warn (fields: object, message: string): void }
}

/**
 * Evaluates the rules of all scopes, on one node at a time. All state is in the database: another node that takes over
 * continues where this one stopped.
 */
export class AlertEvaluator {
  readonly #options: AlertEvaluatorOptions
  readonly #leases: HeldLeases
  readonly #stop = new AbortController()
  readonly #failing = new Set<string>()
  #readQuotas: ReadQuotas = async () => []
  #running: Promise<void> | undefined
  #cleanedAt = 0

  constructor (options: AlertEvaluatorOptions) {
    const { pool, node, settings: { intervalMs } } = options
    this.#options = options
    const leaseMs = Math.max(leaseLeastMs, leaseIntervals * intervalMs)
    this.#leases = new HeldLeases(createNamedLeases({ pool, node, leaseMs }))
  }

  /** Sets the source of the rule `quota_nearly_used`. Without one, it never fires. */
  readQuotasWith (readQuotas: ReadQuotas): void {
    this.#readQuotas = readQuotas
  }

  start (): void {
    this.#running ??= this.#run()
  }

  /** Releases the lease, so that another node continues at once. */
  async close (): Promise<void> {
    this.#stop.abort()
    await this.#running
    await this.#leases.releaseAll()
  }

  async #run (): Promise<void> {
    const { settings: { intervalMs } } = this.#options
    while (!this.#stop.signal.aborted) {
      await this.#guarded('evaluation', () => this.#step())
      await delay(intervalMs, undefined, { signal: this.#stop.signal, ref: false }).catch(() => {})
    }
  }

  async #step (): Promise<void> {
    const { pool, metrics, settings, now } = this.#options
    if (await this.#leases.hold(leaseName) !== undefined) {
      const evaluated = new Set<AlertRuleName>()
      for (const [rule] of ruleEntries) {
        if (this.#stop.signal.aborted) return
        const isDone = await this.#guarded(rule, () =>
          evaluateRule({ pool, settings, readQuotas: () => this.#readQuotas() }, rule, now())
        )
        if (isDone) evaluated.add(rule)
      }
      await this.#moveDue(evaluated)
      if (now() - this.#cleanedAt > housekeepingEveryMs) {
        this.#cleanedAt = now()
        await this.#guarded('housekeeping', () => deleteOldAlerts(pool, settings, now()))
      }
    }
    const firing = await countFiring(pool)
    for (const [severity, count] of Object.entries(firing)) {
      metrics.alertsFiring.set({ severity: severity as keyof typeof firing }, count)
    }
  }

  /** Fires and resolves alerts, piece by piece. */
  async #moveDue (evaluated: ReadonlySet<AlertRuleName>): Promise<void> {
    const { pool, settings: { resolveAfterMs }, now } = this.#options
    for (let piece = 0; piece < piecesMax && !this.#stop.signal.aborted; piece++) {
      const due = await readDueAlerts(pool, evaluated, now(), resolveAfterMs)
      const moved = await Promise.all(due.map(alert => this.#move(alert)))
      // Alerts that could not be moved would be read again at once.
      if (due.length < dueAtOnce || moved.includes(false)) return
    }
  }

  /** Returns false if the alert could not be moved. It is tried again at the next evaluation. */
  async #move (alert: DueAlert): Promise<boolean> {
    const { writer, settings, log } = this.#options
    const fields = {
      alertId: alert.id, rule: alert.rule, target: alert.target, severity: alert.severity,
      applicationId: alert.application_id, environment: alert.environment
    }
    try {
      await writer.submit(transitionOf(alert, settings.resolvedPerScopeMax))
      log.info(fields, alert.status === 'pending' ? 'alert.firing' : 'alert.resolved')
      return true
    } catch (err) {
      log.warn({ err, ...fields }, 'alert.not_moved')
      return false
    }
  }

  /** Runs a part of the evaluation. A part that fails does not stop the others, and is logged once: returns false. */
  async #guarded (part: string, work: () => Promise<void>): Promise<boolean> {
    const { log, metrics } = this.#options
    try {
      await work()
      this.#failing.delete(part)
      return true
    } catch (err) {
      metrics.alertEvaluationFailures.inc()
      if (!this.#failing.has(part) && !this.#stop.signal.aborted) {
        log.warn({ err, part }, 'alerts.evaluation_failed')
      }
      this.#failing.add(part)
      return false
    }
  }
}
