import { RealtimeError } from '../errors.ts'
import type { Feed, FeedConsumer, FeedTarget, SocketEvent } from './feed.ts'
import type { Gap, Position, Positions, PositionStore } from './position.ts'

/** A subscription in the client. Several equal ones share one of the server. */
export interface Subscription {
  /** The id of the subscription in this client. It stays the same across reconnects. */
  readonly id: string
  /** The id of the subscription at the server, while there is one. */
  readonly serverId: string | undefined
  /** Everything up to these positions has been handled. Undefined until the subscription has begun. */
  readonly positions: Positions | undefined
  /** Resolves when the subscription has begun. Rejects if it ends before. */
  readonly ready: Promise<void>
  /** Resolves after `unsubscribe`, or when the signal is aborted. Rejects if the server ends the subscription. */
  readonly closed: Promise<void>
  /** Ends the subscription. No handler is called after it. */
  unsubscribe (): void
}

export interface ConsumerOptions {
  handler: (event: SocketEvent) => unknown
  onGap: (gap: Gap) => unknown
  /** Called each time the subscription has begun: at first, and after each reconnect. */
  onBegun?: () => void
  /** Events that are sent again. Default: skip them. */
  onReplay?: ((event: SocketEvent) => unknown) | undefined
  /** The handler threw, a store failed, or the server ended the subscription. */
  onError: (error: RealtimeError) => void
  store?: { store: PositionStore, key: string } | undefined
  /** A failed handler ends the subscription, so that its event is handled again after a restart. */
  stopOnError: boolean
  /** How many events may wait for a handler before the subscription pauses. */
  bufferMax: number
}

/** The subscriptions that a consumer belongs to. */
export interface ConsumerHost {
  /** Takes the consumer from its feed. It gets no more events. */
  detach (consumer: Consumer): void
  /** Gives the consumer a feed of its own that begins after the positions. */
  resume (consumer: Consumer, positions: Positions): void
}

/** One thing to handle, and the position after it. */
type Item =
  | { event: SocketEvent }
  | { replay: SocketEvent }
  | { gap: Gap, next: Position | undefined }
  | { begun: Positions }
  | { end: RealtimeError }

/**
 * Calls one handler with the events of a feed, one after the other, and moves its position after each. When the handler
 * is slower than the events, they wait; when too many wait, the consumer leaves its feed and resumes later.
 */
export class Consumer implements Subscription, FeedConsumer {
  readonly id = `local_${nextId++}`
  readonly target: FeedTarget
  /** Set by the host. */
  feed: Feed | undefined
  hasBegun = false
  readonly #options: ConsumerOptions
  readonly #host: ConsumerHost
  readonly #ready = new Outcome()
  readonly #closed = new Outcome()
  #queue: Item[] = []
  #isHandling = false
  #isClosed = false
  #isStoreFailing = false
  /** Where to resume, while paused. */
  #resumeAt: Positions | undefined
  /** The last events that the handler has handled. */
  #handled: Positions | undefined

  constructor (host: ConsumerHost, target: FeedTarget, options: ConsumerOptions) {
    this.#host = host
    this.target = target
    this.#options = options
  }

  get ready (): Promise<void> { return this.#ready.promise }
  get closed (): Promise<void> { return this.#closed.promise }
  get serverId (): string | undefined { return this.feed?.serverId }
  get positions (): Positions | undefined { return this.#handled && { ...this.#handled } }
  get isClosed (): boolean { return this.#isClosed }

  begun (positions: Positions): void {
    this.hasBegun = true
    this.#take({ begun: positions })
    this.#ready.settle()
  }

  event (event: SocketEvent): void {
    this.#take({ event })
  }

  replay (event: SocketEvent): void {
    if (this.#options.onReplay !== undefined) this.#take({ replay: event })
  }

  gap (gap: Gap, next: Position | undefined): void {
    this.#take({ gap, next })
  }

  failed (error: RealtimeError): void {
    this.#take({ end: error })
  }

  unsubscribe (): void {
    this.#close()
  }

  #take (item: Item): void {
    if (this.#isClosed) return
    this.#queue.push(item)
    if (!this.#isHandling) this.#drain()
    else if (this.#queue.length >= this.#options.bufferMax && this.feed !== undefined) {
      this.#resumeAt = this.feed.positions
      this.#host.detach(this)
    }
  }

  /** Handles what waits. Handlers that return no promise cost none. */
  #drain (): void {
    this.#isHandling = true
    for (let item; (item = this.#queue.shift()) !== undefined;) {
      const resumeAt = this.#resumeAt
      if (resumeAt !== undefined && this.#queue.length <= this.#options.bufferMax / 4) {
        this.#resumeAt = undefined
        this.#host.resume(this, resumeAt)
      }
      const pending = this.#handle(item)
      if (pending !== undefined) {
        void pending.then(() => this.#drain())
        return
      }
    }
    this.#isHandling = false
  }

  /** Never throws, and never rejects. */
  #handle (item: Item): Promise<void> | undefined {
    if ('end' in item) return this.#close(item.end)
    const { handler, onGap, onBegun, onReplay } = this.#options
    let result: unknown
    try {
      if ('event' in item) result = handler(item.event)
      else if ('gap' in item) result = onGap(item.gap)
      else if ('replay' in item) result = onReplay?.(item.replay)
      else onBegun?.()
    } catch (error) {
      return this.#handlerFailed(item, error)
    }
    return isPromise(result)
      ? Promise.resolve(result).then(() => this.#moved(item), (error: unknown) => this.#handlerFailed(item, error))
      : this.#moved(item)
  }

  #handlerFailed (item: Item, cause: unknown): Promise<void> | undefined {
    const event = 'event' in item ? item.event : 'replay' in item ? item.replay : undefined
    const place = event && ` for event ${event.id} (${event.topic}, offset ${event.offset})`
    const error = failure('HANDLER_FAILED', `The handler failed${place ?? ''}`, cause)
    if (this.#options.stopOnError) return this.#close(error)
    this.#report(error)
    return this.#moved(item)
  }

  /** Moves the position past the item, and stores it: also if the handler has just unsubscribed. */
  #moved (item: Item): Promise<void> | undefined {
    if ('event' in item) {
      const { topic, offset, epoch } = item.event
      ;(this.#handled ??= {})[topic] = { offset, epoch }
    } else if ('begun' in item) this.#handled = item.begun
    else if ('gap' in item && item.next !== undefined) (this.#handled ??= {})[item.gap.topic] = item.next
    else return
    return this.#save(this.#handled)
  }

  #save (positions: Positions): Promise<void> | undefined {
    const { store } = this.#options
    const saved = () => { this.#isStoreFailing = false }
    const failed = (cause: unknown) => {
      // Once, not for each event.
      if (!this.#isStoreFailing) this.#report(failure('STORE_FAILED', 'The position was not stored', cause))
      this.#isStoreFailing = true
    }
    try {
      const result = store?.store.set(store.key, positions)
      if (isPromise(result)) return Promise.resolve(result).then(saved, failed)
      saved()
    } catch (error) {
      failed(error)
    }
  }

  #report (error: RealtimeError): void {
    // An error of the listener is the application's: it goes where uncaught errors go.
    try { this.#options.onError(error) } catch (error) { queueMicrotask(() => { throw error }) }
  }

  #close (error?: RealtimeError): undefined {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#queue = []
    this.#host.detach(this)
    this.#ready.settle(error ?? new RealtimeError('UNSUBSCRIBED', 'The subscription was ended before it began'))
    this.#closed.settle(error)
    if (error !== undefined) this.#report(error)
  }
}

let nextId = 1

/**
 * Makes its promise when it is read, and keeps nothing for one that is settled: a client may have 1,000 subscriptions.
 * The promise may be rejected without anybody waiting for it.
 */
class Outcome {
  #isSettled = false
  #error: Error | undefined
  #promise: Promise<void> | undefined
  #onSettled: ((error: Error | undefined) => void) | undefined

  get promise (): Promise<void> {
    if (this.#promise !== undefined) return this.#promise
    const promise = this.#promise = new Promise((resolve, reject) => {
      const onSettled = (error: Error | undefined) => error === undefined ? resolve() : reject(error)
      if (this.#isSettled) onSettled(this.#error)
      else this.#onSettled = onSettled
    })
    promise.catch(() => {})
    return promise
  }

  /** Resolves, or rejects if there is an error. Only the first call counts. */
  settle (error?: Error): void {
    if (this.#isSettled) return
    this.#isSettled = true
    this.#error = error
    this.#onSettled?.(error)
    this.#onSettled = undefined
  }
}

/** Returns the error of a part that belongs to the application. */
export const failure = (code: string, message: string, cause: unknown): RealtimeError =>
  new RealtimeError(code, `${message}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause })

export const isPromise = (value: unknown): value is PromiseLike<unknown> =>
  typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function'
