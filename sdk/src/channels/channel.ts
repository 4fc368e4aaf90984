import { abortable, backoffMs } from '../backoff.ts'
import type { Connection } from '../connection/connection.ts'
import { Emitter } from '../emitter.ts'
import { RealtimeError } from '../errors.ts'
import type { Observable } from '../observable.ts'
import type { ChannelMember, ChannelResync, JoinAnswer, Messages, Sender } from '../protocol/protocol.ts'
import type { Rest } from '../rest/rest.ts'
import { Members } from './members.ts'

/**
 * - `left`: not a member, and not about to be.
 * - `joining`: will be a member as soon as the server has answered. While the client reconnects, `members` are the last
 *   known ones.
 * - `joined`: a member; `members` are those of the server.
 * - `failed`: the server refused or ended the membership for good, for example with `PERMISSION_DENIED`. See `error`.
 */
export type ChannelStatus = 'left' | 'joining' | 'joined' | 'failed'

/** A member of a channel: one connection. A user with two tabs is two members. */
export interface Member<State = unknown> extends Omit<ChannelMember, 'state'> {
  /** The state that the member has set, or null. */
  state: State | null
}

/** A message that was sent to a channel. */
export interface ChannelMessage<Data = unknown> {
  channel: string
  /** The kind of message. Clients choose the names. */
  event: string
  data: Data
  from: Sender
  /** When the server sent it, in epoch milliseconds. */
  timestamp: number
}

/** A channel at one moment. It is replaced, never changed. */
export interface ChannelSnapshot<State = unknown> {
  status: ChannelStatus
  /** All members, this client included, by the time of joining. Empty unless `joining` or `joined`. */
  members: readonly Member<State>[]
  /** How many members there are. Above `members.length` while the pages of a large channel are read. */
  memberCount: number
  /** This client among the members. */
  self: Member<State> | undefined
  /** Why the channel is `failed`. */
  error: RealtimeError | undefined
}

export interface ChannelParts {
  connection: Connection
  rest: Rest
  /** How long a membership outlives the last `leave`, in milliseconds. */
  lingerMs: number
  onError: (error: RealtimeError) => void
  /** Sends a message, once connected if the first connection is being made. */
  publish (channel: string, event: string, data: unknown, signal?: AbortSignal): Promise<Delivery>
}

export interface Delivery {
  /** How many members got the message; null if this client may not know (docs/PROTOCOL.md#publish). */
  delivered: number | null
}

/** Receives what the connection brings for a channel. */
export interface ChannelHandlers {
  open (): void
  lost (): void
  resync (message: ChannelResync): void
  presence (message: Messages['presence']): void
  message (message: ChannelMessage): void
}

/** A call of `join` that has not been left. */
interface Hold {
  isJoined: boolean
  joined (): void
  /** Without an error: it was left. */
  ended (error?: RealtimeError): void
}

type Waiter = { version: number, resolve: () => void, reject: (error: RealtimeError) => void }

/**
 * A channel: its members, their states, and messages between them. The members are those of the server, across
 * reconnects. All who use a channel in a client share one membership.
 */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- As payloads without a TopicMap, states are unchecked.
export class Channel<State = any, Events = any> implements Observable<ChannelSnapshot<State>> {
  readonly name: string
  readonly #parts: ChannelParts
  readonly #emitter = new Emitter<{ change: undefined } & Record<`on:${string}`, ChannelMessage>>()
  readonly #members = new Members()
  readonly #holds = new Set<Hold>()
  #snapshot: ChannelSnapshot<State> | undefined
  #error: RealtimeError | undefined
  #isAsking = false
  /** A member at the server, as far as this client has heard. Aborted when the membership ends. */
  #membership: AbortController | undefined
  /** The connection under which this client is, or was last, a member. */
  #socketId: string | undefined
  #state: State | undefined
  /** Rises with each state that is set. */
  #version = 0
  #sentVersion = 0
  #isSending = false
  #waiters: Waiter[] = []
  #attempt = 0
  /** Waits to join again, to leave, or to send the state again: never two of them. */
  #timer: ReturnType<typeof setTimeout> | undefined

  constructor (parts: ChannelParts, name: string, attach: (handlers: ChannelHandlers) => void) {
    this.#parts = parts
    this.name = name
    attach({
      open: () => this.#open(),
      lost: () => this.#ended(),
      resync: ({ code, message }) => {
        this.#ended()
        if (code === 'PERMISSION_DENIED') this.#fail(new RealtimeError(code, message))
        else this.#retry(0)
      },
      presence: message => {
        if (this.#membership === undefined) return
        this.#members.apply(message)
        this.#changed()
      },
      message: message => {
        // Between the last `leave` and the end of the membership, messages have no receiver.
        if (this.#holds.size === 0) return
        this.#emitter.emit(`on:${message.event}`, message)
        if (message.event !== '*') this.#emitter.emit('on:*', message)
      }
    })
  }

  get members (): readonly Member<State>[] { return this.getSnapshot().members }
  get self (): Member<State> | undefined { return this.getSnapshot().self }
  get status (): ChannelStatus { return this.getSnapshot().status }
  get error (): RealtimeError | undefined { return this.#error }

  /**
   * Joins, and resolves with a function that leaves, when the server has answered. Joins are counted: the membership
   * ends a moment after the last was left. It survives reconnects, with the latest state. While the client is
   * disconnected, `join` waits; one that is left meanwhile resolves.
   *
   * `state` is any JSON of at most 4 KiB; a later join or `setState` replaces it. An aborted signal leaves. Rejects
   * with the server's refusal, such as `PERMISSION_DENIED` or `CHANNEL_LIMIT`.
   */
  join (state?: State, { signal }: { signal?: AbortSignal } = {}): Promise<() => void> {
    return abortable(signal, (resolve, reject) => {
      // Throws if the state is no JSON.
      if (state !== undefined) this.#set(state)
      const leave = () => this.#release(hold)
      const hold: Hold = {
        isJoined: false,
        joined: () => { hold.isJoined = true; resolve(leave) },
        ended: error => {
          signal?.removeEventListener('abort', leave)
          if (error === undefined) resolve(leave)
          else reject(error)
        }
      }
      signal?.addEventListener('abort', leave)
      this.#error = undefined
      this.#holds.add(hold)
      this.#open()
      if (this.#membership !== undefined) {
        clearTimeout(this.#timer)
        hold.joined()
        this.#sendState()
      }
      this.#changed()
    })
  }

  /** Leaves the latest join that has not been left. */
  leave (): void {
    const hold = [...this.#holds].pop()
    if (hold !== undefined) this.#release(hold)
  }

  /**
   * Replaces this client's state, and resolves when the server has it, or a later one. While the client is
   * disconnected, the latest state waits for the next join. Rejects with the server's refusal, for example of a state
   * above 4 KiB, and with `NOT_A_MEMBER` unless the channel was joined.
   */
  setState (state: State): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#holds.size === 0) {
        return reject(new RealtimeError('NOT_A_MEMBER', `Join ${this.name} before setting a state`))
      }
      this.#set(state)
      this.#waiters.push({ version: this.#version, resolve, reject })
      this.#settleStates()
      this.#sendState()
    })
  }

  /**
   * Sends a message to all other members. This client need not be one. A message is sent at most once: the call rejects
   * with `CONNECTION_LOST` while the client reconnects, and with refusals such as `RATE_LIMITED`.
   */
  publish<Name extends Extract<keyof Events, string>> (
    event: Name, data: Events[Name], { signal }: { signal?: AbortSignal } = {}
  ): Promise<Delivery> {
    return this.#parts.publish(this.name, event, data, signal)
  }

  /**
   * Calls the listener for each message of others with this name, or for each message with `*`, while the channel is
   * joined. Returns a function that removes it.
   */
  on<Name extends Extract<keyof Events, string> | '*'> (
    event: Name,
    listener: (message: ChannelMessage<Events[Name extends '*' ? keyof Events : Name & keyof Events]>) => void
  ): () => void {
    return this.#emitter.on(`on:${event}`, listener as (message: ChannelMessage) => void)
  }

  subscribe (listener: () => void): () => void {
    return this.#emitter.on('change', () => listener())
  }

  getSnapshot (): ChannelSnapshot<State> {
    const isIn = this.#holds.size > 0
    const { list, count } = this.#members
    this.#snapshot ??= {
      status: this.#error !== undefined ? 'failed' : !isIn ? 'left' : this.#membership ? 'joined' : 'joining',
      members: isIn ? list as readonly Member<State>[] : [],
      memberCount: isIn ? count : 0,
      self: isIn ? this.#members.get(this.#socketId) as Member<State> | undefined : undefined,
      error: this.#error
    }
    return this.#snapshot
  }

  /** Joins, unless a member, or not connected. */
  #open (): void {
    const { connection } = this.#parts
    if (this.#isAsking || this.#membership !== undefined || this.#holds.size === 0 || !connection.isConnected) return
    clearTimeout(this.#timer)
    this.#isAsking = true
    const version = this.#version
    const previousSocketId = this.#socketId
    this.#socketId = connection.socketId
    connection.call('join', {
      channel: this.name,
      ...(this.#state !== undefined && { state: this.#state }),
      ...(previousSocketId !== undefined && previousSocketId !== this.#socketId && { previousSocketId })
    }, (error, answer) => {
      this.#isAsking = false
      if (answer === undefined) this.#refused(error as RealtimeError)
      else this.#joined(answer, version)
    })
  }

  #joined (answer: JoinAnswer, version: number): void {
    const membership = this.#membership = new AbortController()
    this.#attempt = 0
    this.#members.begin(answer)
    this.#sentVersion = version
    this.#settleStates()
    for (const hold of this.#holds) if (!hold.isJoined) hold.joined()
    if (answer.truncated === true) void this.#complete(membership.signal)
    if (this.#holds.size === 0) this.#released()
    else this.#sendState()
    this.#changed()
  }

  async #complete (signal: AbortSignal): Promise<void> {
    const { rest, onError } = this.#parts
    try {
      await this.#members.complete(rest, this.name, signal)
      this.#changed()
    } catch (error) {
      if (!signal.aborted) onError(error as RealtimeError)
    }
  }

  /** Whether a request failed because the connection ended. The next one brings the channel back. */
  get #isLost (): boolean { return !this.#parts.connection.isConnected }

  #refused (error: RealtimeError): void {
    if (this.#holds.size === 0) return this.#forget()
    if (this.#isLost) return
    if (error.code === 'INTERNAL' || error.retryAfterMs !== undefined) this.#retry(error.retryAfterMs ?? 1000)
    else this.#fail(error)
  }

  #retry (waitMs: number): void {
    clearTimeout(this.#timer)
    const wait = waitMs + backoffMs(this.#attempt++, { baseMs: 100, maxMs: 10_000 })
    this.#timer = setTimeout(() => this.#open(), wait)
  }

  /** The membership is no more, or not at this connection. */
  #ended (): void {
    clearTimeout(this.#timer)
    this.#membership?.abort()
    this.#membership = undefined
    this.#isSending = false
    if (this.#holds.size === 0) this.#forget()
    this.#changed()
  }

  #fail (error: RealtimeError): void {
    const holds = [...this.#holds]
    this.#holds.clear()
    this.#error = error
    this.#forget(error)
    for (const hold of holds) hold.ended(error)
    // The promise of a join that is waited for carries the error; for a later one, there is none.
    if (holds.every(({ isJoined }) => isJoined)) this.#parts.onError(error)
    this.#changed()
  }

  #release (hold: Hold): void {
    if (!this.#holds.delete(hold)) return
    hold.ended()
    this.#released()
  }

  /** A join was left. If it was the last, the membership ends soon: the next page often joins what the last one did. */
  #released (): void {
    if (this.#holds.size === 0 && this.#membership !== undefined) {
      clearTimeout(this.#timer)
      this.#timer = setTimeout(() => {
        this.#ended()
        this.#sendLeave()
      }, this.#parts.lingerMs)
    } else if (this.#holds.size === 0 && !this.#isAsking) this.#forget()
    this.#changed()
  }

  #sendLeave (): void {
    this.#parts.connection.call('leave', { channel: this.name }, error => {
      if (error?.retryAfterMs === undefined || this.#holds.size > 0) return
      this.#timer = setTimeout(() => this.#sendLeave(), error.retryAfterMs)
    })
  }

  /** The next join is that of another member. */
  #forget (error?: RealtimeError): void {
    clearTimeout(this.#timer)
    this.#state = this.#socketId = undefined
    this.#sentVersion = ++this.#version
    this.#members.begin({ members: [] })
    this.#settleStates(error)
  }

  #set (state: State): void {
    if (JSON.stringify(state) === JSON.stringify(this.#state)) return
    this.#state = state
    this.#version++
  }

  /** Sends the latest state, one request at a time. */
  #sendState (): void {
    if (this.#membership === undefined || this.#isSending || this.#sentVersion === this.#version) return
    const { signal } = this.#membership
    const version = this.#version
    const state = this.#state as State
    this.#isSending = true
    this.#parts.connection.call('presence', { channel: this.name, state }, error => {
      if (signal.aborted) return
      this.#isSending = false
      // The next join carries the state.
      if (this.#isLost) return
      if (error?.retryAfterMs !== undefined) {
        if (this.#holds.size > 0) this.#timer = setTimeout(() => this.#sendState(), error.retryAfterMs)
        return
      }
      if (error?.code === 'NOT_A_MEMBER') {
        this.#ended()
        return this.#retry(0)
      }
      this.#sentVersion = version
      // A refused state must not have the next join refused.
      if (error !== undefined && version === this.#version) this.#state = this.self?.state ?? undefined
      if (error === undefined) this.#members.setState(this.#socketId, state)
      this.#settleStates(error)
      this.#changed()
      this.#sendState()
    })
  }

  /** Settles the calls of `setState` whose state, or a later one, was sent. */
  #settleStates (error?: RealtimeError): void {
    const settled = this.#waiters.filter(({ version }) => version <= this.#sentVersion)
    if (settled.length === 0) return
    this.#waiters = this.#waiters.filter(({ version }) => version > this.#sentVersion)
    for (const { resolve, reject } of settled) error === undefined ? resolve() : reject(error)
  }

  #changed (): void {
    this.#snapshot = undefined
    this.#emitter.emit('change', undefined)
  }
}
