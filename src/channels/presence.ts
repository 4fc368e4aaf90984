import type { ChannelResync } from '../../schemas/socket-messages.ts'
import type { DeliveryLimits } from '../config/delivery-limits.ts'
import type { Connection } from '../delivery/sockets/connection.ts'
import type { ConnectionsObserver } from '../delivery/sockets/connections.ts'
import type { Respond } from '../delivery/sockets/protocol.ts'
import { ConflictError, RateLimitError } from '../errors.ts'
import type { Metrics } from '../foundation/observability/metrics.ts'
import type { Absences } from './absences.ts'
import type { Announce } from './announcer.ts'
import { mayBeMember } from './channel-permissions.ts'
import { type Channel, type Member, type State, presenceBody, type PresenceChange } from './channel.ts'
import type { Directory } from './directory.ts'
import { subjectOf } from '../identity/access/principal.ts'
import type { MemberBytes } from './member-bytes.ts'
import type { MemberRecords } from './member-records.ts'
import type { SocketEvents } from './socket-events.ts'

export interface PresenceOptions {
  directory: Directory
  absences: Absences
  announce: Announce
  bytes: MemberBytes
  events: SocketEvents
  limits: DeliveryLimits
  metrics: Metrics
  /** Shares this node's members with other nodes. */
  shared: MemberRecords
}

const noState: State = { value: null, text: 'null' }

/**
 * Tracks which connections of this node are in which channel. Announces every change to the other members, in order. A
 * connection receives no change from before the answer to its join or from after the answer to its leave. When the
 * connection of a member ends, the member stays for the application's grace period. Within it, the same principal may
 * return with another connection, and the membership continues.
 */
export class Presence implements ConnectionsObserver {
  readonly #options: PresenceOptions

  constructor (options: PresenceOptions) {
    this.#options = options
  }

  /**
   * Makes the connection a member and answers with the members. A connection that is a member already gets the members
   * again; a new state is announced. Throws RateLimitError `CHANNEL_LIMIT`.
   */
  join (connection: Connection, name: string, { state, previousSocketId }: Return, respond: Respond<'join'>): void {
    const { directory, announce, bytes, limits } = this.#options
    // Messages from before the answer are sent before it.
    connection.flush()
    if (!connection.isOpen) return
    const present = directory.channel(connection.scope, name)?.present(connection)
    if (present === undefined && directory.joined(connection).size >= limits.channelsPerConnectionMax) {
      throw new RateLimitError(
        'CHANNEL_LIMIT',
        `The connection has reached its limit of ${limits.channelsPerConnectionMax} channels. Leave one first`
      )
    }
    bytes.requireRoom(connection.scope, state?.text.length ?? 0, present?.state)
    const channel = directory.openChannel(connection.scope, name)
    directory.join(connection, channel)
    const waiting = present === undefined ? channel.waitingFor(connection, previousSocketId) : undefined
    if (waiting?.connection !== undefined) this.#supersede(channel, waiting.connection)
    const change = this.#enter(channel, connection, { present, waiting, state })
    respond(channel.joined)
    if (change !== undefined) announce(channel, change, connection)
  }

  /** Throws ConflictError `NOT_A_MEMBER`. */
  leave (connection: Connection, name: string, respond: Respond<'leave'>): void {
    const { directory, announce } = this.#options
    const { channel, member } = this.#membership(connection, name)
    directory.leave(connection, channel)
    this.#remove(channel, member)
    connection.flush()
    respond({ channel: name })
    announce(channel, { action: 'leave', member })
  }

  /** Throws ConflictError `NOT_A_MEMBER`. */
  update (connection: Connection, name: string, state: State, respond: Respond<'presence'>): void {
    const { announce, bytes } = this.#options
    const { channel, member } = this.#membership(connection, name)
    bytes.requireRoom(connection.scope, state.text.length, member.state)
    this.#setState(channel, member, state)
    respond({ channel: name })
    announce(channel, { action: 'update', member }, connection)
  }

  opened (connection: Connection): void {
    this.#options.directory.enter(connection)
    this.#options.events.connected(connection)
  }

  /**
   * Ends the memberships of a connection that cannot receive every message. The client gets `resync` and may join
   * again.
   */
  givenUp (connection: Connection): void {
    for (const channel of this.#options.directory.joined(connection)) this.#resync(connection, channel, slowConsumer)
    this.#sendAway(connection)
  }

  /** Removes the connection from channels that its fresh principal may not be in. The client gets `resync`. */
  refreshed (connection: Connection): void {
    const { directory, announce } = this.#options
    for (const channel of [...directory.joined(connection)]) {
      const member = channel.present(connection)
      if (member === undefined || mayBeMember(connection.principal, connection.scope, channel.name)) continue
      directory.leave(connection, channel)
      this.#remove(channel, member)
      this.#resync(connection, channel, notCovered)
      announce(channel, { action: 'leave', member })
    }
  }

  closed (connection: Connection): void {
    this.#sendAway(connection)
    this.#options.directory.exit(connection)
    this.#options.events.disconnected(connection)
  }

  endAbsence (applicationId: string): boolean {
    return this.#options.absences.endOldest(applicationId)
  }

  /** Hands a member of this node over to another node, where the same client has joined by a new connection. */
  yields (channel: Channel, member: Member): void {
    if (member.connection !== undefined) this.#supersede(channel, member.connection)
    channel.remove(member)
    this.#forget(channel, member)
    this.#options.shared.remove(channel, member.socketId)
  }

  /** Records the members again as joined. The other nodes had declared this node gone and recorded that they left. */
  renamed (): void {
    for (const { scope, name, members } of this.#options.directory.all()) {
      for (const member of members.values()) {
        if (member.node === undefined) {
          this.#options.events.presence(scope, name, presenceBody(name, { action: 'join', member }))
        }
      }
    }
  }

  /** Adds or updates a member. Returns the change to announce. */
  #enter (
    channel: Channel, connection: Connection,
    { present, waiting, state }: { present: Member | undefined, waiting: Member | undefined, state: State | undefined }
  ): PresenceChange | undefined {
    const member = present ?? waiting
    if (member === undefined || member.node !== undefined) {
      const { bytes, metrics } = this.#options
      const { principal } = connection
      // A member of another node becomes this node's. That node receives the change.
      if (member !== undefined) {
        channel.remove(member)
        bytes.remove(channel.scope, member)
      }
      const created: Member = {
        socketId: connection.id,
        userId: subjectOf(principal),
        principalId: principal.id,
        joinedAt: member?.joinedAt ?? Date.now(),
        state: state ?? member?.state ?? noState,
        node: undefined,
        connection,
        absence: undefined
      }
      channel.add(created)
      metrics.channelMembers.inc()
      bytes.add(channel.scope, created)
      return member === undefined
        ? { action: 'join', member: created }
        : { action: 'update', member: created, previousSocketId: member.socketId }
    }
    const previousSocketId = member.socketId
    if (member === waiting) {
      this.#options.bytes.move(member, connection)
      channel.bringBack(member, connection)
    }
    if (state !== undefined) this.#setState(channel, member, state)
    return member === waiting || state !== undefined ? { action: 'update', member, previousSocketId } : undefined
  }

  /** Ends the old membership of a client that has joined again before the end of its old connection was noticed. */
  #supersede (channel: Channel, old: Connection): void {
    this.#options.directory.leave(old, channel)
    old.flush()
    this.#resync(old, channel, superseded)
  }

  #membership (connection: Connection, name: string): { channel: Channel, member: Member } {
    const channel = this.#options.directory.channel(connection.scope, name)
    const member = channel?.present(connection)
    if (channel === undefined || member === undefined) {
      throw new ConflictError('NOT_A_MEMBER', `The connection is not a member of the channel ${name}. Join it first`)
    }
    return { channel, member }
  }

  #sendAway (connection: Connection): void {
    const { directory, absences, bytes, shared } = this.#options
    const joined = [...directory.joined(connection)]
    if (joined.length === 0) return
    const absence = Symbol('absence')
    const away = joined.flatMap(channel => {
      const member = channel.present(connection)
      directory.leave(connection, channel)
      if (member === undefined) return []
      bytes.move(member, undefined)
      channel.sendAway(member, absence)
      shared.put(channel, member, 'away')
      return [{ channel, member }]
    })
    absences.begin(connection.scope.applicationId, () => {
      const left = away.filter(({ member }) => member.absence === absence)
      for (const { channel, member } of left) this.#end(channel, member)
      return left.length > 0
    })
  }

  #end (channel: Channel, member: Member): void {
    this.#remove(channel, member)
    this.#options.announce(channel, { action: 'leave', member })
  }

  #remove (channel: Channel, member: Member): void {
    channel.remove(member)
    this.#options.directory.closeIfEmpty(channel)
    this.#forget(channel, member)
  }

  #setState (channel: Channel, member: Member, state: State): void {
    this.#options.bytes.replaceState(channel.scope, member, state)
    channel.setState(member, state)
  }

  #forget ({ scope }: Channel, member: Member): void {
    this.#options.metrics.channelMembers.dec()
    this.#options.bytes.remove(scope, member)
  }

  #resync (connection: Connection, { name }: Channel, { code, message }: ResyncReason): void {
    this.#options.metrics.resyncs.inc({ code })
    connection.transport.sendMessage('resync', { channel: name, code, message })
  }
}

type ResyncReason = Pick<ChannelResync, 'code' | 'message'>

/** Optional fields of `join`: a new state, and the connection that the member had before. */
interface Return { state: State | undefined, previousSocketId: string | undefined }

const superseded: ResyncReason = { code: 'NOT_A_MEMBER', message: 'Another connection has taken over the membership' }
const slowConsumer: ResyncReason = {
  code: 'SLOW_CONSUMER', message: 'The client reads more slowly than its messages arrive. Join the channel again'
}
const notCovered: ResyncReason = {
  code: 'PERMISSION_DENIED', message: 'The fresh credential does not permit membership in this channel, which has ended'
}
