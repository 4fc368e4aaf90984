import {
  createContext, createElement, useContext, useEffect, useMemo, useRef, useSyncExternalStore,
  type Context, type ReactElement, type ReactNode
} from 'react'
import type { Channel, ChannelMessage, ChannelSnapshot, Member } from '../channels/channel.ts'
import type { RealtimeClient } from '../client.ts'
import type { ConnectionChange, ConnectionState } from '../connection/connection.ts'
import type { JsonObject } from '../documents/json.ts'
import type { DocumentSnapshot, LiveDocument } from '../documents/live-document.ts'
import type { RealtimeError } from '../errors.ts'
import type { Observable } from '../observable.ts'
import type { RealtimeEvent, ReturnMode } from '../protocol/protocol.ts'
import type { EventOf, InMode, TopicArgument } from '../subscriptions/topic-types.ts'
import type { SubscribeOptions } from '../subscriptions/topic-reader.ts'
import { append, createStore } from './store.ts'

/*
 * React bindings, for React 18 and later. On a server, components render what they show before the first connection,
 * and open none: create the client with `autoConnect: false`, the provider connects it in the browser.
 */

const ClientContext: Context<RealtimeClient | undefined> = createContext<RealtimeClient | undefined>(undefined)

export interface RealtimeProviderProps {
  client: RealtimeClient
  children?: ReactNode
}

/** Gives a client to the components below, and connects it when mounted. It stays connected when unmounted. */
export function RealtimeProvider ({ client, children }: RealtimeProviderProps): ReactElement {
  useEffect(() => { void client.connect() }, [client])
  return createElement(ClientContext.Provider, { value: client }, children)
}

/** Returns the client of the provider. Throws if there is none. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- As that of the client.
export function useRealtimeClient<TopicMap = any> (): RealtimeClient<TopicMap> {
  const client = useContext(ClientContext)
  if (client === undefined) throw new Error('Render this component inside <RealtimeProvider client={…}>')
  return client
}

/** Returns the state of the connection; `connecting` on a server. */
export function useConnectionState (): ConnectionState {
  return useObservable(useRealtimeClient().connectionState, connecting).state
}

const connecting: ConnectionChange = { state: 'connecting' }

/** Options of a subscription in a component. It ends when the component is unmounted, so there is no signal. */
export type TopicOptions<Event extends RealtimeEvent = RealtimeEvent, Mode extends ReturnMode = ReturnMode> =
  Omit<SubscribeOptions<Event, Mode>, 'signal'>

/**
 * Calls the handler of the latest render for each event of a topic or pattern while the component is mounted. Without a
 * topic (null), nothing is subscribed. Options are compared by value, `store` by identity.
 */
export function useTopic (
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- As payloads without a TopicMap.
  topic: string | null | undefined, handler: (event: RealtimeEvent<any>) => unknown, options: TopicOptions = {}
): void {
  const subscribe = useSubscribe(topic, options)
  const latest = useLatest(handler)
  useEffect(() => {
    if (subscribe) return subscribe(event => latest.current(event))
  }, [subscribe])
}

export interface EventsState<Event = RealtimeEvent> {
  /** The latest events, the newest last. The same array until another event arrives. */
  events: readonly Event[]
  /** The subscription has begun. */
  isReady: boolean
  /** Why the server ended or refused the subscription. */
  error: RealtimeError | undefined
}

/**
 * Returns the latest events of a topic or pattern, up to `limit` (default: 100). With `rewind`, the list begins with
 * events from before. Renders at most once per frame.
 */
export function useEvents (
  topic: string | null | undefined, { limit = 100, ...options }: TopicOptions & { limit?: number } = {}
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- As payloads without a TopicMap.
): EventsState<RealtimeEvent<any>> {
  const subscribe = useSubscribe(topic, options)
  const store = useMemo(() => createStore(noEvents, update => {
    if (!subscribe) return () => {}
    return subscribe(
      event => update(now => ({ ...now, events: append(now.events, event, limit) })),
      () => update(now => ({ ...now, isReady: true })),
      error => update(now => ({ ...now, error }))
    )
  }), [subscribe, limit])
  return useObservable(store, noEvents)
}

const noEvents: EventsState = { events: [], isReady: false, error: undefined }

export interface ChannelOptions<State> {
  /** This member's state: any JSON of at most 4 KiB. A change of its value is sent. */
  state?: State
  /** Called for each message of the others. The latest render's is called. */
  onMessage?: (message: ChannelMessage) => void
  /** How many messages `messages` keeps. Default: 100. */
  limit?: number
}

export interface ChannelState<State = unknown> extends ChannelSnapshot<State> {
  /** The latest messages of the others since the component joined, the newest last. */
  messages: readonly ChannelMessage[]
  publish: Channel<State>['publish']
  setState: Channel<State>['setState']
}

/** Joins a channel while the component is mounted, and returns its members and messages. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- As that of the client.
export function useChannel<State = any> (
  name: string, { state, onMessage, limit = 100 }: ChannelOptions<State> = {}
): ChannelState<State> {
  const client = useRealtimeClient()
  const room = useMemo(() => client.channel<State>(name), [client, name])
  const latest = useLatest({ state, onMessage })
  const messages = useMemo(() => createStore<readonly ChannelMessage[]>([], update => room.on('*', message => {
    update(now => append(now, message, limit))
  })), [room, limit])

  useEffect(() => {
    const hold = new AbortController()
    // The snapshot has the error.
    room.join(latest.current.state, hold).catch(() => {})
    const off = room.on('*', message => latest.current.onMessage?.(message))
    return () => { off(); hold.abort() }
  }, [room])
  useEffect(() => {
    const { state } = latest.current
    if (state !== undefined && room.status !== 'failed') room.setState(state).catch(console.error)
  }, [room, JSON.stringify(state)])

  const snapshot = useObservable(room, outside)
  const list = useObservable(messages, messages.initial)
  return useMemo(() => ({
    ...snapshot,
    messages: list,
    publish: (...message) => room.publish(...message),
    setState: state => room.setState(state)
  }), [room, snapshot, list])
}

/** Joins a channel while the component is mounted, and returns its members, this client included. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- As that of the client.
export function usePresence<State = any> (name: string, state?: State): readonly Member<State>[] {
  return useChannel(name, state === undefined ? {} : { state }).members
}

const outside: ChannelSnapshot<never> = {
  status: 'left', members: [], memberCount: 0, self: undefined, error: undefined
}

export interface DocumentState<Data extends object> extends DocumentSnapshot<Data> {
  /** Writes to the document: `create`, `replace`, `merge`, `mutate`, `delete`. The same object while mounted. */
  document: LiveDocument<Data>
}

/** Returns a live document, with the writes of this client that the server has not answered. */
export function useDocument<Data extends object = JsonObject> (service: string, id: string): DocumentState<Data> {
  const client = useRealtimeClient()
  const document = useMemo(() => client.document<Data>(service, id), [client, service, id])
  const snapshot = useObservable(document, unread)
  return useMemo(() => ({ ...snapshot, document }), [snapshot, document])
}

const unread: DocumentSnapshot<never> = {
  data: undefined, confirmed: undefined, revision: undefined, status: 'loading', error: undefined, pending: 0
}

type In<Map, Name extends string, Mode extends ReturnMode> = InMode<EventOf<Map, Name>, Mode>

/** The hooks with a TopicMap: names of topics, payloads and the keys of filters are checked. */
export interface Hooks<TopicMap> {
  useRealtimeClient (): RealtimeClient<TopicMap>
  useTopic<const Name extends string, Mode extends ReturnMode = 'full'> (
    topic: TopicArgument<TopicMap, Name> | null | undefined,
    handler: (event: In<TopicMap, Name, Mode>) => unknown,
    options?: TopicOptions<EventOf<TopicMap, Name>, Mode>
  ): void
  useEvents<const Name extends string, Mode extends ReturnMode = 'full'> (
    topic: TopicArgument<TopicMap, Name> | null | undefined,
    options?: TopicOptions<EventOf<TopicMap, Name>, Mode> & { limit?: number }
  ): EventsState<In<TopicMap, Name, Mode>>
}

/** Returns the hooks that take topics, typed: `export const { useTopic, useEvents } = createHooks<TopicMap>()`. */
export function createHooks<TopicMap> (): Hooks<TopicMap>
export function createHooks () {
  return { useRealtimeClient, useTopic, useEvents }
}

type Subscribe = (
  handler: (event: RealtimeEvent) => unknown, onReady?: () => void, onError?: (error: RealtimeError) => void
) => () => void

/** Returns a function that subscribes. It stays the same until the topic, or an option by its value, changes. */
function useSubscribe (topic: string | null | undefined, options: TopicOptions): Subscribe | false {
  const client = useRealtimeClient()
  const { store, onGap, onReplay, onError, ...values } = options
  const latest = useLatest(options)
  return useMemo(() => typeof topic === 'string' && ((handler, onReady, onFailed) => {
    const subscription = client.topic(topic).subscribe<ReturnMode>(handler, {
      ...values,
      ...(store && { store }),
      ...(onGap && { onGap: gap => latest.current.onGap?.(gap) }),
      ...(onReplay && { onReplay: event => latest.current.onReplay?.(event) }),
      ...((onError ?? onFailed) && {
        onError: error => {
          latest.current.onError?.(error)
          onFailed?.(error)
        }
      })
    })
    subscription.ready.then(onReady, () => {})
    return () => subscription.unsubscribe()
  }), [client, topic, JSON.stringify(values), store, !onGap, !onReplay, !onError])
}

/** Subscribes the component to an observable. A server, and the first render of its page, take `atServer`. */
function useObservable<T> (source: Observable<T>, atServer: T): T {
  const [subscribe, get] = useMemo(() => [
    (listener: () => void) => source.subscribe(listener),
    () => source.getSnapshot()
  ] as const, [source])
  return useSyncExternalStore(subscribe, get, () => atServer)
}

/** Holds the value of the latest render, for callbacks that are registered once. */
function useLatest<T> (value: T): { readonly current: T } {
  const latest = useRef(value)
  useEffect(() => { latest.current = value })
  return latest
}
