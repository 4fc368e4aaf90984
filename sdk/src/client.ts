import { SocketClient } from './channels/socket-client.ts'
import type { Channel } from './channels/channel.ts'
import { RealtimeCore, type RealtimeCoreOptions } from './core.ts'
import { Documents, type OfflineQueue } from './documents/documents.ts'
import type { JsonObject } from './documents/json.ts'
import type { LiveDocument } from './documents/live-document.ts'
import type { PendingWrites } from './documents/outbox.ts'
import type { SyncClient } from './documents/sync-client.ts'
import type { Observable } from './observable.ts'
import { Rest, type Fetch } from './rest/rest.ts'
import { Publisher } from './subscriptions/publisher.ts'
import { Topic } from './subscriptions/topic.ts'
import type { EventOf, TopicArgument } from './subscriptions/topic-types.ts'

export interface RealtimeClientOptions extends RealtimeCoreOptions {
  /** Keeps the writes of documents while offline and across reloads: `offlineQueue({ name })`. Default: in memory. */
  offline?: OfflineQueue
  /** Replaces `fetch`. */
  fetch?: Fetch
}

/** One connection to the platform, and all that runs over it. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- Without a TopicMap, payloads are unchecked.
export class RealtimeClient<TopicMap = any> extends RealtimeCore<TopicMap> {
  /** Messages by the name of the channel, or to one connection. */
  readonly socket: SocketClient
  readonly #rest: Rest
  readonly #publisher: Publisher
  readonly #documents: Documents

  constructor ({ offline, fetch, ...options }: RealtimeClientOptions) {
    super(options)
    const rest = this.#rest = new Rest({ ...this.parts, fetch })
    this.#publisher = new Publisher(this.parts.connection, rest)
    this.#documents = new Documents({ ...this.parts, rest, offline })
    this.socket = new SocketClient({ ...this.parts, rest })
  }

  /** The same as `socket`. */
  get socketClient (): SocketClient { return this.socket }

  /** Returns a handle for a topic, or for a pattern such as `order.*`. */
  override topic<const Name extends string> (name: TopicArgument<TopicMap, Name>): Topic<EventOf<TopicMap, Name>> {
    return new Topic({ ...this.parts, publisher: this.#publisher, rest: this.#rest }, name)
  }

  /**
   * Returns the channel of this name, which all who use it share: its members, their states, and messages between them.
   * The types of states and of messages by name are unchecked unless given.
   */
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- As payloads without a TopicMap.
  channel<State = any, Events = any> (name: string): Channel<State, Events> {
    return this.socket.channel(name)
  }

  /**
   * Returns a live document: its data, kept current while it has listeners, with writes that show at once. All who use
   * the same document share one object.
   */
  document<Data extends object = JsonObject> (service: string, id: string): LiveDocument<Data> {
    return this.#documents.document(service, id)
  }

  /** Reads and writes documents over REST, without a live view. */
  get sync (): SyncClient { return this.#documents.sync }

  /** The writes of live documents that the server has not answered. */
  get pending (): Observable<PendingWrites> { return this.#documents.outbox }
}
