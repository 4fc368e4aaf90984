import type { Encryption } from '../../foundation/encryption/encryption.ts'
import type { WebhookSettings } from '../../config/webhook-settings.ts'
import type { AddressGuard } from '../http/address-guard.ts'
import { circuitOf, type Circuit } from './circuit.ts'
import type { BusyEndpoint } from './busy-endpoints.ts'
import type { Claimed } from './claim.ts'
import type { Readers } from '../readers.ts'
import { TokenBucket } from '../../foundation/limits/token-bucket.ts'
import { bodyOf, signatureHeaders } from '../request-body.ts'
import { openKeys } from '../secrets.ts'
import { Sender, type Attempt } from '../http/sender.ts'

/** Deliveries are leased ahead for this much of an endpoint's throughput, up to `aheadMax`. */
const aheadMs = 200
const aheadMax = 500
/** Number of responses over which the mean duration is smoothed. */
const meanOf = 8

/** A delivery that this node has leased, and the end of the lease. */
export interface Leased { claimed: Claimed, leaseUntil: number }

/** Why a delivery is not sent: its event is no longer stored, or the webhook's reader may not read it. */
export type Void = 'expired' | 'not_permitted'

/** A finished attempt, and the URL it went to. */
export interface Ended {
  claimed: Claimed
  attempt: Attempt
  url: string
  void?: Void | undefined
  /** The permission could not be checked: no request was sent, and the endpoint did not fail. */
  isUndecided: boolean
}

export interface EndpointWorkerOptions {
  endpoint: BusyEndpoint
  settings: WebhookSettings
  guard: AddressGuard
  encryption: Encryption
  readers: Readers
  now: () => number
  onEnded (worker: EndpointWorker, ended: Ended): void
  /** Receives leased deliveries that cannot be sent in time. */
  onReturned (claimed: Claimed[]): void
  /** Called when a request is sent again because a kept-alive connection had ended. */
  onResent (): void
}

/** Sends the deliveries of one endpoint from this node: connections, circuit, queue, requests in flight. */
export class EndpointWorker {
  readonly id: string
  readonly applicationId: string
  circuit: Circuit
  readonly #options: EndpointWorkerOptions
  readonly #rate = new TokenBucket()
  #endpoint: BusyEndpoint
  #sender: Sender | undefined
  #waiting: Leased[] = []
  #inFlight = 0
  /** Mean duration of a successful request. */
  #meanMs: number | undefined
  #rateTimer: NodeJS.Timeout | undefined
  #isHeld = false
  /** Number of changes of the webhook that this node has heard of. */
  #changes = 0
  #keys: { open: Buffer[], until: number } | undefined
  usedAt: number
  /** Whether deliveries may be due that no node has leased. */
  isDue = false
  failingSince: number | null
  failedAt: number | null

  constructor (options: EndpointWorkerOptions) {
    const { endpoint, settings } = options
    this.#options = options
    this.#endpoint = endpoint
    this.id = endpoint.id
    this.applicationId = endpoint.application_id
    this.failingSince = endpoint.failing_since
    this.failedAt = endpoint.failed_at
    this.usedAt = options.now()
    this.circuit = circuitOf(settings)
    this.#rate.set(endpoint.rate_limit ?? undefined, this.#options.now())
  }

  /** The URL as this node last read it. */
  get url (): string { return this.#endpoint.url }
  get inFlight (): number { return this.#inFlight }
  get held (): number { return this.#inFlight + this.#waiting.length }

  /** Applies the settings that were just read. */
  refresh (endpoint: BusyEndpoint): void {
    this.#isHeld = false
    // A new URL starts without the history of the old one.
    if (endpoint.url !== this.#endpoint.url) {
      this.#retire()
      this.#meanMs = undefined
      this.circuit = circuitOf(this.#options.settings)
    }
    if (JSON.stringify(endpoint.secrets) !== JSON.stringify(this.#endpoint.secrets)) this.#keys = undefined
    this.#endpoint = endpoint
    this.failingSince = endpoint.failing_since
    this.failedAt = endpoint.failed_at
    this.#rate.set(endpoint.rate_limit ?? undefined, this.#options.now())
  }

  /**
   * Returns how many more deliveries can be claimed. While the endpoint is healthy, enough wait to keep it busy until
   * the next claim.
   */
  room (now: number): number {
    const { circuit } = this
    if (now < circuit.pausedUntil) return 0
    const wanted = circuit.isOpen ? 1 : circuit.window + this.#ahead
    return Math.max(0, Math.min(wanted - this.held, this.#rate.room(now) - this.#waiting.length))
  }

  /** Returns when more deliveries can be claimed, if none can be now. */
  roomAt (now: number): number {
    return Math.max(this.circuit.pausedUntil, this.#rate.nextAt(now))
  }

  /** A slow endpoint leases few deliveries ahead, a fast one many, one without a response yet none. */
  get #ahead (): number {
    return this.#meanMs === undefined
      ? 0
      : Math.min(aheadMax, Math.ceil(this.circuit.window * aheadMs / Math.max(1, this.#meanMs)))
  }

  take (leased: Leased[]): void {
    this.#waiting.push(...leased)
    if (this.#isHeld) this.giveBack()
    else this.pump()
  }

  /** Call after the webhook is changed or deleted: sending pauses until its settings are reloaded. */
  hold (): void {
    this.#isHeld = true
    this.#changes++
    this.giveBack()
  }

  /** Sends as much as the circuit and the rate limit allow now. */
  pump (): void {
    const now = this.#options.now()
    const returned: Claimed[] = []
    while (this.#waiting.length > 0) {
      const [first] = this.#waiting as [Leased]
      // An attempt that outlives its lease would be repeated. Deliveries for a paused endpoint go back to the queue.
      const isLate = first.leaseUntil - now < this.#options.settings.timeoutMs
      if (isLate || now < this.circuit.pausedUntil) {
        returned.push(first.claimed)
        this.#waiting.shift()
        continue
      }
      if (this.circuit.room(this.#inFlight, now) === 0) break
      if (this.#rate.room(now) === 0) {
        this.#rateTimer ??= setTimeout(() => {
          this.#rateTimer = undefined
          this.pump()
        }, this.#rate.nextAt(now) - now).unref()
        break
      }
      this.#waiting.shift()
      this.#rate.take(1)
      void this.#send(first.claimed)
    }
    if (returned.length > 0) this.#options.onReturned(returned)
  }

  /** Releases the waiting deliveries. */
  giveBack (): void {
    const returned = this.#waiting.splice(0).map(({ claimed }) => claimed)
    if (returned.length > 0) this.#options.onReturned(returned)
  }

  /** Aborts the requests in flight. */
  breakOff (): void {
    this.#sender?.breakOff()
  }

  async close (): Promise<void> {
    clearTimeout(this.#rateTimer)
    await this.#sender?.close()
  }

  async #send (claimed: Claimed): Promise<void> {
    this.#inFlight++
    this.usedAt = this.#options.now()
    const { url } = this.#endpoint
    const changes = this.#changes
    const body = bodyOf(claimed)
    const void_ = body === undefined ? 'expired' : await this.#refusal(claimed)
    if (changes !== this.#changes || url !== this.#endpoint.url) {
      // Changed during the check: the new settings decide.
      this.#inFlight--
      this.#options.onReturned([claimed])
      return
    }
    const attempt = body === undefined || void_ !== undefined
      ? failed(reasons[void_ ?? 'expired'])
      : await this.#attempt(claimed, body)
    this.#inFlight--
    if (attempt.success) {
      this.#meanMs = (this.#meanMs ?? attempt.durationMs) +
        (attempt.durationMs - (this.#meanMs ?? attempt.durationMs)) / meanOf
    }
    this.#options.onEnded(this, {
      claimed, attempt, url, void: void_ === 'unknown' ? undefined : void_, isUndecided: void_ === 'unknown'
    })
    this.pump()
  }

  /** Returns why the webhook may not receive the event, if so; `unknown` while the database is unavailable. */
  async #refusal (
    { application_id: applicationId, environment, topic, key }: Claimed
  ): Promise<'not_permitted' | 'unknown' | undefined> {
    try {
      const isPermitted = await this.#options.readers.mayRead(this.#endpoint.reader, {
        applicationId, environment, topic, key
      })
      return isPermitted ? undefined : 'not_permitted'
    } catch {
      return 'unknown'
    }
  }

  async #attempt (claimed: Claimed, body: string): Promise<Attempt> {
    const { settings, guard, onResent } = this.#options
    const now = this.#options.now()
    let keys
    try {
      keys = this.#keysAt(now)
    } catch {
      return failed(
        'Not sent: the encryption key of the webhook secret is no longer configured. Rotate the webhook secret'
      )
    }
    this.#sender ??= new Sender({ url: this.#endpoint.url, guard, settings, onResent })
    const headers = signatureHeaders(deliveryId(claimed.id), Math.floor(now / 1000), body, keys)
    return { ...await this.#sender.send(body, headers), sentAt: now }
  }

  /** Decrypts the secrets once per reload of the endpoint, and again when one of them expires. */
  #keysAt (now: number): Buffer[] {
    if (this.#keys === undefined || now >= this.#keys.until) {
      const { id, secrets } = this.#endpoint
      this.#keys = {
        open: openKeys(this.#options.encryption, id, secrets, now),
        until: Math.min(...secrets.map(({ until }) => until ?? Infinity).filter(until => until > now))
      }
    }
    return this.#keys.open
  }

  /** Lets requests in flight to the old URL finish. */
  #retire (): void {
    this.#sender?.retire()
    this.#sender = undefined
  }
}

const reasons = {
  expired: 'Expired: the event is no longer stored',
  not_permitted: 'Not sent: the reader of the webhook may no longer read the event. ' +
    'Set its URL again with a credential that may',
  unknown: 'Not sent: the permissions could not be checked'
}

/** Formats a delivery's UUID as its public ID. */
export const deliveryId = (uuid: string): string => `dlv_${uuid.replaceAll('-', '')}`

const failed = (error: string): Attempt =>
  ({ success: false, statusCode: null, error, responseBody: null, retryAfterMs: undefined, durationMs: 0 })
