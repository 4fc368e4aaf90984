import { canonical } from '../canonical.ts'
import { RealtimeError } from '../errors.ts'
import type { Filter, RealtimeEvent, ReturnMode } from '../protocol/protocol.ts'
import { isPattern, type FeedStart, type SocketEvent } from './feed.ts'
import { iterate } from './iterate.ts'
import { isPositions, type Gap, type Position, type Positions, type PositionStore } from './position.ts'
import type { Consumer, Subscription } from './subscription.ts'
import type { Subscriptions } from './subscriptions.ts'
import type { FilterOf, InMode } from './topic-types.ts'

export interface EventsOptions<Event extends RealtimeEvent = RealtimeEvent, Mode extends ReturnMode = ReturnMode> {
  /** Conditions on the payload; all must match (docs/PROTOCOL.md#filters). */
  filter?: FilterOf<Event['payload']>
  /** The form of document payloads. Default: `full`. */
  returnMode?: Mode
  /**
   * Begin after this offset or position. For a pattern: positions by topic; topics without one are read from their
   * first event. If the log no longer has the events, `onGap` is called. Takes precedence over `since`.
   */
  after?: number | Position | Positions
  /** Begin with the first event at or after this time (epoch milliseconds). */
  since?: number | Date
  /** Begin with up to this many of the latest events (1 to 10,000). With `after`, only if that cannot be recovered. */
  rewind?: number
  /**
   * Resume after the position stored here, and store it after each event. Takes precedence over the starts above. The
   * subscription is not shared with others.
   */
  store?: PositionStore
  /**
   * The key in the store. Default: the topic, filter and mode. Each subscription needs its own: two that run at the
   * same time, also in two tabs, would overwrite each other's position, and one of them would miss events after a
   * reload.
   */
  storeKey?: string
  /**
   * Called once for each hole, in its place among the events. Without it, the client emits an `error` with the code
   * `GAP`.
   */
  onGap?: (gap: Gap) => unknown
  /** Called with each replayed event (docs/PROTOCOL.md#replayed-events). Default: they are skipped. */
  onReplay?: (event: InMode<Event, Mode>) => unknown
  /** Ends the subscription when aborted. */
  signal?: AbortSignal
  /** How many events may wait for a slow handler before the subscription pauses. Default: 500. */
  bufferSize?: number
}

export interface SubscribeOptions<Event extends RealtimeEvent = RealtimeEvent, Mode extends ReturnMode = ReturnMode>
  extends EventsOptions<Event, Mode> {
  /** Called when the handler throws, or the server ends the subscription. Default: the client emits `error`. */
  onError?: (error: RealtimeError) => void
  /** End the subscription when the handler throws, with the position before its event. Default: false, go on. */
  stopOnError?: boolean
}

export interface TopicReaderParts {
  subscriptions: Subscriptions
  onError: (error: RealtimeError) => void
}

/** A topic or a pattern of topics, to receive its events. A handle: it holds nothing open. */
export class TopicReader<Event extends RealtimeEvent = RealtimeEvent> {
  readonly name: string
  readonly #parts: TopicReaderParts

  constructor (parts: TopicReaderParts, name: string) {
    this.name = name
    this.#parts = parts
  }

  /**
   * Calls the handler for each event, in the order of the log, each once, across reconnects. A handler that returns a
   * promise gets the next event when it has settled. Throws TypeError if `after` does not suit the topic.
   */
  subscribe<Mode extends ReturnMode = 'full'> (
    handler: (event: InMode<Event, Mode>) => unknown, options: SubscribeOptions<Event, Mode> = {}
  ): Subscription {
    return this.#subscribe(handler, options, options.onError ?? this.#parts.onError)
  }

  /**
   * Iterates over the events. The loop moves the position when it requests the next event, so an event whose loop body
   * throws arrives again after a restart. A loop that is slower than the events pauses the subscription. Ends when the
   * signal is aborted; throws if the server ends the subscription.
   */
  events<Mode extends ReturnMode = 'full'> (
    options: EventsOptions<Event, Mode> = {}
  ): AsyncIterableIterator<InMode<Event, Mode>, void, undefined> {
    return iterate(handler => {
      let isOver = () => false
      const consumer = this.#subscribe(handler, options, error => {
        // The error that ends the subscription is thrown by the iteration.
        if (!isOver()) this.#parts.onError(error)
      })
      isOver = () => consumer.isClosed
      return consumer
    })
  }

  #subscribe<Mode extends ReturnMode> (
    handler: (event: InMode<Event, Mode>) => unknown, options: SubscribeOptions<Event, Mode>,
    onError: (error: RealtimeError) => void
  ): Consumer {
    const { filter, returnMode, store, storeKey, onGap, onReplay, signal } = options
    const { stopOnError = false, bufferSize = 500 } = options
    const { subscriptions, onError: report } = this.#parts
    const target = {
      topic: this.name,
      ...(filter !== undefined && { filter: filter as Filter }),
      ...(returnMode !== undefined && { returnMode })
    }
    // The server sends events of the topic in the requested mode.
    const typed = (call: (event: InMode<Event, Mode>) => unknown) =>
      (event: SocketEvent) => call(event as SocketEvent & InMode<Event, Mode>)
    const consumer = subscriptions.subscribe(target, this.#start(options), {
      handler: typed(handler),
      onGap: onGap ?? (gap => report(gapError(gap))),
      onReplay: onReplay && typed(onReplay),
      onError,
      store: store && { store, key: storeKey ?? canonical(target) },
      stopOnError,
      bufferMax: bufferSize
    })
    if (signal !== undefined) {
      const end = () => consumer.unsubscribe()
      const off = () => signal.removeEventListener('abort', end)
      signal.addEventListener('abort', end)
      consumer.closed.then(off, off)
      if (signal.aborted) end()
    }
    return consumer
  }

  #start ({ after, since, rewind }: Pick<EventsOptions, 'after' | 'since' | 'rewind'>): FeedStart {
    const isOne = typeof after !== 'object' || isPosition(after)
    const positions = after === undefined || !isOne
      ? after
      : { [this.name]: isPosition(after) ? after : { offset: after } }
    // Any other value, such as an offset in a string, would start the subscription live, with a silent hole.
    if (positions !== undefined) {
      const isOfPattern = isPattern(this.name)
      if (!isPositions(positions) || (isOfPattern ? isOne : !Object.hasOwn(positions, this.name))) {
        const form = isOfPattern ? 'an object with a position for each topic' : 'an offset, a number'
        throw new TypeError(`\`after\` is ${form}`)
      }
    }
    return {
      ...(positions !== undefined && { positions }),
      ...(since !== undefined && { since: Number(since) }),
      ...(rewind !== undefined && { rewind })
    }
  }
}

const isPosition = (after: EventsOptions['after']): after is Position =>
  typeof after === 'object' && after !== null && 'offset' in after && typeof after.offset !== 'object'

function gapError ({ topic, reason, from, to }: Gap): RealtimeError {
  return new RealtimeError('GAP', `${topic} has a gap from offset ${from} to ${to ?? 'an unknown one'}: ${reason}`)
}
