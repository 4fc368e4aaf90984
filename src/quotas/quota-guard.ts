import type { QuotaName } from '../../schemas/quotas.ts'
import { QuotaExceededError } from '../errors.ts'
import type { LoggedEvent } from '../events/envelope.ts'
import type { Intent } from '../events/intent.ts'
import type { WriteQuota } from '../events/write-quota.ts'
import type { Metrics } from '../foundation/observability/metrics.ts'
import type { QuotaLimits } from './quota-limits.ts'
import type { PublishRates } from './publish-rates.ts'
import { SharedCount } from './shared-count.ts'
import type { UsageRecorder } from './usage-recorder.ts'

/** Advice when this node has used its part of the room, but other nodes may have some left. */
const partUsedRetryMs = 1000

export interface QuotaGuardOptions {
  limits: QuotaLimits
  rates: PublishRates
  recorder: UsageRecorder
  metrics: Pick<Metrics, 'quotaRefusals'>
  /** Called when this node has used its part of a quota, so that the nodes share what is left soon. */
  onPartUsed (): void
}

/** Compares what applications do with their quotas, without waiting for other nodes or for the database. */
export class QuotaGuard implements WriteQuota {
  readonly sockets = new SharedCount()
  readonly subscriptions = new SharedCount()
  readonly documents = new SharedCount()
  /** The stored bytes of applications with a quota, as of the last exchange. */
  readonly storedBytes = new Map<string, number>()
  /** Applications whose stored bytes or documents a write was compared with since the last exchange. */
  readonly compared = new Set<string>()
  readonly #options: QuotaGuardOptions
  /** Documents of queued intents. */
  readonly #creating = new Map<string, number>()

  constructor (options: QuotaGuardOptions) {
    this.#options = options
  }

  admit (
    { scope: { applicationId }, charge, bytes = 0 }: Pick<Intent<unknown>, 'scope' | 'charge' | 'bytes'>
  ): QuotaExceededError | undefined {
    if (charge === undefined) return undefined
    const { documents = 0, events, isDeletion = false } = charge
    const refusal = (isDeletion ? undefined : this.#refuseBytes(applicationId, bytes)) ??
      (documents === 0 ? undefined : this.#refuseDocuments(applicationId)) ?? this.#refuseRate(applicationId, events)
    if (refusal === undefined && documents > 0) {
      this.#creating.set(applicationId, (this.#creating.get(applicationId) ?? 0) + documents)
    }
    return refusal
  }

  settled ({ scope: { applicationId }, charge }: Pick<Intent<unknown>, 'scope' | 'charge'>, events: number): void {
    if (charge?.documents !== undefined) {
      const left = (this.#creating.get(applicationId) ?? 0) - charge.documents
      if (left > 0) this.#creating.set(applicationId, left)
      else this.#creating.delete(applicationId)
    }
    if (charge !== undefined || events === 0) return
    const { limits, rates } = this.#options
    const { publishesPerSecond } = limits.of(applicationId)
    if (publishesPerSecond !== null) rates.takeLeft(applicationId, events, publishesPerSecond)
  }

  committed (events: readonly LoggedEvent[]): void {
    this.#options.recorder.written(events)
  }

  /**
   * Throws QuotaExceededError unless the application, with so many sockets open at this node, may open another.
   */
  requireSocket (applicationId: string, open: number): void {
    const { sockets } = this.#options.limits.of(applicationId)
    if (sockets !== null) this.#require(this.sockets, 'sockets', { applicationId, limit: sockets, open })
  }

  /** The same for subscriptions. */
  requireSubscription (applicationId: string, open: number): void {
    const { subscriptions: limit } = this.#options.limits.of(applicationId)
    if (limit !== null) this.#require(this.subscriptions, 'subscriptions', { applicationId, limit, open })
  }

  /** Throws QuotaExceededError unless an application with so many webhooks may create another. */
  requireWebhook (applicationId: string, count: number): void {
    const { webhooks } = this.#options.limits.of(applicationId)
    if (webhooks !== null && count >= webhooks) throw this.#refusal('webhooks', `It has ${count} of ${webhooks}`)
  }

  /** Returns the documents that this node has created, or is creating, since the last exchange. */
  creating (applicationId: string): number {
    return this.#options.recorder.unread(applicationId).documents + (this.#creating.get(applicationId) ?? 0)
  }

  forget (applicationId: string): void {
    for (const counts of [this.sockets, this.subscriptions, this.documents]) counts.forget(applicationId)
    this.storedBytes.delete(applicationId)
    this.compared.delete(applicationId)
  }

  #require (
    counts: SharedCount, quota: 'sockets' | 'subscriptions',
    { applicationId, limit, open }: { applicationId: string, limit: number, open: number }
  ): void {
    if (counts.room(applicationId, limit, open) >= 1) return
    throw this.#countRefusal(quota, { limit, used: counts.total(applicationId, open) })
  }

  #refuseDocuments (applicationId: string): QuotaExceededError | undefined {
    const { documents: limit } = this.#options.limits.of(applicationId)
    if (limit === null) return undefined
    this.compared.add(applicationId)
    const own = this.creating(applicationId)
    if (!this.documents.isKnown(applicationId)) this.#options.onPartUsed()
    if (this.documents.room(applicationId, limit, own) >= 1) return undefined
    return this.#countRefusal('documents', { limit, used: this.documents.total(applicationId, own) })
  }

  #refuseBytes (applicationId: string, bytes: number): QuotaExceededError | undefined {
    const { limits, recorder } = this.#options
    const { bytesStored: limit } = limits.of(applicationId)
    if (limit === null) return undefined
    this.compared.add(applicationId)
    const known = this.storedBytes.get(applicationId)
    if (known === undefined) {
      // An exchange reads what the application has stored.
      this.storedBytes.set(applicationId, 0)
      this.#options.onPartUsed()
    }
    const used = (known ?? 0) + recorder.unread(applicationId).bytes
    if (used + bytes <= limit) return undefined
    return this.#refusal('bytesStored', `It has stored ${used} of ${limit} bytes, and the request has ${bytes}`)
  }

  #refuseRate (applicationId: string, events: number): QuotaExceededError | undefined {
    const { limits, rates } = this.#options
    const { publishesPerSecond: limit } = limits.of(applicationId)
    if (limit === null) return undefined
    const waitMs = rates.take(applicationId, events, limit)
    if (waitMs === 0) return undefined
    this.#options.onPartUsed()
    const count = `${events} more ${events === 1 ? 'event' : 'events'}`
    return this.#refusal('publishesPerSecond', `${count} would exceed ${limit} per second. Retry in ${waitMs} ms`, {
      retryAfterMs: waitMs
    })
  }

  /** Waiting helps if only the part of this node is used up. */
  #countRefusal (quota: QuotaName, { limit, used }: { limit: number, used: number }): QuotaExceededError {
    if (used >= limit) return this.#refusal(quota, `It has ${used} of ${limit}`)
    this.#options.onPartUsed()
    return this.#refusal(quota, `It has ${used} of ${limit}, and this node has used its part. Retry shortly`, {
      retryAfterMs: partUsedRetryMs
    })
  }

  #refusal (quota: QuotaName, reason: string, options?: { retryAfterMs: number }): QuotaExceededError {
    this.#options.metrics.quotaRefusals.inc({ quota })
    const message = `The application has used up its quota ${quota}. ${reason}`
    return new QuotaExceededError('QUOTA_EXCEEDED', quota, message, options)
  }
}
