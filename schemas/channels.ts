import { Type, type Static } from '@sinclair/typebox'
import { EpochMs, Nullable } from './common.ts'
import { listFields, listShape } from './lists.ts'

/** Excludes the C0 and C1 control characters. */
const printable = '^[^\\u0000-\\u001f\\u007f-\\u009f]+$'

export const ChannelName = Type.String({
  minLength: 1,
  maxLength: 200,
  pattern: printable,
  description: 'Printable characters. `doc:<service>:<id>` is the channel of the clients that view a document.',
  examples: ['chat:room1']
})
export const EventName = Type.String({
  minLength: 1, maxLength: 100, pattern: printable,
  description: 'The kind of message. Clients choose the names.', examples: ['typing']
})
export const SocketId = Type.String({
  minLength: 1, maxLength: 64, description: 'The id of a connection.', examples: ['conn_b3F0aGVyY29ubjEx']
})
export const Data = Type.Unknown({
  description: 'Any JSON of at most 256 KiB and 64 levels.', examples: [{ draft: true }]
})
export const State = Type.Unknown({ description: 'Any JSON of at most 4 KiB.', examples: [{ status: 'away' }] })

export const stateBytesMax = 4096

export const ChannelMember = Type.Object({
  socketId: Type.String({
    description: "The id of the member's connection; while the member is away, of its last one.",
    examples: ['conn_b3F0aGVyY29ubjEx']
  }),
  userId: Type.String({ description: "The `sub` of the member's token, or the user's id.", examples: ['user-7'] }),
  joinedAt: EpochMs('The time of joining. A reconnect within the grace period does not change it.'),
  state: Type.Unknown({
    description: 'The state that the member has set; null without one.', examples: [{ status: 'away' }]
  })
}, { $id: 'ChannelMember' })
export type ChannelMember = Static<typeof ChannelMember>

export const ChannelSummary = Type.Object({
  name: Type.String({ examples: ['chat:room1'] }),
  memberCount: Type.Integer({ minimum: 1, examples: [5] })
}, { $id: 'ChannelSummary' })
export type ChannelSummary = Static<typeof ChannelSummary>

export const channelList = listShape('channels', { sorts: ['name'], order: 'asc', search: ['name'] })
export const ChannelQuery = Type.Object(listFields(channelList, 'chat'), { additionalProperties: false })
export type ChannelQuery = Static<typeof ChannelQuery>

export const memberList = listShape('members', {
  sorts: ['joinedAt', 'userId'], order: 'asc', search: ['userId', 'socketId']
})
export const MemberQuery = Type.Object({
  ...listFields(memberList, 'user-7'),
  userId: Type.Optional(Type.String({
    minLength: 1, maxLength: 300, pattern: '^[^\\u0000]*$', description: 'Only members with this `userId`.',
    examples: ['user-7']
  }))
}, { additionalProperties: false })
export type MemberQuery = Static<typeof MemberQuery>

export const ConnectionCount = Type.Object({ count: Type.Integer({ minimum: 0, examples: [42] }) }, {
  $id: 'ConnectionCount'
})
export type ConnectionCount = Static<typeof ConnectionCount>

export const Broadcast = Type.Object({ channel: ChannelName, event: EventName, data: Data }, {
  $id: 'Broadcast', additionalProperties: false
})
export type Broadcast = Static<typeof Broadcast>

export const BroadcastAnswer = Type.Object({
  delivered: Nullable(Type.Integer({ minimum: 0 }), {
    description:
      'The number of connected members that the message was sent to; null for the channel of a document if the ' +
        'caller lacks `documents:read`.',
    examples: [5]
  })
}, { $id: 'BroadcastAnswer' })
export type BroadcastAnswer = Static<typeof BroadcastAnswer>

export const ChannelPath = Type.Object({ channel: ChannelName })
