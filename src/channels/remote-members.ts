import type { RecordsObserver } from '../cluster/shared-records.ts'
import type { GracePeriods } from '../identity/applications/grace-periods.ts'
import { memberJson, type Channel, type Member, presenceBody, presenceMessage, type PresenceChange } from './channel.ts'
import type { Directory } from './directory.ts'
import type { MemberBytes } from './member-bytes.ts'
import { parseKey, parseNote, parseRecord, type MemberKey } from './member-records.ts'
import type { MessageQueue } from './message-queue.ts'
import type { Presence } from './presence.ts'
import type { SocketEvents } from './socket-events.ts'

export interface RemoteMembersOptions {
  directory: Directory
  queue: MessageQueue
  events: SocketEvents
  gracePeriods: GracePeriods
  presence: Presence
  bytes: MemberBytes
}

/**
 * Adds the members of other nodes to this node's channels, and sends their changes to the members here. A client that
 * joins here may take over an away member. When a node is gone, its members count as away, and leave once the
 * application's grace period since the node's last heartbeat is over. Every node applies this; the log records it once.
 */
export class RemoteMembers implements Partial<RecordsObserver> {
  readonly #options: RemoteMembersOptions
  #isClosed = false

  constructor (options: RemoteMembersOptions) {
    this.#options = options
  }

  changed (node: string, key: string, value: string, note: string | undefined): void {
    const { directory, presence } = this.#options
    const at = parseKey(key)
    const { reason, previousSocketId } = parseNote(note)
    const before = directory.channel(at.scope, at.channel)?.members.get(at.socketId)
    // An absence of a member that this node has taken over meanwhile. The other node will receive that change.
    if ((before === undefined && reason === 'away') || (before !== undefined && before.node === undefined)) return
    const channel = directory.openChannel(at.scope, at.channel)
    if (before !== undefined) this.#remove(channel, before)
    const member = this.#add(channel, node, at, value)
    const previous = previousSocketId === undefined ? undefined : channel.members.get(previousSocketId)
    if (previous !== undefined) {
      if (previous.node === undefined) presence.yields(channel, previous)
      else this.#remove(channel, previous)
    }
    if (reason === 'join' || (reason === undefined && before === undefined)) {
      this.#tell(channel, { action: 'join', member })
    } else if (reason === 'update' || (before !== undefined && memberJson(before) !== memberJson(member))) {
      this.#tell(channel, { action: 'update', member, previousSocketId })
    }
  }

  /**
   * Sends the leave of a member, unless `changed` has replaced it by the same client's new connection. A copy of the
   * records can reveal a new connection without what it replaces; then the old one leaves here.
   */
  removed (node: string, key: string): void {
    const { directory } = this.#options
    const { scope, channel: name, socketId } = parseKey(key)
    const channel = directory.channel(scope, name)
    const member = channel?.members.get(socketId)
    if (channel === undefined || member?.node !== node) return
    this.#remove(channel, member)
    directory.closeIfEmpty(channel)
    this.#tell(channel, { action: 'leave', member })
  }

  left (node: string, records: ReadonlyMap<string, string>, silentMs: number): void {
    const absence = Symbol('absence')
    const byApplication = new Map<string, { channel: Channel, member: Member }[]>()
    for (const key of records.keys()) {
      const { scope, channel: name, socketId } = parseKey(key)
      const channel = this.#options.directory.channel(scope, name)
      const member = channel?.members.get(socketId)
      if (channel === undefined || member?.node !== node) continue
      channel.sendAway(member, absence)
      const away = byApplication.get(scope.applicationId)
      if (away === undefined) byApplication.set(scope.applicationId, [{ channel, member }])
      else away.push({ channel, member })
    }
    for (const [applicationId, away] of byApplication) {
      void this.#options.gracePeriods.of(applicationId).then(graceMs => {
        setTimeout(() => {
          for (const { channel, member } of away) if (member.absence === absence) this.#end(channel, member, node)
        }, Math.max(0, graceMs - silentMs)).unref()
      })
    }
  }

  renamed (): void {
    this.#options.presence.renamed()
  }

  close (): void {
    this.#isClosed = true
  }

  #add (channel: Channel, node: string, { socketId }: MemberKey, value: string): Member {
    const { userId, principalId, joinedAt, isAway, stateText } = parseRecord(value)
    const member: Member = {
      socketId,
      userId,
      principalId,
      joinedAt,
      node,
      state: { text: stateText, value: JSON.parse(stateText) as unknown },
      connection: undefined,
      absence: undefined
    }
    channel.add(member)
    this.#options.bytes.add(channel.scope, member)
    if (isAway) channel.sendAway(member, Symbol('absence'))
    return member
  }

  #remove (channel: Channel, member: Member): void {
    channel.remove(member)
    this.#options.bytes.remove(channel.scope, member)
  }

  #end (channel: Channel, member: Member, node: string): void {
    if (this.#isClosed) return
    const { directory, events } = this.#options
    this.#remove(channel, member)
    directory.closeIfEmpty(channel)
    const change: PresenceChange = { action: 'leave', member }
    events.presence(
      channel.scope,
      channel.name,
      presenceBody(channel.name, change),
      `presence ${node} ${member.socketId} ${channel.name}`
    )
    this.#tell(channel, change)
  }

  #tell ({ name, members }: Channel, change: PresenceChange): void {
    this.#options.queue.sendToMembers(members.values(), presenceMessage(presenceBody(name, change)))
  }
}
