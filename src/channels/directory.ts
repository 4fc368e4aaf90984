import {
  memberList, type ChannelMember, type ChannelQuery, type ChannelSummary, type MemberQuery
} from '../../schemas/channels.ts'
import type { Order } from '../../schemas/lists.ts'
import { scopeKey, type Scope } from '../../schemas/scope.ts'
import type { Connection } from '../delivery/sockets/connection.ts'
import { containsText, pageOfItems } from '../foundation/lists/item-page.ts'
import { decodeCursor, toPage, type PageOf } from '../foundation/paging.ts'
import { Channel, toMember } from './channel.ts'

/** The entries of one scope: connections of this node, and channels with the members of all nodes. */
interface Place {
  readonly connections: Map<string, Connection>
  readonly channels: Map<string, Channel>
  /** The channel names in order. Cached from the first listing until a channel opens or closes. */
  names: readonly string[] | undefined
}

/**
 * This node's connections, and the channels, by scope. The same name in two scopes is two channels. Empty scopes are
 * removed.
 */
export class Directory {
  readonly #places = new Map<string, Place>()
  /** The channels of each connection. Most connections have none. */
  readonly #joined = new Map<Connection, Set<Channel>>()

  enter (connection: Connection): void {
    this.#place(connection.scope).connections.set(connection.id, connection)
  }

  exit (connection: Connection): void {
    this.#joined.delete(connection)
    this.#places.get(scopeKey(connection.scope))?.connections.delete(connection.id)
    this.#forget(connection.scope)
  }

  connection (scope: Scope, socketId: string): Connection | undefined {
    return this.#places.get(scopeKey(scope))?.connections.get(socketId)
  }

  connections (scope: Scope): Iterable<Connection> {
    return this.#places.get(scopeKey(scope))?.connections.values() ?? []
  }

  connectionCount (scope: Scope): number {
    return this.#places.get(scopeKey(scope))?.connections.size ?? 0
  }

  joined (connection: Connection): ReadonlySet<Channel> {
    return this.#joined.get(connection) ?? none
  }

  join (connection: Connection, channel: Channel): void {
    const joined = this.#joined.get(connection)
    if (joined === undefined) this.#joined.set(connection, new Set([channel]))
    else joined.add(channel)
  }

  leave (connection: Connection, channel: Channel): void {
    const joined = this.#joined.get(connection)
    if (joined?.delete(channel) === true && joined.size === 0) this.#joined.delete(connection)
  }

  channel (scope: Scope, name: string): Channel | undefined {
    return this.#places.get(scopeKey(scope))?.channels.get(name)
  }

  /** Returns the channel, creating it if necessary. The caller must add a member in the same turn. */
  openChannel (scope: Scope, name: string): Channel {
    const place = this.#place(scope)
    let channel = place.channels.get(name)
    if (channel === undefined) {
      channel = new Channel(scope, name)
      place.channels.set(name, channel)
      place.names = undefined
    }
    return channel
  }

  /** Removes the channel if its last member has gone. */
  closeIfEmpty (channel: Channel): void {
    if (channel.members.size > 0) return
    const place = this.#places.get(scopeKey(channel.scope))
    if (place?.channels.delete(channel.name) === true) place.names = undefined
    this.#forget(channel.scope)
  }

  /** Every channel of every tenant. */
  * all (): Iterable<Channel> {
    for (const { channels } of this.#places.values()) yield * channels.values()
  }

  /** Lists the channels for which `isSeen` returns true. */
  channels (
    scope: Scope, { q, order = 'asc', limit = 100, cursor }: ChannelQuery,
    isSeen: (name: string) => boolean = () => true
  ): PageOf<ChannelSummary> {
    const place = this.#places.get(scopeKey(scope))
    const names = place === undefined ? [] : place.names ??= [...place.channels.keys()].sort()
    const step = order === 'asc' ? 1 : -1
    const found: string[] = []
    for (let i = startOf(names, order, cursor); i in names && found.length <= limit; i += step) {
      const name = names[i] as string
      if ((q === undefined || containsText(name, q)) && isSeen(name)) found.push(name)
    }
    return toPage(
      found, limit, name => ({ name, memberCount: this.channel(scope, name)?.members.size ?? 0 }), name => [name]
    )
  }

  /** Lists members. A page ends early when its states are long. An unknown channel has no members. */
  members (scope: Scope, name: string, { userId, ...query }: MemberQuery): PageOf<ChannelMember> {
    const members = [...this.channel(scope, name)?.members.values() ?? []]
    const { items, nextCursor } = pageOfItems(
      userId === undefined ? members : members.filter(member => member.userId === userId), memberList, query,
      {
        valuesOf: member => ({ joinedAt: member.joinedAt, userId: member.userId, socketId: member.socketId }),
        idOf: ({ socketId }) => socketId, size: { of: ({ state }) => state.text.length, max: pageStatesLengthMax }
      }
    )
    return { items: items.map(toMember), nextCursor }
  }

  #place (scope: Scope): Place {
    const key = scopeKey(scope)
    let place = this.#places.get(key)
    if (place === undefined) {
      place = { connections: new Map(), channels: new Map(), names: undefined }
      this.#places.set(key, place)
    }
    return place
  }

  #forget (scope: Scope): void {
    const key = scopeKey(scope)
    const place = this.#places.get(key)
    if (place !== undefined && place.connections.size === 0 && place.channels.size === 0) this.#places.delete(key)
  }
}

/** Returns the index of the first name of a page. */
function startOf (names: readonly string[], order: Order, cursor: string | undefined): number {
  if (cursor === undefined) return order === 'asc' ? 0 : names.length - 1
  const last = String(decodeCursor(cursor, ['string'])[0])
  const after = indexAfter(names, last)
  if (order === 'asc') return after
  return names[after - 1] === last ? after - 2 : after - 1
}

/** Returns the index of the first text after `after`, in ordered texts. */
function indexAfter (texts: readonly string[], after: string): number {
  let [low, high] = [0, texts.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if ((texts[middle] as string) > after) high = middle
    else low = middle + 1
  }
  return low
}

/** Characters of the states of one page. */
const pageStatesLengthMax = 1024 * 1024

const none: ReadonlySet<Channel> = new Set()
