import { backoffMs } from '../backoff.ts'
import type { Connection } from '../connection/connection.ts'
import { RealtimeError } from '../errors.ts'
import type {
  Filter, Messages, ReturnMode, SubscribeAnswer, SubscribePatternAnswer, SubscriptionResync
} from '../protocol/protocol.ts'
import type { Gap, Position, Positions } from './position.ts'

export type SocketEvent = Messages['event']

export interface FeedTarget { topic: string, filter?: Filter, returnMode?: ReturnMode }

/** Where a feed begins: live, unless one of these is given. */
export interface FeedStart { positions?: Positions, since?: number, rewind?: number }

/** The methods that a feed calls on each of its consumers, in the order of the log. */
export interface FeedConsumer {
  /** Whether it has had a position before. A hole from before its first one is not its own. */
  readonly hasBegun: boolean
  /** The subscription has begun, or begun again, at these positions. */
  begun (positions: Positions): void
  event (event: SocketEvent): void
  /** An event is sent again. It has no place in the order. */
  replay (event: SocketEvent): void
  /** Events are missing. The subscription continues after `next`. */
  gap (gap: Gap, next: Position | undefined): void
  /** The feed has ended, with an error that a retry cannot change. */
  failed (error: RealtimeError): void
}

/** Called when a feed has an id at the server, and again when the id is void. */
export type FeedRegister = (feed: Feed, serverId: string, isLive: boolean) => void

/** Resyncs after which the same subscription would be refused. */
const finalResyncs = new Set<string>(['PERMISSION_DENIED', 'PATTERN_TOO_WIDE'])
/** Refusals that may pass, although they do not name a time. */
const passing = new Set<string>(['INTERNAL', 'TIMEOUT'])
/** A subscription that lived that long was sound: retries start with short waits again. */
const soundMs = 10_000
/** The server accepts positions of 2,000 topics, of which up to 1,000 match. */
const lostMax = 900

/**
 * One subscription at the server, across connections: it resumes after each cut at the position that it has reached,
 * and reports a hole where the server could not resume. Its consumers share its events.
 */
export class Feed {
  readonly target: FeedTarget
  /** The key under which equal subscriptions find it. Undefined if none may join. */
  readonly key: string | undefined
  readonly #connection: Connection
  readonly #start: FeedStart
  readonly #register: FeedRegister
  /** Replaced at each change, because handlers add and remove consumers while events are passed on. */
  #consumers: readonly FeedConsumer[] = []
  /** The last event of each topic that was passed on. */
  #positions: Positions | undefined
  #hasBegun = false
  #begunAt = NaN
  #serverId: string | undefined
  #isAsking = false
  #isEnded = false
  #attempt = 0
  #retryTimer: ReturnType<typeof setTimeout> | undefined

  constructor (
    connection: Connection, target: FeedTarget, start: FeedStart, key: string | undefined,
    register: FeedRegister
  ) {
    this.#connection = connection
    this.target = target
    this.#start = start
    this.key = key
    this.#register = register
    if (start.positions !== undefined) this.#positions = { ...start.positions }
  }

  get isEnded (): boolean { return this.#isEnded }
  get isEmpty (): boolean { return this.#consumers.length === 0 }
  get serverId (): string | undefined { return this.#serverId }
  /** A feed that has not begun can take consumers that want the same start. */
  get hasBegun (): boolean { return this.#hasBegun }
  get positions (): Positions { return { ...this.#positions } }

  /** Adds a consumer, and subscribes for the first one. */
  add (consumer: FeedConsumer): void {
    this.#consumers = [...this.#consumers, consumer]
    if (this.#serverId !== undefined) consumer.begun(this.positions)
    // A consumer that leaves at once, as in React's strict mode, costs no request.
    else queueMicrotask(() => this.open())
  }

  remove (consumer: FeedConsumer): void {
    this.#consumers = this.#consumers.filter(other => other !== consumer)
  }

  /** Subscribes, unless subscribed, not connected or without consumers. */
  open (): void {
    if (this.#serverId !== undefined || this.#isAsking || this.#isEnded) return
    if (this.isEmpty || !this.#connection.isConnected) return
    clearTimeout(this.#retryTimer)
    this.#isAsking = true
    const asked = this.#positions
    this.#connection.call('subscribe', this.#request(asked), (error, answer) => {
      this.#isAsking = false
      if (answer === undefined) return this.#refused(error)
      if (this.#isEnded) return this.#unsubscribe(answer.subscriptionId)
      this.#serverId = answer.subscriptionId
      this.#begunAt = performance.now()
      this.#register(this, answer.subscriptionId, true)
      this.#begin(answer, asked)
    })
  }

  /** The subscription at the server has ended, for example with its connection. */
  lost (): void {
    clearTimeout(this.#retryTimer)
    if (this.#serverId !== undefined) this.#register(this, this.#serverId, false)
    this.#serverId = undefined
  }

  receive (event: SocketEvent): void {
    const { topic, offset, epoch, meta } = event
    if (meta?.['replayOf'] !== undefined) {
      for (const consumer of this.#consumers) consumer.replay(event)
      return
    }
    const positions = this.#positions ??= {}
    const last = own(positions, topic)
    if (last?.epoch === epoch && offset <= last.offset) return
    positions[topic] = { offset, epoch }
    for (const consumer of this.#consumers) consumer.event(event)
  }

  resync ({ code, message }: SubscriptionResync): void {
    this.lost()
    if (finalResyncs.has(code)) this.#fail(new RealtimeError(code, message))
    else this.#retry(0)
  }

  /** A fresh credential no longer covers a topic of the pattern. */
  topicLost (topic: string): void {
    const last = own(this.#positions, topic)
    if (last === undefined || last.isLost === true) return
    const gap = this.#lose(topic, last, 'PERMISSION_DENIED')
    for (const consumer of this.#consumers) consumer.gap(gap, this.#positions?.[topic])
  }

  /** Ends the subscription at the server. */
  close (): void {
    this.#isEnded = true
    const serverId = this.#serverId
    this.lost()
    if (serverId !== undefined) this.#unsubscribe(serverId)
  }

  #request (asked: Positions | undefined) {
    const { since, rewind } = this.#start
    const { topic } = this.target
    const target = { ...this.target, ...(rewind !== undefined && { rewind }) }
    if (asked !== undefined && isPattern(topic)) {
      // The offset of the pattern itself is that of topics without a position: they are read from their first event.
      const after: Record<string, number> = { [topic]: 0 }
      const epochs: Record<string, string> = {}
      for (const [name, { offset, epoch }] of Object.entries(asked)) {
        after[name] = offset
        if (epoch !== undefined) epochs[name] = epoch
      }
      return { ...target, after, epochs }
    }
    const last = own(asked, topic)
    if (last !== undefined) {
      return { ...target, after: last.offset, ...(last.epoch !== undefined && { epoch: last.epoch }) }
    }
    return { ...target, ...(since !== undefined && { since }) }
  }

  #begin (answer: SubscribeAnswer | SubscribePatternAnswer, asked: Positions | undefined): void {
    const isFirst = !this.#hasBegun
    this.#hasBegun = true
    const begun = positionsOf(answer)
    const positions = this.#positions = { ...asked, ...begun }
    const gaps = this.#findGaps(asked, begun)
    if (asked === undefined && this.#start.since !== undefined && !answer.recovered) {
      const to = 'offset' in answer ? answer.offset : null
      gaps.push({ topic: answer.topic, reason: 'SINCE_UNCERTAIN', from: 1, to })
    }
    for (const consumer of this.#consumers) {
      if (isFirst || consumer.hasBegun) for (const gap of gaps) consumer.gap(gap, positions[gap.topic])
      consumer.begun({ ...positions })
    }
  }

  /** Returns the holes between the requested positions and those at which the subscription has begun. */
  #findGaps (asked: Positions | undefined, begun: Positions): Gap[] {
    if (asked === undefined) return []
    const gaps: Gap[] = []
    for (const [topic, { offset, epoch }] of Object.entries(begun)) {
      // A topic without a position was created later: the request includes everything from its first event on.
      const last = own(asked, topic) ?? (isPattern(this.target.topic) ? { offset: 0 } : undefined)
      if (last === undefined || last.isLost === true) continue
      const from = last.offset + 1
      if (last.epoch !== undefined && epoch !== undefined && last.epoch !== epoch) {
        gaps.push({ topic, reason: 'EPOCH_CHANGED', from, to: offset, epoch, previousEpoch: last.epoch })
      } else if (offset > last.offset) gaps.push({ topic, reason: 'RETENTION_PASSED', from, to: offset })
      else if (offset < last.offset) gaps.push({ topic, reason: 'LOG_SHORTENED', from, to: null })
    }
    const missing = Object.entries(asked).filter(([topic, { offset }]) => !Object.hasOwn(begun, topic) && offset > 0)
    for (const [topic, last] of missing) {
      if (last.isLost !== true) gaps.push(this.#lose(topic, last, 'TOPIC_UNAVAILABLE'))
    }
    for (const [topic] of missing.slice(0, -lostMax)) delete this.#positions?.[topic]
    return gaps
  }

  /** Keeps the position of a topic that is no longer available, marked so that its hole is reported once. */
  #lose (topic: string, last: Position, reason: 'PERMISSION_DENIED' | 'TOPIC_UNAVAILABLE'): Gap {
    ;(this.#positions ??= {})[topic] = { ...last, isLost: true }
    return { topic, reason, from: last.offset + 1, to: null }
  }

  #refused (error: RealtimeError | undefined): void {
    // With another connection, `open` is called again.
    if (error === undefined || this.#isEnded || !this.#connection.isConnected) return
    if (error.retryAfterMs !== undefined || passing.has(error.code)) this.#retry(error.retryAfterMs ?? 1000)
    else this.#fail(error)
  }

  #retry (waitMs: number): void {
    if (performance.now() - this.#begunAt > soundMs) this.#attempt = 0
    this.#begunAt = NaN
    clearTimeout(this.#retryTimer)
    const backoff = backoffMs(this.#attempt++, { baseMs: 100, maxMs: 10_000 })
    this.#retryTimer = setTimeout(() => this.open(), waitMs + backoff)
  }

  #fail (error: RealtimeError): void {
    this.close()
    for (const consumer of this.#consumers) consumer.failed(error)
  }

  #unsubscribe (subscriptionId: string): void {
    this.#connection.call('unsubscribe', { subscriptionId }, error => {
      // After other errors the subscription does not exist: it ended with its connection, or by a resync.
      if (error?.retryAfterMs !== undefined) setTimeout(() => this.#unsubscribe(subscriptionId), error.retryAfterMs)
    })
  }
}

/** A topic may be called `constructor`. */
const own = (positions: Positions | undefined, topic: string): Position | undefined =>
  positions !== undefined && Object.hasOwn(positions, topic) ? positions[topic] : undefined

function positionsOf (answer: SubscribeAnswer | SubscribePatternAnswer): Positions {
  if (!('offsets' in answer)) return { [answer.topic]: { offset: answer.offset, epoch: answer.epoch } }
  const { offsets, epochs } = answer
  return Object.fromEntries(Object.entries(offsets).map(([topic, offset]) => {
    const epoch = epochs[topic]
    return [topic, { offset, ...(epoch !== undefined && { epoch }) }]
  }))
}

export const isPattern = (topic: string): boolean => topic.includes('*')
