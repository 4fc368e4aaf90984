import { RateLimitError } from '../../errors.ts'
import type { Metrics } from '../observability/metrics.ts'

export interface HeldBytesOptions {
  limits: { heldBytesMax: number, heldBytesPerApplicationMax: number }
  metrics: Pick<Metrics, 'heldBytes' | 'heldBytesRefused' | 'heldBytesShed'>
}

/**
 * What applications keep in a node's memory for as long as their sockets live: subscriptions with their filters, and
 * the states of members, those of other nodes included. An application has a share. When the node has no room left, the
 * application that holds the most gives way to one that holds less.
 */
export class HeldBytes {
  readonly #options: HeldBytesOptions
  readonly #byApplication = new Map<string, number>()
  #bytes = 0
  /**
   * Frees some of what an application holds, by ending an absence of its members or one of its connections. Returns
   * false where there is nothing to free.
   */
  shed: (applicationId: string) => boolean = () => false
  /**
   * Has the other nodes do so, where all that an application holds is states of their members: whoever is refused now
   * finds room shortly.
   */
  shedElsewhere: (applicationId: string) => void = () => {}

  constructor (options: HeldBytesOptions) {
    this.#options = options
  }

  get bytes () { return this.#bytes }

  of (applicationId: string): number {
    return this.#byApplication.get(applicationId) ?? 0
  }

  /** Throws RateLimitError `MEMORY_LIMIT` unless so many bytes more have room. */
  requireRoom (applicationId: string, bytes: number): void {
    const { limits: { heldBytesMax, heldBytesPerApplicationMax } } = this.#options
    const own = this.of(applicationId) + bytes
    if (own > heldBytesPerApplicationMax) {
      throw this.#refusal(
        'application',
        `The application holds ${heldBytesPerApplicationMax} bytes of subscriptions and states at this node, the most it may`
      )
    }
    while (this.#bytes + bytes > heldBytesMax) {
      const [largest, most] = this.#largest()
      if (largest === applicationId || most <= own || !this.#makeRoom(largest)) { throw this.#refusal('node', 'The node has no room for more subscriptions and states') }
      this.#options.metrics.heldBytesShed.inc()
    }
  }

  #makeRoom (applicationId: string): boolean {
    const isShed = this.shed(applicationId)
    if (!isShed) this.shedElsewhere(applicationId)
    return isShed
  }

  /** Counts bytes that an application holds; negative ones are let go. */
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

/** Measured: a subscription without a filter, and by how much the parts of a filter outgrow its text. */
const subscriptionBytes = 600
const filterFactor = 3.5
/** A topic of a pattern is a subscription that shares its filter. */
export const patternTopicBytes = 400
const memberBytes = 650
/** A state is there as text, as a value, and in the answer for whoever joins. */
const stateFactor = 4

export const subscriptionCost = (filterText: string | undefined): number =>
  subscriptionBytes + Math.ceil(filterFactor * (filterText?.length ?? 0))

export const memberCost = (stateLength: number): number => memberBytes + stateFactor * stateLength
