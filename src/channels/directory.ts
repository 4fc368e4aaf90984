import type { ChannelMember, ChannelSummary } from '../../schemas/channels.ts'
import type { PageQuery } from '../../schemas/common.ts'
import { scopeKey, type Scope } from '../../schemas/scope.ts'
import type { Connection } from '../delivery/sockets/connection.ts'
import { decodeCursor, toPage, type PageOf } from '../foundation/paging.ts'
import { Channel, toMember, type Member } from './channel.ts'

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

  /** Lists the channels for which `isSeen` returns true, ordered by name. */
  channels (
    scope: Scope, { limit = 100, cursor }: PageQuery, isSeen: (name: string) => boolean = () => true
  ): PageOf<ChannelSummary> {
    const after = cursor === undefined ? '' : String(decodeCursor(cursor, ['string'])[0])
    const place = this.#places.get(scopeKey(scope))
    const names = place === undefined ? [] : place.names ??= [...place.channels.keys()].sort()
    const found: string[] = []
    for (let i = indexAfter(names, after); i < names.length && found.length <= limit; i++) {
      const name = names[i] as string
      if (isSeen(name)) found.push(name)
    }
    return toPage(
      found, limit, name => ({ name, memberCount: this.channel(scope, name)?.members.size ?? 0 }), name => [name]
    )
  }

  /** Lists members, oldest first. A page ends early when its states are long. An unknown channel has no members. */
  members (scope: Scope, name: string, { limit = 100, cursor }: PageQuery): PageOf<ChannelMember> {
    const [joinedAt, socketId] = cursor === undefined
      ? [0, '']
      : decodeCursor(cursor, ['number', 'string']) as [number, string]
    const isAfter = (member: Member) =>
      member.joinedAt > joinedAt || (member.joinedAt === joinedAt && member.socketId > socketId)
    const members = [...this.channel(scope, name)?.members.values() ?? []].filter(isAfter).sort(byAge)
    const count = countThatFits(members, limit)
    return toPage(members.slice(0, count + 1), count, toMember, member => [member.joinedAt, member.socketId])
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

/** Returns how many of the first members fit on a page: at least one. */
function countThatFits (members: readonly Member[], limit: number): number {
  let [count, length] = [0, 0]
  for (const { state } of members) {
    length += state.text.length
    if (count >= limit || (count > 0 && length > pageStatesLengthMax)) break
    count++
  }
  return Math.max(1, count)
}

const none: ReadonlySet<Channel> = new Set()

const byAge = (a: Member, b: Member) => a.joinedAt - b.joinedAt || (a.socketId < b.socketId ? -1 : 1)
