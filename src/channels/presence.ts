import type { GracePeriods } from '../identity/applications/grace-periods.ts'
import type { ChannelResync } from '../../schemas/socket-messages.ts'
import type { DeliveryLimits } from '../config/delivery-limits.ts'
import type { Connection } from '../delivery/sockets/connection.ts'
import type { ConnectionsObserver } from '../delivery/sockets/connections.ts'
import { memberCost, type HeldBytes } from '../foundation/limits/held-bytes.ts'
import type { Respond } from '../delivery/sockets/protocol.ts'
import { ConflictError, RateLimitError } from '../errors.ts'
import type { Metrics } from '../foundation/observability/metrics.ts'
import { mayBeMember } from './channel-permissions.ts'
import { type Channel, type Member, type State, presenceBody, presenceMessage, type PresenceChange } from './channel.ts'
import type { Directory } from './directory.ts'
import { subjectOf } from '../identity/access/principal.ts'
import type { MemberRecords } from './member-records.ts'
import type { MessageQueue } from './message-queue.ts'
import type { SocketEvents } from './socket-events.ts'

export interface PresenceOptions {
  directory: Directory
  queue: MessageQueue
  events: SocketEvents
  gracePeriods: GracePeriods
  limits: DeliveryLimits
  metrics: Metrics
  /** Counts the bytes of members, together with those of subscriptions. */
  held: HeldBytes
  /** Shares this node's members with other nodes. */
  shared: MemberRecords
}

const noState: State = { value: null, text: 'null' }

/**
 * Tracks which connections of this node are in which channel. Sends every change to the other members, in order. A
 * connection receives no change from before the answer to its join or from after the answer to its leave. When the
 * connection of a member ends, the member stays for the application's grace period. Within it, the same principal may
 * return with another connection, and the membership continues.
 */
export class Presence implements ConnectionsObserver {
  readonly #options: PresenceOptions
  /**
   * The absences of each application's members, oldest first. Calling one removes its members that are still away, and
   * returns whether there were any.
   */
  readonly #absences = new Map<string, Set<() => boolean>>()
  #isClosed = false

  constructor (options: PresenceOptions) {
    this.#options = options
  }

  /**
   * Makes the connection a member and answers with the members. A connection that is a member already gets the members
   * again; a new state is announced. Throws RateLimitError `CHANNEL_LIMIT`.
   */
  join (connection: Connection, name: string, { state, previousSocketId }: Return, respond: Respond<'join'>): void {
    const { directory, limits } = this.#options
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
    this.#requireRoom(connection, state?.text.length ?? 0, present?.state)
    const channel = directory.openChannel(connection.scope, name)
    directory.join(connection, channel)
    const waiting = present === undefined ? channel.waitingFor(connection, previousSocketId) : undefined
    if (waiting?.connection !== undefined) this.#supersede(channel, waiting.connection)
    const change = this.#enter(channel, connection, { present, waiting, state })
    respond(channel.joined)
    if (change !== undefined) this.#announce(channel, change, connection)
  }

  /** Throws ConflictError `NOT_A_MEMBER`. */
  leave (connection: Connection, name: string, respond: Respond<'leave'>): void {
    const { channel, member } = this.#membership(connection, name)
    this.#options.directory.leave(connection, channel)
    this.#remove(channel, member)
    connection.flush()
    respond({ channel: name })
    this.#announce(channel, { action: 'leave', member })
  }

  /** Throws ConflictError `NOT_A_MEMBER`. */
  update (connection: Connection, name: string, state: State, respond: Respond<'presence'>): void {
    const { channel, member } = this.#membership(connection, name)
    this.#requireRoom(connection, state.text.length, member.state)
    this.#setState(channel, member, state)
    respond({ channel: name })
    this.#announce(channel, { action: 'update', member }, connection)
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
    const { directory } = this.#options
    for (const channel of [...directory.joined(connection)]) {
      const member = channel.present(connection)
      if (member === undefined || mayBeMember(connection.principal, connection.scope, channel.name)) continue
      directory.leave(connection, channel)
      this.#remove(channel, member)
      this.#resync(connection, channel, notCovered)
      this.#announce(channel, { action: 'leave', member })
    }
  }

  closed (connection: Connection): void {
    this.#sendAway(connection)
    this.#options.directory.exit(connection)
    this.#options.events.disconnected(connection)
  }

  endAbsence (applicationId: string): boolean {
    for (const end of this.#absences.get(applicationId) ?? []) if (end()) return true
    return false
  }

  /** Hands a member of this node over to another node, where the same client has joined by a new connection. */
  yields (channel: Channel, member: Member): void {
    if (member.connection !== undefined) this.#supersede(channel, member.connection)
    channel.remove(member)
    this.#forget(channel, member)
    this.#options.shared.remove(channel, member.socketId, 'moved')
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

  /** Ends no further absences, because the server stops and its members stop with it. */
  close (): void {
    this.#isClosed = true
  }

  /** Adds or updates a member. Returns the change to announce. */
  #enter (
    channel: Channel, connection: Connection,
    { present, waiting, state }: { present: Member | undefined, waiting: Member | undefined, state: State | undefined }
  ): PresenceChange | undefined {
    const member = present ?? waiting
    if (member === undefined || member.node !== undefined) {
      const { principal } = connection
      // A member of another node becomes this node's. That node receives the change.
      if (member !== undefined) {
        channel.remove(member)
        this.#options.held.count(channel.scope.applicationId, -memberCost(member.state.text.length))
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
      this.#options.metrics.channelMembers.inc()
      connection.hold(memberCost(created.state.text.length))
      return member === undefined
        ? { action: 'join', member: created }
        : { action: 'update', member: created, previousSocketId: member.socketId }
    }
    const previousSocketId = member.socketId
    if (member === waiting) {
      moveCount(member, connection)
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
    const { directory, gracePeriods, shared } = this.#options
    const joined = [...directory.joined(connection)]
    if (joined.length === 0) return
    const absence = Symbol('absence')
    const away = joined.flatMap(channel => {
      const member = channel.present(connection)
      directory.leave(connection, channel)
      if (member !== undefined) {
        moveCount(member, undefined)
        channel.sendAway(member, absence)
        shared.put(channel, member, 'away')
      }
      return member === undefined ? [] : [{ channel, member }]
    })
    if (this.#isClosed) return
    const since = performance.now()
    const { applicationId } = connection.scope
    const end = () => {
      this.#forgetAbsence(applicationId, end)
      const left = away.filter(({ member }) => member.absence === absence)
      for (const { channel, member } of left) this.#end(channel, member)
      return left.length > 0
    }
    this.#rememberAbsence(applicationId, end)
    void gracePeriods.of(applicationId).then(graceMs => {
      setTimeout(end, Math.max(0, graceMs - (performance.now() - since))).unref()
    })
  }

  #rememberAbsence (applicationId: string, end: () => boolean): void {
    const absences = this.#absences.get(applicationId)
    if (absences === undefined) this.#absences.set(applicationId, new Set([end]))
    else absences.add(end)
  }

  #forgetAbsence (applicationId: string, end: () => boolean): void {
    const absences = this.#absences.get(applicationId)
    if (absences?.delete(end) === true && absences.size === 0) this.#absences.delete(applicationId)
  }

  #end (channel: Channel, member: Member): void {
    if (this.#isClosed) return
    this.#remove(channel, member)
    this.#announce(channel, { action: 'leave', member })
  }

  #remove (channel: Channel, member: Member): void {
    channel.remove(member)
    this.#options.directory.closeIfEmpty(channel)
    this.#forget(channel, member)
  }

  /** Throws RateLimitError `MEMORY_LIMIT`. */
  #requireRoom ({ scope }: Connection, stateLength: number, before: State | undefined): void {
    const more = memberCost(stateLength) - (before === undefined ? 0 : memberCost(before.text.length))
    if (more > 0) this.#options.held.requireRoom(scope.applicationId, more)
  }

  #setState (channel: Channel, member: Member, state: State): void {
    this.#count(channel, member, memberCost(state.text.length) - memberCost(member.state.text.length))
    channel.setState(member, state)
  }

  #forget (channel: Channel, member: Member): void {
    this.#options.metrics.channelMembers.dec()
    this.#count(channel, member, -memberCost(member.state.text.length))
  }

  /** Counts bytes of a member of this node. While it has a connection, they also count for the connection. */
  #count ({ scope }: Channel, { connection }: Member, bytes: number): void {
    if (connection === undefined) this.#options.held.count(scope.applicationId, bytes)
    else connection.hold(bytes)
  }

  #resync (connection: Connection, { name }: Channel, { code, message }: ResyncReason): void {
    this.#options.metrics.resyncs.inc({ code })
    connection.transport.sendMessage('resync', { channel: name, code, message })
  }

  #announce (channel: Channel, change: PresenceChange, but?: Connection): void {
    const { events, metrics, queue, shared } = this.#options
    const { scope, name, members } = channel
    const { action, member, previousSocketId } = change
    const body = presenceBody(name, change)
    metrics.channelMessages.inc({ kind: 'presence' })
    if (action === 'leave') shared.remove(channel, member.socketId, 'leave')
    else shared.put(channel, member, action, previousSocketId)
    events.presence(scope, name, body)
    queue.sendToMembers(members.values(), presenceMessage(body), but)
  }
}

/**
 * Moves the bytes of a member from its old connection to its new one. Closing a connection does not free an away
 * member's bytes.
 */
function moveCount ({ connection, state }: Member, to: Connection | undefined): void {
  const bytes = memberCost(state.text.length)
  if (connection !== undefined) connection.heldBytes -= bytes
  if (to !== undefined) to.heldBytes += bytes
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
