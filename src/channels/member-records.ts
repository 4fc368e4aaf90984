import type { Cluster } from '../cluster/cluster.ts'
import type { PresenceAction } from '../../schemas/channel-requests.ts'
import { scopeKey, type Environment, type Scope } from '../../schemas/scope.ts'
import type { Channel, Member } from './channel.ts'

export const memberPrefix = 'member\n'

/** Why a record was set. Changes with `away` are not sent to members. */
export type Reason = Exclude<PresenceAction, 'leave'> | 'away'

export interface MemberKey { scope: Scope, channel: string, socketId: string }

export interface MemberRecord {
  userId: string
  principalId: string
  joinedAt: number
  isAway: boolean
  stateText: string
}

/** Shares this node's members with other nodes as records. No part of a key can contain a line break. */
export function createMemberRecords (records: Cluster['records']) {
  const keyOf = ({ scope, name }: Channel, socketId: string) =>
    `${memberPrefix}${scopeKey(scope)}\n${name}\n${socketId}`
  return {
    /** Shares a member. `previousSocketId` identifies the record, on any node, that this one replaces. */
    put (channel: Channel, member: Member, reason: Reason, previousSocketId?: string): void {
      const { userId, principalId, joinedAt, state, socketId } = member
      const value = JSON.stringify([userId, principalId, joinedAt, channel.isAway(member) ? 1 : 0, state.text])
      const isMoved = previousSocketId !== undefined && previousSocketId !== socketId
      records.set(keyOf(channel, socketId), value, isMoved ? `${reason} ${previousSocketId}` : reason)
      if (isMoved) records.delete(keyOf(channel, previousSocketId))
    },

    remove (channel: Channel, socketId: string): void {
      records.delete(keyOf(channel, socketId))
    }
  }
}
export type MemberRecords = ReturnType<typeof createMemberRecords>

export function parseKey (key: string): MemberKey {
  const [, scope = '', channel = '', socketId = ''] = key.split('\n')
  const [applicationId = '', environment] = scope.split('/')
  return { scope: { applicationId, environment: environment as Environment }, channel, socketId }
}

export function parseRecord (value: string): MemberRecord {
  const [userId, principalId, joinedAt, isAway, stateText] = JSON.parse(value) as [
    string, string, number, 0 | 1, string
  ]
  return { userId, principalId, joinedAt, isAway: isAway === 1, stateText }
}

export function parseNote (
  note: string | undefined
): { reason: Reason | undefined, previousSocketId: string | undefined } {
  const [reason, previousSocketId] = note?.split(' ') ?? []
  return { reason: reason as Reason | undefined, previousSocketId }
}
