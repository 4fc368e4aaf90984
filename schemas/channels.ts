import { Type, type Static } from '@sinclair/typebox'
import { EpochMs, Nullable } from './common.ts'

/** Nothing of the C0 and C1 control characters. */
const printable = '^[^\\u0000-\\u001f\\u007f-\\u009f]+$'

export const ChannelName = Type.String({
  minLength: 1,
  maxLength: 200,
  pattern: printable,
  description: 'Any printable characters. `doc:<service>:<id>` is the channel of those who look at a document.',
  examples: ['chat:room1']
})
const EventName = Type.String({
  minLength: 1, maxLength: 100, pattern: printable,
  description: 'What kind of message it is: for the clients to agree on.', examples: ['typing']
})
const SocketId = Type.String({ minLength: 1, maxLength: 64, examples: ['conn_b3F0aGVyY29ubjEx'] })
const Data = Type.Unknown({ description: 'Any JSON: at most 256 KiB and 64 levels deep.', examples: [{ draft: true }] })
const State = Type.Unknown({ description: 'Any JSON of at most 4 KiB.', examples: [{ status: 'away' }] })

export const stateBytesMax = 4096

/* The fields of the sockets' requests, the same over Socket.IO and `/ws`. */
export const JoinRequest = Type.Object({
  channel: ChannelName, state: Type.Optional(State), previousSocketId: Type.Optional(SocketId)
}, { additionalProperties: false })
export type JoinRequest = Static<typeof JoinRequest>
export const LeaveRequest = Type.Object({ channel: ChannelName }, { additionalProperties: false })
export type LeaveRequest = Static<typeof LeaveRequest>
export const PublishRequest = Type.Object({ channel: ChannelName, event: EventName, data: Data }, {
  additionalProperties: false
})
export type PublishRequest = Static<typeof PublishRequest>
export const DirectRequest = Type.Object({ socketId: SocketId, event: EventName, data: Data }, {
  additionalProperties: false
})
export type DirectRequest = Static<typeof DirectRequest>
export const PresenceRequest = Type.Object({ channel: ChannelName, state: State }, { additionalProperties: false })
export type PresenceRequest = Static<typeof PresenceRequest>

export const ChannelMember = Type.Object({
  socketId: Type.String({
    description: "The member's connection; of one that is away for the moment, its last.",
    examples: ['conn_b3F0aGVyY29ubjEx']
  }),
  userId: Type.String({ description: "The token's `sub`, or the user's id.", examples: ['user-7'] }),
  joinedAt: EpochMs('When it joined; a reconnect does not change it.'),
  state: Type.Unknown({
    description: 'What the member says of itself; null when it said nothing.', examples: [{ status: 'away' }]
  })
}, { $id: 'ChannelMember' })
export type ChannelMember = Static<typeof ChannelMember>

export const ChannelSummary = Type.Object({
  name: Type.String({ examples: ['chat:room1'] }),
  memberCount: Type.Integer({ minimum: 1, examples: [5] })
}, { $id: 'ChannelSummary' })
export type ChannelSummary = Static<typeof ChannelSummary>

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
      'The connected members it was sent to; null of the channel of a document for whoever may not read documents.',
    examples: [5]
  })
}, { $id: 'BroadcastAnswer' })
export type BroadcastAnswer = Static<typeof BroadcastAnswer>

export const ChannelPath = Type.Object({ channel: ChannelName })

export const Sender = Type.Object({ socketId: Nullable(Type.String()), userId: Type.String() })
/** Who sent a message. `socketId` null: it came by REST. */
export type Sender = Static<typeof Sender>

export type PresenceAction = 'join' | 'leave' | 'update'
