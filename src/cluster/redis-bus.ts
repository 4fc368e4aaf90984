import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import type { Counter } from 'prom-client'
import { randomId } from '../foundation/ids.ts'
import type { Metrics } from '../foundation/observability/metrics.ts'
import type { Bus, BusHealth, Listening } from './bus.ts'
import type { RedisNamespace } from '../foundation/redis-namespace.ts'

/**
 * Bytes of messages that Redis has not taken; beyond it they are dropped, because whoever listens finds them in the
 * log.
 */
const unsentBytesMax = 16 * 1024 * 1024
const pingEveryMs = 2000
/** A link that does not answer a ping for so long is given up and made anew. */
const silentAfterMs = 6000
const reconnectMaxMs = 1000
/** Other deployments on this Redis that are remembered as logged. */
const foreignMax = 100
/** How long the end may wait for Redis to take what was handed over. */
const farewellMs = 500

export interface RedisBusOptions {
  url: string
  namespace: RedisNamespace
  metrics: Metrics
  log: { info (fields: object, message: string): void, warn (fields: object, message: string): void }
}

interface Channel { listeners: Set<(message: string) => void>, live: Promise<void> }

/**
 * The bus over Redis' publish and subscribe, on two connections, which come back by themselves. Each message begins
 * with the node that sent it, so that a node does not hear itself. https://redis.io/docs/latest/develop/pubsub/
 */
export class RedisBus implements Bus {
  readonly #options: RedisBusOptions
  readonly #node = randomId('node')
  readonly #publisher: Redis
  readonly #subscriber: Redis
  readonly #channels = new Map<string, Channel>()
  readonly #restoredListeners: (() => void)[] = []
  readonly #pinging: NodeJS.Timeout
  readonly #foreign = new Set<string>()
  readonly #outcomes: Record<'sent' | 'received' | 'dropped', { inc (): void }>
  #unsentBytes = 0
  #isCorked = false
  /** When each link has last answered. */
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
    // What is listened to waits for Redis as long as it takes.
    this.#subscriber = new Redis(options.url, { ...common, maxRetriesPerRequest: null })
    for (const link of this.#links) {
      link.on('error', error => this.#lost(error))
      // A link that is new is given its time, however long the one before was silent.
      link.on('ready', () => this.#heardAt.set(link, performance.now()))
      this.#heardAt.set(link, performance.now())
    }
    this.#subscriber.on('close', () => this.#lost(undefined))
    this.#subscriber.on('message', (channel, message) => this.#receive(channel, message))
    this.#subscriber.on('ready', () => { void this.#restored() })
    // Fails when the bus is closed, or where Redis' access rules keep this channel from the user.
    this.#subscriber.subscribe(options.namespace.announcements).catch(() => {})
    this.#pinging = setInterval(() => this.#ping(), pingEveryMs).unref()
  }

  get #links (): readonly Redis[] { return [this.#publisher, this.#subscriber] }

  publish (channel: string, message: string): void {
    const { length } = message
    if (this.#publisher.status !== 'ready' || this.#unsentBytes + length > unsentBytesMax) { return this.#outcomes.dropped.inc() }
    this.#unsentBytes += length
    this.#cork()
    const settle = (outcome: Counter.Internal) => {
      this.#unsentBytes -= length
      outcome.inc()
    }
    this.#publisher.publish(this.#options.namespace.nameOf(channel), `${this.#node} ${message}`).then(
      () => settle(this.#outcomes.sent),
      () => settle(this.#outcomes.dropped)
    )
  }

  listen (channelName: string, listener: (message: string) => void): Listening {
    const name = this.#options.namespace.nameOf(channelName)
    let channel = this.#channels.get(name)
    if (channel === undefined) {
      const subscribed = this.#subscriber.subscribe(name).then(() => {})
      // Fails only when the bus is closed.
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
        // One that ends before Redis has answered is unsubscribed all the same: commands keep their order.
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
    // What was handed over last leaves before the link ends.
    if (this.#publisher.status === 'ready') { await Promise.race([this.#publisher.ping().catch(() => {}), sleep(farewellMs, undefined, { ref: false })]) }
    this.#channels.clear()
    for (const link of this.#links) link.disconnect()
  }

  /** What is published in one turn leaves with one write. */
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
    const end = text.indexOf(' ')
    if (text.startsWith(this.#node) && end === this.#node.length) return
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

  /** The channels are subscribed to again by then, because commands keep their order. */
  async #restored (): Promise<void> {
    const isAgain = this.#hasBeenReady
    this.#hasBeenReady = true
    // ioredis sends its subscriptions after it has said that it is ready.
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
    // Not the error as it is: its text may have the address, and with it a password.
    this.#options.log.warn({ code: (error as NodeJS.ErrnoException | undefined)?.code }, 'bus.lost')
  }

  #silentMs (link: Redis): number {
    return performance.now() - (this.#heardAt.get(link) ?? 0)
  }

  /** Lets deployments that share this Redis by mistake find out. */
  #announce (): void {
    const { deployment, announcements } = this.#options.namespace
    if (this.#publisher.status === 'ready') this.#publisher.publish(announcements, deployment).catch(() => {})
  }

  /**
   * TCP alone may take minutes to notice that the other side is gone; and one of the links may be while the other is
   * not.
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
