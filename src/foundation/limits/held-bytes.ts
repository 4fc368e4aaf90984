import { RateLimitError } from '../../errors.ts'
import type { Metrics } from '../observability/metrics.ts'

export interface HeldBytesOptions {
  limits: { heldBytesMax: number, heldBytesPerApplicationMax: number }
  metrics: Pick<Metrics, 'heldBytes' | 'heldBytesRefused' | 'heldBytesShed'>
}

/**
 * Accounts for the memory that applications hold on a node while their sockets are open: subscriptions with their
 * filters, and member states, including those of members on other nodes. Each application has a share. When the node is
 * full, the application that holds the most makes room for one that holds less.
 */
export class HeldBytes {
  readonly #options: HeldBytesOptions
  readonly #byApplication = new Map<string, number>()
  #bytes = 0
  /**
   * Frees memory of an application: ends an absence of one of its members, or closes one of its connections. Returns
   * false if there is nothing to free.
   */
  shed: (applicationId: string) => boolean = () => false
  /**
   * Makes the other nodes free memory when an application holds only the states of their members. The refused caller
   * succeeds after a short wait.
   */
  shedElsewhere: (applicationId: string) => void = () => {}

  constructor (options: HeldBytesOptions) {
    this.#options = options
  }

  get bytes () { return this.#bytes }

  of (applicationId: string): number {
    return this.#byApplication.get(applicationId) ?? 0
  }

  /** Throws RateLimitError `MEMORY_LIMIT` unless there is room for `bytes` more. */
  requireRoom (applicationId: string, bytes: number): void {
    const { limits: { heldBytesMax, heldBytesPerApplicationMax } } = this.#options
    const own = this.of(applicationId) + bytes
    if (own > heldBytesPerApplicationMax) {
      throw this.#refusal(
        'application',
        `The application has reached its limit of ${heldBytesPerApplicationMax} bytes of subscriptions and states on ` +
          'this node'
      )
    }
    while (this.#bytes + bytes > heldBytesMax) {
      const [largest, most] = this.#largest()
      if (largest === applicationId || most <= own || !this.#makeRoom(largest)) {
        throw this.#refusal('node', 'The node has no memory left for more subscriptions and states')
      }
      this.#options.metrics.heldBytesShed.inc()
    }
  }

  #makeRoom (applicationId: string): boolean {
    const isShed = this.shed(applicationId)
    if (!isShed) this.shedElsewhere(applicationId)
    return isShed
  }

  /** Counts bytes that an application holds; a negative number releases them. */
  count (applicationId: string, bytes: number): void {
    const own = this.of(applicationId) + bytes
    if (own > 0) this.#byApplication.set(applicationId, own)
    else this.#byApplication.delete(applicationId)
    this.#bytes += bytes
    this.#options.metrics.heldBytes.set(this.#bytes)
  }

  #largest (): [applicationId: string, bytes: number] {
    let [largest, most] = ['', 0]
    for (const [applicationId, bytes] of this.#byApplication) if (bytes > most) [largest, most] = [applicationId, bytes]
    return [largest, most]
  }

  #refusal (limit: 'application' | 'node', message: string): RateLimitError {
    this.#options.metrics.heldBytesRefused.inc({ limit })
    return new RateLimitError('MEMORY_LIMIT', message)
  }
}

/** Measured: the size of a subscription without a filter, and the ratio of a parsed filter to its text. */
const subscriptionBytes = 600
const filterFactor = 3.5
/** Each topic of a pattern is a subscription that shares the pattern's filter. */
export const patternTopicBytes = 400
const memberBytes = 650
/** A state is kept as text, as a value, and in the response to new members. */
const stateFactor = 4

export const subscriptionCost = (filterText: string | undefined): number =>
  subscriptionBytes + Math.ceil(filterFactor * (filterText?.length ?? 0))

export const memberCost = (stateLength: number): number => memberBytes + stateFactor * stateLength
