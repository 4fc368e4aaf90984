import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import type { Counter } from 'prom-client'
import type { Metrics } from '../foundation/observability/metrics.ts'
import type { Bus, BusHealth, Listening } from './bus.ts'
import type { Node } from './node.ts'
import type { RedisNamespace } from '../foundation/redis-namespace.ts'

/**
 * Limit for the bytes of messages that Redis has not accepted. Further messages are dropped, because listeners find the
 * changes in the database.
 */
const unsentBytesMax = 16 * 1024 * 1024
const pingEveryMs = 2000
/** A link that does not answer a ping for this long is reconnected. */
const silentAfterMs = 6000
const reconnectMaxMs = 1000
/** Other deployments on this Redis that are remembered as logged. */
const foreignMax = 100
/** How long `close` waits for Redis to accept the last messages. */
const farewellMs = 500

export interface RedisBusOptions {
  node: Node
  url: string
  namespace: RedisNamespace
  metrics: Metrics
  log: { info (fields: object, message: string): void, warn (fields: object, message: string): void }
}

interface Channel { listeners: Set<(message: string) => void>, live: Promise<void> }

/**
 * The bus over Redis publish/subscribe, on two connections that reconnect by themselves. Each message begins with the
 * name of its sender, so that a node ignores its own. https://redis.io/docs/latest/develop/pubsub/
 */
export class RedisBus implements Bus {
  readonly #options: RedisBusOptions
  readonly #publisher: Redis
  readonly #subscriber: Redis
  readonly #channels = new Map<string, Channel>()
  readonly #restoredListeners: (() => void)[] = []
  readonly #pinging: NodeJS.Timeout
  readonly #foreign = new Set<string>()
  readonly #outcomes: Record<'sent' | 'received' | 'dropped', { inc (): void }>
  #unsentBytes = 0
  #isCorked = false
  /** When each link last answered. */
  readonly #heardAt = new Map<Redis, number>()
  #hasBeenReady = false
  #isAway = false
  #isClosed = false

  constructor (options: RedisBusOptions) {
    this.#options = options
    const { busMessages } = options.metrics
    const counting = (outcome: 'sent' | 'received' | 'dropped') => ({ inc: () => busMessages.inc({ outcome }) })
    this.#outcomes = { sent: counting('sent'), received: counting('received'), dropped: counting('dropped') }
    const common = {
      retryStrategy: (attempt: number) => Math.min(attempt * 50, reconnectMaxMs),
      connectTimeout: 5000,
      keepAlive: 10_000
    }
    this.#publisher = new Redis(options.url, { ...common, enableOfflineQueue: false, maxRetriesPerRequest: 0 })
    // Subscriptions wait for Redis without a limit.
    this.#subscriber = new Redis(options.url, { ...common, maxRetriesPerRequest: null })
    for (const link of this.#links) {
      link.on('error', error => this.#lost(error))
      // A new link starts with a full allowance, however long the one before was silent.
      link.on('ready', () => this.#heardAt.set(link, performance.now()))
      this.#heardAt.set(link, performance.now())
    }
    this.#subscriber.on('close', () => this.#lost(undefined))
    this.#subscriber.on('message', (channel, message) => this.#receive(channel, message))
    this.#subscriber.on('ready', () => { void this.#restored() })
    // Rejects when the bus is closed, or when Redis' ACL denies the user this channel.
    this.#subscriber.subscribe(options.namespace.announcements).catch(() => {})
    this.#pinging = setInterval(() => this.#ping(), pingEveryMs).unref()
  }

  get #links (): readonly Redis[] { return [this.#publisher, this.#subscriber] }

  publish (channel: string, message: string): void {
    const { length } = message
    if (this.#publisher.status !== 'ready' || this.#unsentBytes + length > unsentBytesMax) {
      return this.#outcomes.dropped.inc()
    }
    this.#unsentBytes += length
    this.#cork()
    const settle = (outcome: Counter.Internal) => {
      this.#unsentBytes -= length
      outcome.inc()
    }
    this.#publisher.publish(this.#options.namespace.nameOf(channel), `${this.#options.node.id} ${message}`).then(
      () => settle(this.#outcomes.sent),
      () => settle(this.#outcomes.dropped)
    )
  }

  listen (channelName: string, listener: (message: string) => void): Listening {
    const name = this.#options.namespace.nameOf(channelName)
    let channel = this.#channels.get(name)
    if (channel === undefined) {
      const subscribed = this.#subscriber.subscribe(name).then(() => {})
      // Rejects only when the bus is closed.
      channel = { listeners: new Set(), live: subscribed.catch(() => {}) }
      this.#channels.set(name, channel)
    }
    const { listeners, live } = channel
    listeners.add(listener)
    return {
      live,
      end: () => {
        listeners.delete(listener)
        if (listeners.size > 0 || this.#channels.get(name)?.listeners !== listeners) return
        this.#channels.delete(name)
        // Safe even before Redis has confirmed the subscription, because commands keep their order.
        if (!this.#isClosed) this.#subscriber.unsubscribe(name).catch(() => {})
      }
    }
  }

  async reach (channel: string): Promise<number> {
    const [, count] = await this.#publisher.pubsub('NUMSUB', this.#options.namespace.nameOf(channel)) as [
      string, number
    ]
    return count
  }

  /** Redis does not report a lost client to others. They notice its silence. */
  setWill (): void {}

  onRestored (listener: () => void): void {
    this.#restoredListeners.push(listener)
  }

  health (): BusHealth {
    return {
      isConnected: this.#links.every(({ status }) => status === 'ready'),
      heartbeatAgeMs: Math.round(Math.max(...this.#links.map(link => this.#silentMs(link))))
    }
  }

  async close (): Promise<void> {
    this.#isClosed = true
    clearInterval(this.#pinging)
    // Lets messages that were already handed over leave before the link ends.
    if (this.#publisher.status === 'ready') {
      await Promise.race([this.#publisher.ping().catch(() => {}), sleep(farewellMs, undefined, { ref: false })])
    }
    this.#channels.clear()
    for (const link of this.#links) link.disconnect()
  }

  /** Sends all messages published in one turn with one write. */
  #cork (): void {
    if (this.#isCorked) return
    this.#isCorked = true
    const { stream } = this.#publisher
    stream.cork()
    process.nextTick(() => {
      this.#isCorked = false
      stream.uncork()
    })
  }

  #receive (name: string, text: string): void {
    if (name === this.#options.namespace.announcements) return this.#hearOf(text)
    const { id } = this.#options.node
    const end = text.indexOf(' ')
    if (text.startsWith(id) && end === id.length) return
    this.#outcomes.received.inc()
    const message = text.slice(end + 1)
    for (const listener of this.#channels.get(name)?.listeners ?? []) listener(message)
  }

  /** Logs each other deployment once. */
  #hearOf (deployment: string): void {
    const { namespace, log } = this.#options
    if (deployment === namespace.deployment || this.#foreign.has(deployment) || this.#foreign.size >= foreignMax) return
    this.#foreign.add(deployment)
    log.warn({ deployment: namespace.deployment, foreign: deployment.slice(0, 100) }, 'cluster.foreign_deployment')
  }

  /**
   * Reports the bus as restored after a ping. Commands keep their order, so the channels are subscribed again by then.
   */
  async #restored (): Promise<void> {
    const isAgain = this.#hasBeenReady
    this.#hasBeenReady = true
    // ioredis sends its subscriptions after it emits `ready`.
    await new Promise(resolve => setImmediate(resolve))
    try {
      await this.#subscriber.ping()
    } catch {
      return
    }
    if (this.#isAway) this.#options.log.info({}, 'bus.restored')
    this.#isAway = false
    this.#options.metrics.redisAway.set(0)
    if (isAgain && !this.#isClosed) for (const listener of this.#restoredListeners) listener()
  }

  #lost (error: Error | undefined): void {
    if (this.#isAway || this.#isClosed) return
    this.#isAway = true
    this.#options.metrics.redisAway.set(1)
    // Logs only the code: the error's text may contain the address, and with it a password.
    this.#options.log.warn({ code: (error as NodeJS.ErrnoException | undefined)?.code }, 'bus.lost')
  }

  #silentMs (link: Redis): number {
    return performance.now() - (this.#heardAt.get(link) ?? 0)
  }

  /** Announces this deployment, so that others that share this Redis by mistake log it. */
  #announce (): void {
    const { deployment, announcements } = this.#options.namespace
    if (this.#publisher.status === 'ready') this.#publisher.publish(announcements, deployment).catch(() => {})
  }

  /**
   * Pings both links, because TCP alone may take minutes to detect a lost peer, and one link may be lost without the
   * other.
   */
  #ping (): void {
    this.#announce()
    for (const link of this.#links) {
      if (link.status !== 'ready') continue
      link.ping().then(() => this.#heardAt.set(link, performance.now()), () => {})
      if (this.#silentMs(link) >= silentAfterMs) link.disconnect(true)
    }
  }
}
