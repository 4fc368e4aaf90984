import type { ScopeStats } from '../../foundation/observability/live-stats.ts'
import type { Principal } from '../../identity/access/principal.ts'
import { isOfDocumentChannel, mayReadEvent } from '../../identity/access/reading.ts'
import type { DeliveryLimits } from '../../config/delivery-limits.ts'
import { NotFoundError } from '../../errors.ts'
import { LoggedEvent } from '../../events/envelope.ts'
import type { Metrics } from '../../foundation/observability/metrics.ts'
import type { Scope } from '../../../schemas/scope.ts'
import { closeCodes, type CloseReason } from '../../identity/auth/close-codes.ts'
import { patternTopicBytes, subscriptionCost, type HeldBytes } from '../../foundation/limits/held-bytes.ts'
import type { Quota } from '../../foundation/limits/quota.ts'
import type { DeliveryObserver } from '../delivery-observer.ts'
import type { ClientSubscription, EndReason, GivenUp, Recipient, ResyncReason, Subscriber } from '../subscriber.ts'
import { PastPages } from './past-pages.ts'
import type { SharedMessage, Delivery, Transport } from './transport.ts'

/** Observes a connection. */
export interface ConnectionObserver {
  /**
   * The connection's subscriptions have ended, because the client did not read. The connection may stay open or close
   * soon.
   */
  givenUp (connection: Connection): void
  /** The connection has a fresh principal, which may have fewer permissions. */
  refreshed (connection: Connection): void
  /** The link is gone. Called once. */
  closed (connection: Connection): void
}

/** Parts that all connections of a node share. */
export interface ConnectionParts {
  observer: ConnectionObserver
  limits: DeliveryLimits
  metrics: Metrics
  /** Observes their subscriptions. */
  deliveries: DeliveryObserver
  /** Counts their subscriptions by application. */
  quota: Quota
  /** Counts the bytes that subscriptions and members hold. */
  held: HeldBytes
}

/** The client at the other end, as its handshake described it. */
export interface ConnectionClient { readonly address: string, readonly userAgent: string | null }

export interface ConnectionOptions {
  transport: Transport
  client: ConnectionClient
  principal: Principal
  scope: Scope
  stats: ScopeStats
  parts: ConnectionParts
}

interface Queued extends Delivery { recipients: Recipient[] }

/**
 * One client's link, over any transport: its subscriptions, and the events on their way to it. Events queue until
 * `flush`, so that events which are ready together are sent together. The bytes that the kernel has not taken are
 * limited. Above the limit, all subscriptions end with `resync`, and a socket that then does not drain is closed.
 */
export class Connection implements Subscriber {
  readonly transport: Transport
  readonly scope: Scope
  readonly client: ConnectionClient
  /** Epoch milliseconds. */
  readonly connectedAt = Date.now()
  principal: Principal
  /** An array, because most connections have one subscription. A map would add half to a silent connection's memory. */
  subscriptions: readonly ClientSubscription[] = []
  /** Bytes that its subscriptions and memberships hold. */
  heldBytes = 0
  patternTopics = 0
  readonly #parts: ConnectionParts
  readonly #stats: ScopeStats
  /** Number of messages in the queue, and their approximate bytes. */
  #queuedMessages = 0
  #queuedMessageBytes = 0
  #isOpen = true
  #hasVanished = false
  #wasOver = false
  #drainTimer: NodeJS.Timeout | undefined
  // Most connections are silent and receive only live events. The state that others need is created on demand.
  #queued: Queued[] | undefined
  #pastPages: PastPages | undefined
  #onTaken: (() => void) | undefined

  constructor ({ transport, client, principal, scope, stats, parts }: ConnectionOptions) {
    this.transport = transport
    this.client = client
    this.principal = principal
    this.scope = scope
    this.#parts = parts
    this.#stats = stats
  }

  /** The transport's id, which identifies the connection to others in its scope. */
  get id () { return this.transport.id }

  get isOpen () { return this.#isOpen }

  /** Whether an event sent now would be accepted rather than given up. */
  get hasRoom () { return this.#isOpen && this.transport.bufferedBytes <= this.#parts.limits.socketBufferBytesMax }

  /** Whether the buffer is as empty as a catch-up requires. */
  get hasRoomToSpare () {
    return this.#isOpen && this.transport.bufferedBytes <= this.#parts.limits.socketBufferBytesMax / 4
  }

  add (subscription: ClientSubscription): void {
    // `concat` allocates the exact length. An array literal with a spread would reserve room for sixteen more.
    this.subscriptions = this.subscriptions.concat(subscription)
    this.#parts.metrics.subscriptions.inc()
    this.#parts.quota.take(this.scope.applicationId)
    this.hold(subscriptionCost(subscription.filter?.fingerprint))
    this.#parts.deliveries.began(subscription)
  }

  remove (subscription: ClientSubscription, reason: EndReason): void {
    const { subscriptions } = this
    // Subscriptions of an ending connection end in order, so each one is the first and needs no search.
    const left = subscriptions[0] === subscription
      ? subscriptions.slice(1)
      : subscriptions.filter(one => one !== subscription)
    if (left.length === subscriptions.length) return
    this.subscriptions = left
    this.#parts.metrics.subscriptions.dec()
    this.#parts.quota.release(this.scope.applicationId)
    this.hold(-subscriptionCost(subscription.filter?.fingerprint))
    this.#parts.deliveries.ended(subscription, reason)
  }

  countPatternTopics (change: number): void {
    this.patternTopics += change
    this.hold(change * patternTopicBytes)
  }

  /** Adds bytes that are held for the connection; negative to release. */
  hold (bytes: number): void {
    this.heldBytes += bytes
    this.#parts.held.count(this.scope.applicationId, bytes)
  }

  /** Throws NotFoundError `SUBSCRIPTION_NOT_FOUND`. */
  subscription (id: string): ClientSubscription {
    const subscription = this.subscriptions.find(one => one.id === id)
    if (subscription === undefined) throw new NotFoundError('SUBSCRIPTION_NOT_FOUND', `Subscription not found: ${id}`)
    return subscription
  }

  /** Queues an event. Subscriptions that match the same event share one message per shape. */
  enqueue (event: LoggedEvent, recipient: Recipient): boolean {
    if (isOfDocumentChannel(event) && !mayReadEvent(this.principal, this.scope, event)) return false
    const { whole } = recipient
    const shape = event.shape(whole.returnMode)
    const queue = this.#queued
    if (queue === undefined) {
      // Most turns bring one event. A literal allocates room for one; `push` to an empty array reserves room for
      // sixteen more.
      this.#queued = [{ event, shape, ending: this.#endingOf(whole), recipients: [recipient] }]
      return true
    }
    for (let i = queue.length - 1; i >= 0; i--) {
      const queued = queue[i] as Queued
      if (queued.event !== event) break
      if (queued.shape !== shape) continue
      queued.recipients.push(recipient)
      return false
    }
    queue.push({ event, shape, ending: this.#endingOf(whole), recipients: [recipient] })
    return queue.length - this.#queuedMessages === 1
  }

  #endingOf (subscription: ClientSubscription): string {
    subscription.ending ??= this.transport.ending([subscription.id])
    return subscription.ending
  }

  /** Queues a message that is not an event behind the queue. Returns whether it is the first in the queue. */
  queueMessage (message: SharedMessage): boolean {
    if (!this.#isOpen) return false
    this.#queued ??= []
    this.#queued.push({ event: message, shape: 'full', ending: '', recipients: [] })
    this.#queuedMessages++
    this.#queuedMessageBytes += message.body.length
    // One turn may bring more than the socket's share.
    if (this.#queuedMessageBytes > this.#parts.limits.socketBufferBytesMax) this.flush()
    return this.#queued?.length === 1
  }

  /** Hands the queued events and messages to the transport. */
  flush (): readonly GivenUp[] {
    const run = this.#queued
    if (run === undefined) return nothing
    const events = run.length - this.#queuedMessages
    this.#queued = undefined
    this.#queuedMessages = this.#queuedMessageBytes = 0
    if (!this.#isOpen) return lose(run)
    if (this.transport.bufferedBytes > this.#parts.limits.socketBufferBytesMax) {
      const givenUp = lose(run)
      this.#giveUp()
      return givenUp
    }
    if (events > 0) {
      this.#parts.metrics.eventsDelivered.inc(events)
      this.#stats.delivered.add(events)
    }
    // Built here, when all matches are known: a client may have a thousand subscriptions to one topic.
    for (const queued of run) {
      if (queued.event instanceof LoggedEvent) queued.event.handed++
      if (queued.recipients.length > 1) {
        queued.ending = this.transport.ending(queued.recipients.map(({ whole }) => whole.id))
      }
    }
    this.transport.sendEvents(
      run,
      this.#onTaken ??= () => this.#pastPages?.drained()
    )
    return nothing
  }

  drained (sendPage: (bytesMax: number) => Promise<number>): Promise<void> {
    this.#pastPages ??= new PastPages(this, this.#parts.limits)
    return this.#pastPages.send(sendPage)
  }

  resync (subscription: ClientSubscription, { code, message }: ResyncReason): void {
    if (!subscription.end(code)) return
    this.#parts.metrics.resyncs.inc({ code })
    this.transport.sendMessage('resync', { subscriptionId: subscription.id, topic: subscription.topic, code, message })
  }

  /**
   * Called periodically. Gives up on a client that is over the limit at two calls in a row. Returns its unread bytes.
   */
  checkBuffer (): number {
    const bytes = this.transport.bufferedBytes
    const isOver = bytes > this.#parts.limits.socketBufferBytesMax
    if (isOver && this.#wasOver) this.#giveUp()
    else if (!isOver) this.#pastPages?.drained()
    this.#wasOver = isOver
    return bytes
  }

  /** Records that the peer did not answer a ping; `closed` follows. */
  vanished (): void {
    if (!this.#isOpen) return
    this.#hasVanished = true
    this.#parts.metrics.socketsClosed.inc({ code: 'PEER_VANISHED' })
  }

  /** Called after `principal` has been replaced by a fresh one. */
  refreshed (): void {
    this.#parts.deliveries.refreshed(this)
    this.#parts.observer.refreshed(this)
  }

  /** Closes the link with a reason. */
  close (reason: CloseReason): void {
    if (!this.#isOpen) return
    this.#parts.metrics.socketsClosed.inc({ code: reason.reason })
    // Called first, because a transport may report the end within `close`, without the reason.
    this.closed(`${reason.code} ${reason.reason}`)
    this.transport.close(reason)
  }

  /** Called when the link is gone. */
  closed (reason: EndReason = this.#hasVanished ? 'PEER_VANISHED' : 'DISCONNECTED'): void {
    if (!this.#isOpen) return
    this.#isOpen = false
    // The pending flush reports the queued events. Their subscriptions must record the loss before they end.
    lose(this.#queued ?? [])
    clearTimeout(this.#drainTimer)
    for (const subscription of this.subscriptions) subscription.end(reason)
    this.#pastPages?.drained()
    this.#parts.observer.closed(this)
  }

  #giveUp (): void {
    for (const subscription of this.subscriptions) this.resync(subscription, slowConsumer)
    this.#parts.observer.givenUp(this)
    this.#drainTimer ??= setTimeout(() => {
      this.#drainTimer = undefined
      if (this.transport.bufferedBytes > this.#parts.limits.socketBufferBytesMax / 4) {
        this.close(closeCodes.SLOW_CONSUMER)
      }
    }, this.#parts.limits.drainTimeoutMs).unref()
  }
}

const nothing: readonly GivenUp[] = []

/** Records queued events as not sent. */
function lose (run: readonly Queued[]): readonly GivenUp[] {
  return run.flatMap(({ event, recipients }) => {
    if (!(event instanceof LoggedEvent)) return []
    for (const recipient of recipients) recipient.lost(event.offset)
    return [{ event, subscriptions: recipients.length }]
  })
}

const slowConsumer: ResyncReason = {
  code: 'SLOW_CONSUMER', message: 'The client reads more slowly than its events arrive. Subscribe again with `after`'
}
