import type { JoinAnswer, PresenceAction } from '../../schemas/channel-requests.ts'
import type { ChannelMember } from '../../schemas/channels.ts'
import type { Scope } from '../../schemas/scope.ts'
import type { Connection } from '../delivery/sockets/connection.ts'
import { PreparedAnswer } from '../delivery/sockets/prepared-answer.ts'
import { SharedMessage } from '../delivery/sockets/transport.ts'

/** A member's state, with its JSON text. Treat the value as frozen. */
export interface State { value: unknown, text: string }

/** A member of a channel. */
export interface Member {
  /** Id of the connection; while the member is away, of its last one. */
  socketId: string
  readonly userId: string
  /** Identifies the member across reconnects. */
  readonly principalId: string
  readonly joinedAt: number
  state: State
  /** The node of the member; undefined for this one. */
  readonly node: string | undefined
  /**
   * Undefined for members of other nodes, and while the member is away: its connection has ended, and it may return
   * within the grace period.
   */
  connection: Connection | undefined
  /** Identifies the current absence while the member is away, so that a timer ends only the absence it was set for. */
  absence: symbol | undefined
}

/** One channel of one scope, with its members by socket id. It exists while it has members. */
export class Channel {
  readonly scope: Scope
  readonly name: string
  readonly members = new Map<string, Member>()
  readonly #away = new Set<Member>()
  /** Number of connected members by other node. */
  readonly #connectedAt = new Map<string, number>()
  #joined: PreparedAnswer<JoinAnswer> | undefined

  constructor (scope: Scope, name: string) {
    this.scope = scope
    this.name = name
  }

  /** Returns the member with this connection. */
  present (connection: Connection): Member | undefined {
    const member = this.members.get(connection.id)
    return member?.connection === connection ? member : undefined
  }

  /** Other nodes that have connected members. */
  get nodes (): Iterable<string> { return this.#connectedAt.keys() }

  /** Number of members of this node that would accept a message now. */
  get connectedHere (): number {
    let count = 0
    for (const { connection } of this.members.values()) if (connection?.hasRoom === true) count++
    return count
  }

  /** The answer to `join`: the name and the members. Cached until a member or a state changes. */
  get joined (): PreparedAnswer<JoinAnswer> {
    this.#joined ??= joinedAnswer(this)
    return this.#joined
  }

  isAway (member: Member): boolean { return this.#away.has(member) }

  add (member: Member): void {
    this.members.set(member.socketId, member)
    this.#joined = undefined
    this.#count(member, 1)
  }

  remove (member: Member): void {
    const wasAway = this.#away.delete(member)
    member.absence = undefined
    if (this.members.get(member.socketId) !== member) return
    this.members.delete(member.socketId)
    this.#joined = undefined
    if (!wasAway) this.#count(member, -1)
  }

  setState (member: Member, state: State): void {
    member.state = state
    this.#joined = undefined
  }

  /** Marks a member as away; it stays without a connection. */
  sendAway (member: Member, absence: symbol): void {
    if (!this.#away.has(member)) this.#count(member, -1)
    member.connection = undefined
    member.absence = absence
    this.#away.add(member)
  }

  /**
   * Returns the member that a connection of the same principal takes over: the one with `previousSocketId`, even if the
   * server has not noticed its end; else the away member with the connection's own id; else the one that has been away
   * for longest.
   */
  waitingFor (connection: Connection, previousSocketId: string | undefined): Member | undefined {
    const named = previousSocketId === undefined ? undefined : this.members.get(previousSocketId)
    if (named?.principalId === connection.principal.id) return named
    const own = this.members.get(connection.id)
    if (own !== undefined && this.#away.has(own)) return own
    for (const member of this.#away) if (member.principalId === connection.principal.id) return member
    return undefined
  }

  /** Reconnects an away member with another connection. */
  bringBack (member: Member, connection: Connection): void {
    this.remove(member)
    member.socketId = connection.id
    member.connection = connection
    this.add(member)
  }

  #count ({ node }: Member, change: 1 | -1): void {
    if (node === undefined) return
    const count = (this.#connectedAt.get(node) ?? 0) + change
    if (count > 0) this.#connectedAt.set(node, count)
    else this.#connectedAt.delete(node)
  }
}

/** Limits of an answer to `join`: members, and characters of JSON. */
const joinedMembersMax = 1000
const joinedLengthMax = 512 * 1024

function joinedAnswer ({ name, members }: Channel): PreparedAnswer<JoinAnswer> {
  const texts: string[] = []
  let length = 0
  for (const member of members.values()) {
    const text = memberJson(member)
    length += text.length + 1
    if (texts.length >= joinedMembersMax || length > joinedLengthMax) break
    texts.push(text)
  }
  return new PreparedAnswer<JoinAnswer>({
    channel: JSON.stringify(name),
    members: `[${texts.join()}]`,
    ...(texts.length < members.size && { truncated: 'true', memberCount: String(members.size) })
  })
}

export const toMember = ({ socketId, userId, joinedAt, state }: Member): ChannelMember => ({
  socketId, userId, joinedAt, state: state.value
})

/** Returns `toMember` as JSON text, with `previousSocketId` if the member has another connection than before. */
export const memberJson = ({ socketId, userId, joinedAt, state }: Member, previousSocketId?: string): string =>
  `{"socketId":"${socketId}","userId":${JSON.stringify(userId)},"joinedAt":${joinedAt},"state":${state.text}` +
  `${
    previousSocketId === undefined || previousSocketId === socketId ? '' : `,"previousSocketId":"${previousSocketId}"`
  }}`

/** A change that is sent to a channel's members. `previousSocketId` is set for a member with a new connection. */
export interface PresenceChange { action: PresenceAction, member: Member, previousSocketId?: string | undefined }

/** Returns the JSON text of the presence message and of its event. */
export const presenceBody = (channel: string, { action, member, previousSocketId }: PresenceChange): string =>
  `{"channel":${JSON.stringify(channel)},"action":"${action}","member":${memberJson(member, previousSocketId)}}`

export const presenceMessage = (body: string): SharedMessage => new SharedMessage('presence', body)
