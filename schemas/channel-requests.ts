import { Type, type Static } from '@sinclair/typebox'
import { ChannelMember, ChannelName, Data, EventName, SocketId, State } from './channels.ts'
import { Enum, EpochMs, Nullable } from './common.ts'

/* Channels, presence and messages in the socket protocol. The fields are the same over Socket.IO and `/ws`. */

const socketId = 'conn_b3F0aGVyY29ubjEx'
const member = { socketId, userId: 'user-7', joinedAt: 1705312800000, state: { status: 'here' } }

export const JoinRequest = Type.Object({
  channel: ChannelName,
  state: Type.Optional(State),
  previousSocketId: Type.Optional({
    ...SocketId, description: "After a reconnect: the id of the client's connection before, to take over its member."
  })
}, {
  $id: 'JoinRequest',
  additionalProperties: false,
  description: 'Makes the connection a member of a channel.',
  examples: [
    { channel: 'chat:room1' },
    { channel: 'chat:room1', state: { status: 'here' }, previousSocketId: 'conn_cHJldmlvdXNjb25u' }
  ]
})
export type JoinRequest = Static<typeof JoinRequest>

export const JoinAnswer = Type.Object({
  channel: ChannelName,
  members: Type.Array(ChannelMember, {
    maxItems: 1000, description: 'The members, including the connection itself.'
  }),
  truncated: Type.Optional(
    Type.Literal(true, {
      description: 'The channel has more members than an answer holds (1,000 members and 512 KiB of JSON).'
    })
  ),
  memberCount: Type.Optional(
    Type.Integer({
      minimum: 1, description: 'The number of all members, if `members` is truncated.', examples: [1200]
    })
  )
}, {
  $id: 'JoinAnswer',
  description: 'The connection is a member. Every message and every change from now on arrives.',
  examples: [
    { channel: 'chat:room1', members: [member] },
    { channel: 'chat:room1', members: [member], truncated: true, memberCount: 1200 }
  ]
})
export type JoinAnswer = Static<typeof JoinAnswer>

export const LeaveRequest = Type.Object({ channel: ChannelName }, {
  $id: 'LeaveRequest',
  additionalProperties: false,
  description: 'Ends the membership. Nothing arrives from the channel after the answer.',
  examples: [{ channel: 'chat:room1' }]
})
export type LeaveRequest = Static<typeof LeaveRequest>

export const LeaveAnswer = Type.Object({ channel: ChannelName }, {
  $id: 'LeaveAnswer',
  description: 'The connection is no longer a member.',
  examples: [{ channel: 'chat:room1' }]
})

export const PresenceRequest = Type.Object({ channel: ChannelName, state: State }, {
  $id: 'PresenceRequest',
  additionalProperties: false,
  description: "Replaces the member's state.",
  examples: [{ channel: 'chat:room1', state: { typing: true } }]
})
export type PresenceRequest = Static<typeof PresenceRequest>

export const PresenceAnswer = Type.Object({ channel: ChannelName }, {
  $id: 'PresenceAnswer',
  description: 'The state was replaced.',
  examples: [{ channel: 'chat:room1' }]
})

export const PublishRequest = Type.Object({ channel: ChannelName, event: EventName, data: Data }, {
  $id: 'PublishRequest',
  additionalProperties: false,
  description: 'Sends a message to every member of a channel except the sender, who need not be a member.',
  examples: [{ channel: 'chat:room1', event: 'said', data: { text: 'hello' } }]
})
export type PublishRequest = Static<typeof PublishRequest>

export const PublishAnswer = Type.Object({
  delivered: Nullable(Type.Integer({ minimum: 0 }), {
    description:
      'The number of members that the message was sent to; null for the channel of a document if the connection ' +
        'lacks `documents:read`.',
    examples: [4]
  })
}, {
  $id: 'PublishAnswer',
  description: 'The message was sent.',
  examples: [{ delivered: 4 }]
})

export const DirectRequest = Type.Object({ socketId: SocketId, event: EventName, data: Data }, {
  $id: 'DirectRequest',
  additionalProperties: false,
  description: 'Sends a message to one connection of the scope.',
  examples: [{ socketId, event: 'psst', data: 'hello' }]
})
export type DirectRequest = Static<typeof DirectRequest>

export const DirectAnswer = Type.Object({
  delivered: Type.Integer({
    minimum: 0,
    maximum: 1,
    description: '0 if the connection reads too slowly to accept the message.',
    examples: [1]
  })
}, { $id: 'DirectAnswer', description: 'The message was sent.', examples: [{ delivered: 1 }] })

export const Sender = Type.Object({
  socketId: Nullable(Type.String(), {
    description: "The id of the sender's connection; null for a message sent by REST.", examples: [socketId]
  }),
  userId: Type.String({ description: "The `sub` of the sender's token, or the user's id.", examples: ['user-7'] })
}, { $id: 'Sender', description: 'The sender of a message.' })
export type Sender = Static<typeof Sender>

export const ChannelMessage = Type.Object({
  channel: Type.Optional({ ...ChannelName, description: 'The channel. Absent for a message of `direct`.' }),
  event: EventName,
  data: Data,
  from: Sender,
  timestamp: EpochMs('When the server sent the message.')
}, {
  $id: 'ChannelMessage',
  description: 'A message that was sent to a channel of the connection, or to the connection itself.',
  examples: [
    {
      channel: 'chat:room1',
      event: 'said',
      data: { text: 'hello' },
      from: { socketId, userId: 'user-7' },
      timestamp: 1705312800000
    },
    { event: 'psst', data: 'hello', from: { socketId, userId: 'user-7' }, timestamp: 1705312800000 }
  ]
})

const presenceActions = ['join', 'leave', 'update'] as const
export type PresenceAction = typeof presenceActions[number]

export const PresenceMessage = Type.Object({
  channel: ChannelName,
  action: Enum('PresenceAction', presenceActions, { description: 'The change.', examples: ['join'] }),
  member: Type.Object({
    ...ChannelMember.properties,
    previousSocketId: Type.Optional({
      ...SocketId, description: "The id of the member's connection before, if it now has another one."
    })
  }, { $id: 'ChangedMember', description: 'A member after the change; for `leave`, before it.' })
}, {
  $id: 'PresenceMessage',
  description: 'The members of a channel of the connection have changed.',
  examples: [
    { channel: 'chat:room1', action: 'join', member },
    { channel: 'chat:room1', action: 'update', member: { ...member, previousSocketId: 'conn_cHJldmlvdXNjb25u' } }
  ]
})
