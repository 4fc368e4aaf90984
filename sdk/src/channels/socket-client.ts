import { Emitter } from '../emitter.ts'
import type { Sender } from '../protocol/protocol.ts'
import { Channel, type ChannelHandlers, type ChannelMessage, type ChannelParts, type Delivery } from './channel.ts'

/** A message that was sent to this client alone. */
export interface DirectMessage {
  event: string
  data: unknown
  from: Sender
  /** When the server sent it, in epoch milliseconds. */
  timestamp: number
}

export interface SocketEvents {
  /** A message to a channel that this client has joined. */
  message: ChannelMessage
  /** A message to this client. */
  direct: DirectMessage
}

/** The messages of a client: channels, and messages from one connection to another. `client.channel` offers more. */
export class SocketClient {
  readonly #parts: ChannelParts
  readonly #channels = new Map<string, Channel>()
  readonly #handlers = new Map<string, ChannelHandlers>()
  readonly #joined = new Map<string, AbortController>()
  readonly #emitter = new Emitter<SocketEvents>()

  constructor (parts: Omit<ChannelParts, 'publish'>) {
    const { connection } = parts
    this.#parts = { ...parts, publish: (...message) => this.#publish(...message) }
    connection.on('open', () => { for (const handlers of this.#handlers.values()) handlers.open() })
    connection.on('lost', () => { for (const handlers of this.#handlers.values()) handlers.lost() })
    connection.on('resync', message => {
      if ('channel' in message) this.#handlers.get(message.channel)?.resync(message)
    })
    connection.on('presence', message => this.#handlers.get(message.channel)?.presence(message))
    connection.on('message', message => {
      if (message.channel === undefined) this.#emitter.emit('direct', message)
      else {
        this.#emitter.emit('message', message as ChannelMessage)
        this.#handlers.get(message.channel)?.message(message as ChannelMessage)
      }
    })
  }

  /** Returns the channel of this name: always the same. */
  channel (name: string): Channel {
    let channel = this.#channels.get(name)
    if (channel === undefined) {
      channel = new Channel(this.#parts, name, handlers => this.#handlers.set(name, handlers))
      this.#channels.set(name, channel)
    }
    return channel
  }

  /** Joins a channel, unless joined, and sets the state if one is given. Rejects with the server's refusal. */
  async joinChannel (name: string, state?: unknown): Promise<void> {
    const channel = this.channel(name)
    if (this.#joined.has(name) && channel.status !== 'failed') {
      const leave = await channel.join(state)
      return leave()
    }
    const hold = new AbortController()
    this.#joined.set(name, hold)
    try {
      await channel.join(state, hold)
    } catch (error) {
      if (hold.signal.aborted) return
      this.#joined.delete(name)
      throw error
    }
  }

  /** Leaves a channel that was joined with `joinChannel`. */
  leaveChannel (name: string): void {
    this.#joined.get(name)?.abort()
    this.#joined.delete(name)
  }

  /** Sends a message to the other members of a channel, at most once. See `Channel.publish`. */
  publish (channel: string, event: string, data?: unknown): Promise<Delivery> {
    return this.#publish(channel, event, data)
  }

  /**
   * Sends a message to one connection, by the `socketId` of a member or a sender, at most once. Rejects with
   * `SOCKET_NOT_FOUND` if it has ended.
   */
  async directMessage (socketId: string, event: string, data?: unknown): Promise<Delivery> {
    await this.#connected()
    const { delivered } = await this.#parts.connection.request('direct', { socketId, event, data: data ?? null })
    return { delivered }
  }

  /** Calls the listener for each message. Returns a function that removes it. */
  on<Name extends keyof SocketEvents> (name: Name, listener: (message: SocketEvents[Name]) => void): () => void {
    return this.#emitter.on(name, listener)
  }

  off<Name extends keyof SocketEvents> (name: Name, listener: (message: SocketEvents[Name]) => void): void {
    this.#emitter.off(name, listener)
  }

  async #publish (channel: string, event: string, data: unknown, signal?: AbortSignal): Promise<Delivery> {
    await this.#connected(signal)
    const { delivered } = await this.#parts.connection.request(
      'publish', { channel, event, data: data ?? null }, signal
    )
    return { delivered }
  }

  /** Waits for the first connection. Later, a message that cannot be sent now is better lost than late. */
  async #connected (signal?: AbortSignal): Promise<void> {
    const { connection } = this.#parts
    if (connection.state === 'connecting') await connection.settled(signal)
  }
}
