import type { ChannelMember } from '../../schemas/channels.ts'
import type { Scope } from '../../schemas/scope.ts'
import type { Connection } from '../delivery/connection.ts'

/** What a member says of itself, with its JSON text. Treat the value as frozen. */
export interface State { value: unknown, text: string }

/** Somebody in a channel. */
export interface Member {
  /** Of the connection; while the member is away, of its last one. */
  socketId: string
  readonly userId: string
  /** Who it is over reconnects. */
  readonly principalId: string
  readonly joinedAt: number
  state: State
  /** Undefined while the member is away: its connection has ended, and it may be back within the grace period. */
  connection: Connection | undefined
  /** Names the absence, while the member is away: whoever ends it must know that it is still the same one. */
  absence: symbol | undefined
}

/** One channel of one scope: who is in it, by socket id. It exists while somebody is. */
export class Channel {
  readonly scope: Scope
  readonly name: string
  readonly members = new Map<string, Member>()
  readonly #away = new Set<Member>()

  constructor (scope: Scope, name: string) {
    this.scope = scope
    this.name = name
  }

  /** The member that is there by this connection. */
  present (connection: Connection): Member | undefined {
    const member = this.members.get(connection.id)
    return member?.connection === connection ? member : undefined
  }

  add (member: Member): void {
    this.members.set(member.socketId, member)
  }

  remove (member: Member): void {
    this.#away.delete(member)
    if (this.members.get(member.socketId) === member) this.members.delete(member.socketId)
  }

  /** The member stays, without a connection. */
  sendAway (member: Member, absence: symbol): void {
    member.connection = undefined
    member.absence = absence
    this.#away.add(member)
  }

  /**
   * The member that a connection of the same principal takes over: the one that it says it was, though the server may
   * not have noticed its end; its own of before; else, of those that are away, the one that has waited longest.
   */
  waitingFor (connection: Connection, previousSocketId: string | undefined): Member | undefined {
    const named = previousSocketId === undefined ? undefined : this.members.get(previousSocketId)
    if (named?.principalId === connection.principal.id) return named
    const own = this.members.get(connection.id)
    if (own !== undefined && this.#away.has(own)) return own
    for (const member of this.#away) if (member.principalId === connection.principal.id) return member
    return undefined
  }

  /** The waiting member is back, by another connection. */
  bringBack (member: Member, connection: Connection): void {
    this.remove(member)
    member.absence = undefined
    member.socketId = connection.id
    member.connection = connection
    this.members.set(member.socketId, member)
  }
}

export const toMember = ({ socketId, userId, joinedAt, state }: Member): ChannelMember => ({ socketId, userId, joinedAt, state: state.value })

/** As `toMember`, as JSON text. `previousSocketId`: of a member that is back by another connection. */
export const memberJson = ({ socketId, userId, joinedAt, state }: Member, previousSocketId?: string): string =>
  `{"socketId":"${socketId}","userId":${JSON.stringify(userId)},"joinedAt":${joinedAt},"state":${state.text}` +
  `${previousSocketId === undefined || previousSocketId === socketId ? '' : `,"previousSocketId":"${previousSocketId}"`}}`
