import type { WebSocketConstructor } from '#web-socket'
import { Connection, type ConnectionChange, type ConnectionState } from './connection/connection.ts'
import type { Transport } from './connection/link.ts'
import { TokenSource, type TokenInput } from './connection/token.ts'
import { webSocketTransport } from './connection/web-socket.ts'
import { Emitter, guarded } from './emitter.ts'
import type { RealtimeError } from './errors.ts'
import type { Observable } from './observable.ts'
import type { Filter, RealtimeEvent, ReturnMode } from './protocol/protocol.ts'
import type { Subscription } from './subscriptions/subscription.ts'
import { Subscriptions } from './subscriptions/subscriptions.ts'
import { TopicReader } from './subscriptions/topic-reader.ts'
import type { AnyTopic, EventOf, TopicArgument, TopicName } from './subscriptions/topic-types.ts'

export interface RealtimeCoreOptions {
  /** The server, for example `https://realtime.example.com`. A path is kept, for a platform behind a prefix. */
  url: string
  /** A credential, or a function that fetches one. It throws if it cannot: an error page must not become a token. */
  token: TokenInput
  /** Required with a session token; otherwise the credential names the application. */
  applicationId?: string
  /** Default: the environment of the credential, or `development`. */
  environment?: string
  /** Connect when the client is created. Default: true. */
  autoConnect?: boolean
  /** Reconnect when the connection is lost. Default: true. */
  reconnection?: boolean
  /** How many times in a row to try. Default: no limit, because a client that gives up loses events. */
  reconnectionAttempts?: number
  /** The longest wait before the first retry, in milliseconds. It doubles with each (full jitter). Default: 1000. */
  reconnectionDelay?: number
  /** The limit of that wait, in milliseconds. Default: 30,000. */
  reconnectionDelayMax?: number
  /** How long the server's subscription outlives its last listener, in milliseconds. Default: 250. */
  lingerMs?: number
  /** The WebSocket to use. Default: the browser's, or in Node that of `ws`. */
  WebSocket?: WebSocketConstructor
  /** Another transport, such as `socketIo()` of `@realtime-platform/client/socket.io`. */
  transport?: Transport
  /** Receives a line for each thing that happens: its name, and JSON that `POST /api/debugger/explain` takes. */
  debug?: (line: string) => void
}

/** The parts of a client, which share its connection and its credential. */
export interface CoreParts {
  url: URL
  tokens: TokenSource
  applicationId: string | undefined
  environment: string | undefined
  lingerMs: number
  connection: Connection
  subscriptions: Subscriptions
  onError: (error: RealtimeError) => void
}

export type ClientEvents<TopicMap> = {
  /** An event of a subscription that was made with `client.subscribe`. */
  event: RealtimeEvent<TopicMap[keyof TopicMap]>
  connection: ConnectionChange
  /** Something failed that no caller waits for. Without a listener, it is written to the console. */
  error: RealtimeError
} & { [Name in TopicName<TopicMap> as `event:${Name}`]: RealtimeEvent<TopicMap[Name]> }

/** The events as they are emitted. A TopicMap only narrows the types of their payloads. */
type AnyEvents = Record<`event:${string}` | 'event', RealtimeEvent> &
  { connection: ConnectionChange, error: RealtimeError }

type Listener = (value: unknown) => void

/** How many emitted events are remembered. */
const emittedMax = 1000

/**
 * One connection to the platform, to receive events: the part of RealtimeClient for pages that only read, in 9 kB.
 */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- Without a TopicMap, payloads are unchecked.
export class RealtimeCore<TopicMap = any> {
  /** The state of the connection, for `useSyncExternalStore` and the like. */
  readonly connectionState: Observable<ConnectionChange>
  /** The parts that a subclass builds on. */
  protected readonly parts: CoreParts
  readonly #connection: Connection
  readonly #emitter = new Emitter<AnyEvents>()
  readonly #byId = new Map<string, Subscription>()
  /** The events that were emitted last. */
  readonly #emitted = new Set<string>()

  constructor (options: RealtimeCoreOptions) {
    const { token, applicationId, environment, autoConnect = true, lingerMs = 250 } = options
    const url = new URL(options.url)
    url.protocol = url.protocol.replace(/^ws/, 'http')
    if (!/^https?:$/.test(url.protocol)) throw new TypeError(`The url must begin with http(s)://: ${options.url}`)
    if (typeof token !== 'function' && !token) throw new TypeError('The token is missing')
    const tap = options.debug
    const debug = tap && ((event: string, details: object) => guarded(tap, `${event} ${JSON.stringify(details)}`))
    const onError = (error: RealtimeError) => this.#report(error)
    const tokens = new TokenSource(token)
    this.#connection = new Connection({
      url, tokens, applicationId, environment, debug,
      transport: options.transport ?? webSocketTransport(options.WebSocket),
      reconnection: options.reconnection ?? true,
      reconnectionAttempts: options.reconnectionAttempts ?? Infinity,
      reconnectionDelayMs: options.reconnectionDelay ?? 1000,
      reconnectionDelayMaxMs: options.reconnectionDelayMax ?? 30_000
    })
    this.parts = {
      url, tokens, applicationId, environment, lingerMs,
      connection: this.#connection,
      subscriptions: new Subscriptions(this.#connection, { lingerMs, debug }),
      onError
    }
    this.connectionState = {
      subscribe: listener => this.#connection.on('change', () => listener()),
      getSnapshot: () => this.#connection.current
    }
    this.#connection.on('change', change => this.#emitter.emit('connection', change))
    this.#connection.on('error', onError)
    // It opens later, when the parts of a subclass listen.
    if (autoConnect) this.#connection.connect()
  }

  get state (): ConnectionState { return this.#connection.state }
  /** The id of the connection, by which members of channels see this client. */
  get socketId (): string | undefined { return this.#connection.socketId }

  /** Connects, unless connected already. Resolves when connected; rejects if the server refuses for good. */
  connect ({ signal }: { signal?: AbortSignal } = {}): Promise<void> {
    this.#connection.connect()
    const connected = this.#connection.settled(signal)
    // Who does not wait for it learns of it by `connection` and `error`.
    connected.catch(() => {})
    return connected
  }

  /** Closes the connection. Subscriptions stay, and resume at `connect()`. */
  disconnect (): void {
    this.#connection.disconnect()
  }

  /** Replaces the credential. On an open connection, the fresh one is for the same subject and application. */
  async setToken (token: TokenInput): Promise<void> {
    await this.#connection.setToken(token)
  }

  on<Name extends keyof ClientEvents<TopicMap>> (
    name: Name, listener: (value: ClientEvents<TopicMap>[Name]) => void
  ): () => void {
    return this.#emitter.on(name as keyof AnyEvents, listener as Listener)
  }

  off<Name extends keyof ClientEvents<TopicMap>> (
    name: Name, listener: (value: ClientEvents<TopicMap>[Name]) => void
  ): void {
    this.#emitter.off(name as keyof AnyEvents, listener as Listener)
  }

  /** Returns a handle for a topic, or for a pattern such as `order.*`. */
  topic<const Name extends string> (name: TopicArgument<TopicMap, Name>): TopicReader<EventOf<TopicMap, Name>> {
    return this.#topic(name)
  }

  /** Subscribes; events arrive at the listeners of `event` and `event:<topic>`. Returns an id for `unsubscribe`. */
  subscribe ({ topic, ...options }: {
    topic: AnyTopic<TopicMap>, filter?: Filter, returnMode?: ReturnMode
  }): string {
    const subscription = this.#topic(topic).subscribe(event => {
      // An event that matches several of these subscriptions is emitted once, also when each of them resumes.
      const key = [event.id, event.meta?.replayOf, options.returnMode].join()
      if (this.#emitted.has(key)) return
      this.#emitted.add(key)
      const [oldest = ''] = this.#emitted
      if (this.#emitted.size > emittedMax) this.#emitted.delete(oldest)
      this.#emitter.emit('event', event)
      this.#emitter.emit(`event:${event.topic}`, event)
    }, options)
    this.#byId.set(subscription.id, subscription)
    return subscription.id
  }

  /** Ends a subscription that was made with `subscribe`. */
  unsubscribe (id: string): void {
    this.#byId.get(id)?.unsubscribe()
    this.#byId.delete(id)
  }

  #topic<Event extends RealtimeEvent> (name: string): TopicReader<Event> {
    return new TopicReader(this.parts, name)
  }

  #report (error: RealtimeError): void {
    if (this.#emitter.has('error')) this.#emitter.emit('error', error)
    // An error that nobody sees would be a silent loss.
    else console.error(error)
  }
}
