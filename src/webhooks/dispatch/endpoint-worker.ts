import type { Encryption } from '../../foundation/encryption/encryption.ts'
import type { WebhookSettings } from '../../config.ts'
import type { AddressGuard } from '../http/address-guard.ts'
import { Circuit } from './circuit.ts'
import type { BusyEndpoint, Claimed } from './queue.ts'
import type { Readers } from '../readers.ts'
import { RateLimit } from '../../foundation/limits/token-bucket.ts'
import { bodyOf, signatureHeaders } from '../request-body.ts'
import { openKeys } from '../secrets.ts'
import { Sender, type Attempt } from '../http/sender.ts'

/** What an endpoint takes in this time is leased ahead of it, and at most so many. */
const aheadMs = 200
const aheadMax = 500
/** Of how many answers the mean time is taken, about. */
const meanOf = 8

/** A delivery that this node has leased, and until when. */
export interface Leased { claimed: Claimed, leaseUntil: number }

/** Why nothing is sent, now or ever: the log no longer has the event, or the webhook may not have it. */
export type Void = 'expired' | 'not_permitted'

/** An attempt that ended, at what URL. */
export interface Ended {
  claimed: Claimed
  attempt: Attempt
  url: string
  void?: Void | undefined
  /** Whether it may be sent could not be told: nothing was, and the endpoint has failed in nothing. */
  isUndecided: boolean
}

export interface OutletOptions {
  endpoint: BusyEndpoint
  settings: WebhookSettings
  guard: AddressGuard
  encryption: Encryption
  readers: Readers
  now: () => number
  onEnded (outlet: Outlet, ended: Ended): void
  /** Leased deliveries that cannot be sent in time. */
  onReturned (claimed: Claimed[]): void
  /** A request was sent again because a kept connection had ended. */
  onResent (): void
}

/**
 * The way out to one endpoint from this node: its connections, its circuit, what waits to be sent and what is under
 * way.
 */
export class Outlet {
  readonly id: string
  readonly applicationId: string
  circuit: Circuit
  readonly #options: OutletOptions
  readonly #rate = new RateLimit()
  #endpoint: BusyEndpoint
  #sender: Sender | undefined
  #waiting: Leased[] = []
  #inFlight = 0
  /** Of a request that succeeds. */
  #meanMs: number | undefined
  #rateTimer: NodeJS.Timeout | undefined
  #isHeld = false
  #keys: { open: Buffer[], until: number } | undefined
  usedAt: number
  /** Whether the last claim took all that it could. */
  mayHaveMore = false
  /** Where the next look through the lanes begins. */
  afterLane = ''
  failingSince: number | null
  failedAt: number | null

  constructor (options: OutletOptions) {
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

  /** Where it leads, as far as this node knows. */
  get url (): string { return this.#endpoint.url }
  get inFlight (): number { return this.#inFlight }
  get held (): number { return this.#inFlight + this.#waiting.length }

  /** The endpoint as it was just read. */
  refresh (endpoint: BusyEndpoint): void {
    this.#isHeld = false
    // Somewhere else: what the old place did says nothing of the new one.
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
   * How many deliveries more it could do with: while all is well, so many wait that it is not idle until the next
   * claim.
   */
  room (now: number): number {
    const { circuit } = this
    if (now < circuit.pausedUntil) return 0
    const wanted = circuit.isOpen ? 1 : circuit.window + this.#ahead
    return Math.max(0, Math.min(wanted - this.held, this.#rate.room(now) - this.#waiting.length))
  }

  /** When it can do with more again, if it cannot now. */
  roomAt (now: number): number {
    return Math.max(this.circuit.pausedUntil, this.#rate.nextAt(now))
  }

  /** A slow endpoint gets few ahead, a fast one many; one that has not answered yet, none. */
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

  /** It was changed, or is gone: nothing more is sent until it is read again. */
  hold (): void {
    this.#isHeld = true
    this.giveBack()
  }

  /** Sends what may be sent now. */
  pump (): void {
    const now = this.#options.now()
    const returned: Claimed[] = []
    while (this.#waiting.length > 0) {
      const [first] = this.#waiting as [Leased]
      // An attempt that outlives its lease would be made twice; and what waits for an endpoint that is left alone may
      // as well wait in the queue.
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

  /** Gives back what waits. */
  giveBack (): void {
    const returned = this.#waiting.splice(0).map(({ claimed }) => claimed)
    if (returned.length > 0) this.#options.onReturned(returned)
  }

  /** Ends what is under way, now. */
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
    const body = bodyOf(claimed)
    const void_ = body === undefined ? 'expired' : await this.#refusal(claimed)
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

  /** Whether the webhook may still have the event; `unknown` while the database is away. */
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
      return failed('Not sent: the secret was sealed with an encryption key that the platform no longer has; rotate it')
    }
    this.#sender ??= new Sender({ url: this.#endpoint.url, guard, settings, onResent })
    return await this.#sender.send(body, signatureHeaders(deliveryId(claimed.id), Math.floor(now / 1000), body, keys))
  }

  /** Opened once for each reading of the endpoint, and for no longer than each of them signs. */
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

  /** What is under way to the old URL ends as it will. */
  #retire (): void {
    this.#sender?.retire()
    this.#sender = undefined
  }
}

/**
 * Pauses are short beside the schedule of retries: while it lasts, an endpoint that comes back now and then is found to
 * be back.
 */
function circuitOf (
  {
    endpointConcurrencyMax: concurrencyMax, circuitFailures: failures, circuitPauseMs, circuitPauseMaxMs,
    retryScheduleMs
  }: WebhookSettings
): Circuit {
  const scheduleMs = retryScheduleMs.reduce((sum, wait) => sum + wait, 0)
  const pauseMaxMs = Math.min(circuitPauseMaxMs, Math.max(50, scheduleMs / 20))
  return new Circuit({ concurrencyMax, failures, pauseMs: Math.min(circuitPauseMs, pauseMaxMs), pauseMaxMs })
}

const reasons = {
  expired: 'Expired: the log no longer has the event',
  not_permitted:
    'Not sent: whoever set up the webhook may not read the event any more; save the webhook again with a credential ' +
      'that may',
  unknown: 'Not sent: the permissions could not be read'
}

/** How a delivery's uuid is known outside. */
export const deliveryId = (uuid: string): string => `dlv_${uuid.replaceAll('-', '')}`

const failed = (error: string): Attempt =>
  ({ success: false, statusCode: null, error, responseBody: null, retryAfterMs: undefined, durationMs: 0 })
