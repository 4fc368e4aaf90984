import type { Metrics } from '../../foundation/observability/metrics.ts'
import type { BusyEndpoint } from './busy-endpoints.ts'
import { EndpointWorker, type EndpointWorkerOptions } from './endpoint-worker.ts'

export interface EndpointWorkersOptions extends Omit<EndpointWorkerOptions, 'endpoint'> {
  metrics: Metrics
}

/** The workers of this node, one per endpoint with recent deliveries. */
export class EndpointWorkers {
  readonly #options: EndpointWorkersOptions
  readonly #workers = new Map<string, EndpointWorker>()
  /** IDs of the webhooks and applications that were changed since the current scan began, or since the last one. */
  readonly #changed = new Set<string>()

  constructor (options: EndpointWorkersOptions) {
    this.#options = options
  }

  /** Call before a scan reads the endpoints: it reads earlier changes. */
  startScan (): void {
    this.#changed.clear()
  }

  /**
   * Pauses sending to a changed or deleted webhook, until a scan that begins after this call reloads its settings: a
   * scan in progress may have read them before the change.
   */
  hold (webhookId: string): void {
    this.#changed.add(webhookId)
    this.#workers.get(webhookId)?.hold()
  }

  /** Pauses sending to the webhooks of a deleted application. */
  holdApplication (applicationId: string): void {
    this.#changed.add(applicationId)
    for (const worker of this.#workers.values()) if (worker.applicationId === applicationId) worker.hold()
  }

  /**
   * Returns the worker of an endpoint with its settings as the current scan read them; creates it if there is none.
   * Returns undefined if they may be outdated.
   */
  open (endpoint: BusyEndpoint): EndpointWorker | undefined {
    if (this.#changed.has(endpoint.id) || this.#changed.has(endpoint.application_id)) return undefined
    const known = this.#workers.get(endpoint.id)
    if (known !== undefined) {
      known.refresh(endpoint)
      return known
    }
    const worker = new EndpointWorker({ ...this.#options, endpoint })
    this.#workers.set(endpoint.id, worker)
    return worker
  }

  find (webhookId: string): EndpointWorker | undefined {
    return this.#workers.get(webhookId)
  }

  all (): EndpointWorker[] {
    return [...this.#workers.values()]
  }

  /** Number of deliveries that this node holds. */
  get held (): number {
    let held = 0
    for (const worker of this.#workers.values()) held += worker.held
    return held
  }

  heldByApplication (): Map<string, number> {
    const held = new Map<string, number>()
    for (const worker of this.#workers.values()) {
      held.set(worker.applicationId, (held.get(worker.applicationId) ?? 0) + worker.held)
    }
    return held
  }

  /** Returns the workers whose endpoints may have deliveries that are due. */
  due (): EndpointWorker[] {
    return this.all().filter(({ isDue }) => isDue)
  }

  /** Releases the waiting deliveries of every worker but those, and claims none for them. */
  stopExcept (kept: ReadonlySet<EndpointWorker>): void {
    for (const worker of this.#workers.values()) {
      if (kept.has(worker)) continue
      worker.isDue = false
      worker.giveBack()
    }
  }

  /** Removes workers without recent deliveries. Keeps a worker until a pause requested by its endpoint ends. */
  closeIdle (now: number): void {
    const { endpointIdleMs } = this.#options.settings
    for (const worker of this.#workers.values()) {
      const isBusy = worker.isDue || worker.held > 0 || now < worker.circuit.pausedUntil
      if (isBusy || now - worker.usedAt <= endpointIdleMs) continue
      this.#workers.delete(worker.id)
      void worker.close()
    }
  }

  measure (): void {
    let inFlight = 0
    let open = 0
    for (const worker of this.#workers.values()) {
      inFlight += worker.inFlight
      if (worker.circuit.isOpen) open++
    }
    this.#options.metrics.webhooksInFlight.set(inFlight)
    this.#options.metrics.webhookCircuitsOpen.set(open)
  }

  async close (): Promise<void> {
    await Promise.all(this.all().map(worker => worker.close()))
  }
}
