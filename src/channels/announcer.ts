import type { Connection } from '../delivery/sockets/connection.ts'
import type { Metrics } from '../foundation/observability/metrics.ts'
import { presenceBody, presenceMessage, type Channel, type PresenceChange } from './channel.ts'
import type { MemberRecords } from './member-records.ts'
import type { MessageQueue } from './message-queue.ts'
import type { SocketEvents } from './socket-events.ts'

export interface AnnouncerOptions {
  queue: MessageQueue
  events: SocketEvents
  metrics: Metrics
  /** Shares this node's members with other nodes. */
  shared: MemberRecords
}

/**
 * Returns the function that announces a change of a member of this node: to the members here except one, to the other
 * nodes, and to those who listen to presence events.
 */
export function createAnnouncer ({ queue, events, metrics, shared }: AnnouncerOptions) {
  return function announce (channel: Channel, change: PresenceChange, except?: Connection): void {
    const { scope, name, members } = channel
    const { action, member, previousSocketId } = change
    const body = presenceBody(name, change)
    metrics.channelMessages.inc({ kind: 'presence' })
    if (action === 'leave') shared.remove(channel, member.socketId)
    else shared.put(channel, member, action, previousSocketId)
    events.presence(scope, name, body)
    queue.sendToMembers(members.values(), presenceMessage(body), except)
  }
}
export type Announce = ReturnType<typeof createAnnouncer>
