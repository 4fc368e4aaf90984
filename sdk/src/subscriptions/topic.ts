import type { RealtimeEvent } from '../protocol/protocol.ts'
import type { Rest } from '../rest/rest.ts'
import type { Publisher, PublishOptions, PublishReceipt, PublishedEvent } from './publisher.ts'
import { TopicReader, type TopicReaderParts } from './topic-reader.ts'
import type { FilterOf } from './topic-types.ts'

export interface HistoryOptions<Event extends RealtimeEvent = RealtimeEvent> {
  /** `asc` (default) from the oldest event, `desc` from the latest. */
  order?: 'asc' | 'desc'
  /** Only events above this offset. */
  after?: number
  /** Only events below this offset. */
  before?: number
  /** Only events at or after this time. Epoch milliseconds. */
  from?: number | Date
  /** Only events at or before this time. Epoch milliseconds. */
  to?: number | Date
  /** Only events with this key. */
  key?: string
  filter?: FilterOf<Event['payload']>
  /** Events per request, 1 to 1000. Default: 100. */
  pageSize?: number
  signal?: AbortSignal
}

export interface TopicParts extends TopicReaderParts {
  publisher: Publisher
  rest: Rest
}

/** A topic or a pattern of topics. A handle: it holds nothing open. */
export class Topic<Event extends RealtimeEvent = RealtimeEvent> extends TopicReader<Event> {
  readonly #publisher: Publisher
  readonly #rest: Rest

  constructor (parts: TopicParts, name: string) {
    super(parts, name)
    this.#publisher = parts.publisher
    this.#rest = parts.rest
  }

  /**
   * Publishes an event, and resolves after its commit. Calls for one topic are stored in their order. Until the server
   * has answered, the request is repeated, over the socket or REST; it has no second effect. Rejects with the server's
   * refusal, such as `SCHEMA_VIOLATED`.
   */
  publish (payload: Event['payload'], options: PublishOptions = {}): Promise<PublishReceipt> {
    return this.#publisher.publish(this.name, payload, options)
  }

  /** Publishes up to 1,000 events, all or none. */
  publishBatch (
    events: readonly PublishedEvent<Event['payload']>[], options: Omit<PublishOptions, 'key'> = {}
  ): Promise<PublishReceipt> {
    return this.#publisher.publishBatch(this.name, events, options)
  }

  /** Reads past events from the log, page by page. Rejects with the server's refusal, or the reason of the signal. */
  async * history (options: HistoryOptions<Event> = {}): AsyncGenerator<Event, void, undefined> {
    const { from, to, filter, pageSize = 100, signal, ...rest } = options
    const query = {
      ...rest,
      from: from && Number(from),
      to: to && Number(to),
      filter: filter && JSON.stringify(filter),
      limit: pageSize
    }
    for (;;) {
      const { body, headers } = await this.#rest.send<Event[]>(
        'GET', `/api/topics/${encodeURIComponent(this.name)}/events`, { query, signal }
      )
      yield * body
      // With a filter, a page may be empty although more follow.
      const next = headers.get('x-next-cursor')
      if (next === null) return
      query[query.order === 'desc' ? 'before' : 'after'] = Number(next)
    }
  }
}
