import type { Principal } from '../auth/principal.ts'
import type { DeliveryLimits } from '../config.ts'
import { NotFoundError, type ErrorCode } from '../errors.ts'
import type { LoggedEvent } from '../events/envelope.ts'
import { randomId } from '../ids.ts'
import type { Metrics } from '../metrics.ts'
import type { Scope } from '../../schemas/scope.ts'
import { closeCodes, type CloseReason } from './close-codes.ts'
import type { Subscription } from './subscription.ts'
import type { Delivery, Transport } from './transport.ts'

export interface ConnectionOptions {
  transport: Transport
  principal: Principal
  scope: Scope
  limits: DeliveryLimits
  metrics: Metrics
}

interface Queued extends Delivery { subscriptions: [Subscription, ...Subscription[]] }

/**
 * One client's link, whatever the transport: its subscriptions, and the events on their way to it.
 * Events queue until `flush`, so that those which are ready together leave together. What the kernel has not taken is
 * bounded: over the bound all subscriptions are given up with `resync`, and a socket that then does not drain is closed.
 */
export class Connection {
  readonly id = randomId('conn')
  readonly transport: Transport
  readonly scope: Scope
  principal: Principal
  readonly subscriptions = new Map<string, Subscription>()
  /** Called once, when the link is gone. */
  onClosed: () => void = () => {}
  readonly #limits: DeliveryLimits
  readonly #metrics: Metrics
  #queued: Queued[] = []
  #isOpen = true
  #drainTimer: NodeJS.Timeout | undefined
  readonly #drainWaiters: (() => void)[] = []

  constructor ({ transport, principal, scope, limits, metrics }: ConnectionOptions) {
    this.transport = transport
    this.principal = principal
    this.scope = scope
    this.#limits = limits
    this.#metrics = metrics
  }

  get isOpen () { return this.#isOpen }

  add (subscription: Subscription): void {
    this.subscriptions.set(subscription.id, subscription)
    this.#metrics.subscriptions.inc()
  }

  /** Called by a subscription that ends. */
  remove (subscription: Subscription): void {
    if (this.subscriptions.delete(subscription.id)) this.#metrics.subscriptions.dec()
  }

  /** Throws NotFoundError `SUBSCRIPTION_NOT_FOUND`. */
  subscription (id: string): Subscription {
    const subscription = this.subscriptions.get(id)
    if (subscription === undefined) throw new NotFoundError('SUBSCRIPTION_NOT_FOUND', `Subscription not found: ${id}`)
    return subscription
  }

  /** Queues an event for a subscription; several of one connection that match the same event share one message a shape. Answers whether it is the first in the queue. */
  queue (event: LoggedEvent, subscription: Subscription): boolean {
    const shape = event.shape(subscription.returnMode)
    for (let i = this.#queued.length - 1; i >= 0; i--) {
      const queued = this.#queued[i] as Queued
      if (queued.event !== event) break
      if (queued.shape !== shape) continue
      queued.subscriptions.push(subscription)
      queued.ending = this.transport.ending(queued.subscriptions.map(one => one.id))
      return false
    }
    this.#queued.push({ event, shape, ending: subscription.ending, subscriptions: [subscription] })
    return this.#queued.length === 1
  }

  /** Hands what is queued to the transport. */
  flush (): void {
    const run = this.#queued
    if (run.length === 0) return
    this.#queued = []
    if (!this.#isOpen) return
    if (this.transport.bufferedBytes > this.#limits.socketBufferBytesMax) return this.#giveUp()
    this.#metrics.eventsDelivered.inc(run.length)
    this.transport.sendEvents(run, this.#onTaken)
  }

  /** Resolves when the socket has room again, or is closed: what a catch-up waits for between its pages. */
  async drained (): Promise<void> {
    while (this.#isOpen && this.transport.bufferedBytes > this.#limits.socketBufferBytesMax / 4) {
      await new Promise<void>(resolve => this.#drainWaiters.push(resolve))
    }
  }

  /** Ends a subscription that can no longer be continuous, and says so. */
  resync (subscription: Subscription, reason: ResyncReason): void {
    if (!subscription.end()) return
    this.#metrics.resyncs.inc({ code: reason.code })
    this.transport.sendMessage('resync', {
      subscriptionId: subscription.id, topic: subscription.topic, code: reason.code, message: reason.message
    })
  }

  /** Closes the link with a reason. The transport reports the end by `closed`. */
  close (reason: CloseReason): void {
    if (!this.#isOpen) return
    this.#metrics.socketsClosed.inc({ code: reason.reason })
    this.transport.close(reason)
    this.closed()
  }

  /** The link is gone. */
  closed (): void {
    if (!this.#isOpen) return
    this.#isOpen = false
    this.#queued = []
    clearTimeout(this.#drainTimer)
    for (const subscription of [...this.subscriptions.values()]) subscription.end()
    this.#wakeWaiters()
    this.onClosed()
  }

  #giveUp (): void {
    for (const subscription of [...this.subscriptions.values()]) this.resync(subscription, slowConsumer)
    this.#drainTimer ??= setTimeout(() => {
      this.#drainTimer = undefined
      if (this.transport.bufferedBytes > this.#limits.socketBufferBytesMax / 4) this.close(closeCodes.SLOW_CONSUMER)
    }, this.#limits.drainTimeoutMs).unref()
  }

  readonly #onTaken = (): void => {
    if (this.#drainWaiters.length > 0) this.#wakeWaiters()
  }

  #wakeWaiters (): void {
    for (const wake of this.#drainWaiters.splice(0)) wake()
  }
}

/** Why a subscription can no longer be continuous. */
export interface ResyncReason { code: ErrorCode, message: string }

const slowConsumer: ResyncReason = {
  code: 'SLOW_CONSUMER', message: 'The client reads more slowly than its events arrive: subscribe again with `after`'
}
