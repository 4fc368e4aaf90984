import { Type, type Static } from '@sinclair/typebox'
import { ChannelName, SocketId } from './channels.ts'
import { Enum, EpochMs, Nullable, ref, Text } from './common.ts'
import { listFields, listShape } from './lists.ts'
import { returnModes, SubscriptionId } from './realtime.ts'

/* The open connections of a scope, for REST. Over HTTP a connection is named as in the socket protocol: a socket. */

const Transport = (options: Record<string, unknown>) =>
  Enum('SocketTransport', ['socket.io', 'ws'], { examples: ['socket.io'], ...options })
const Count = (description: string, example: number) => Type.Integer({ minimum: 0, description, examples: [example] })

const socketFields = {
  id: SocketId,
  transport: Transport({ description: 'Socket.IO, or plain WebSocket at `/ws`.' }),
  principal: Type.Object({
    kind: Enum('PrincipalKind', ['session', 'token', 'api-key'], {
      description: 'A user, the bearer of a token, or an API key.', examples: ['token']
    }),
    id: Type.String({
      description: "The user's id, the application and subject of a token, or the id of an API key.",
      examples: ['app_abc123/user-7']
    }),
    name: Nullable(Type.String(), {
      description: 'The name of the user or the API key; null for a token.', examples: [null]
    })
  }),
  userId: Type.String({ description: "The `sub` of the client's token, or the user's id.", examples: ['user-7'] }),
  address: Type.String({ description: "The client's address.", examples: ['203.0.113.7'] }),
  userAgent: Nullable(Type.String(), {
    description: 'The `User-Agent` of the handshake, at most 200 characters.', examples: ['Mozilla/5.0']
  }),
  nodeId: Type.String({ description: 'The node that has the connection.', examples: ['node_abc123'] }),
  connectedAt: EpochMs('When the client was authenticated.'),
  expiresAt: Nullable(Type.Integer(), {
    description: 'When the credential expires, in epoch milliseconds; null if it does not.', examples: [1705316400000]
  }),
  subscriptionCount: Count('The number of its subscriptions.', 3),
  channelCount: Count('The number of channels that it is in. Those of documents count with `documents:read`.', 1),
  bufferedBytes: Count('Bytes that the client has not read yet.', 0)
}

export const SocketSummary = Type.Object(socketFields, { $id: 'SocketSummary' })
export type SocketSummary = Static<typeof SocketSummary>

const Offset = (description: string, example: number) => Type.Integer({ minimum: 0, description, examples: [example] })

const SubscriptionPosition = Type.Object({
  topic: Type.String({ examples: ['order.placed'] }),
  epoch: Type.String({ examples: ['k3J9sQ2x'] }),
  after: Offset('The offset after which the subscription began.', 1190),
  position: Offset('The offset up to which events were matched and sent.', 1204),
  lag: Nullable(Type.Integer({ minimum: 0 }), {
    description: 'How many events the log has beyond `position`; null if the log has another epoch by now.',
    examples: [0]
  })
})

export const SocketSubscription = Type.Object({
  id: SubscriptionId,
  topic: Type.String({ description: 'A topic, or a pattern.', examples: ['order.*'] }),
  startedAt: EpochMs('When it began.'),
  returnMode: Enum('ReturnMode', returnModes, { examples: ['full'] }),
  hasFilter: Type.Boolean({ examples: [true] }),
  filter: Nullable(Type.Record(Type.String(), Type.Unknown()), {
    description: 'The filter; null without one, and if the caller may not subscribe to the topic.',
    examples: [{ total: { gte: 100 } }]
  }),
  topicCount: Count('The number of topics that it covers: 1, or those that the pattern matches.', 2),
  positions: Type.Array(SubscriptionPosition, {
    description: 'The first 100 of these topics that the caller may subscribe to, by name.'
  })
}, { $id: 'SocketSubscription' })
export type SocketSubscription = Static<typeof SocketSubscription>

export const SocketDetail = Type.Object({
  ...socketFields,
  subscriptions: Type.Array(ref(SocketSubscription), { description: 'Its subscriptions, the oldest first.' }),
  channels: Type.Array(
    Type.Object({ name: ChannelName, joinedAt: EpochMs('The time of joining.') }),
    { description: 'The channels that it is in. Those of documents are included with `documents:read`.' }
  )
}, { $id: 'SocketDetail' })
export type SocketDetail = Static<typeof SocketDetail>

export const socketList = listShape('sockets', {
  sorts: ['connectedAt', 'userId', 'subscriptionCount', 'channelCount', 'bufferedBytes'],
  order: 'desc',
  search: ['id', 'userId', 'principal.name', 'address', 'userAgent']
})
export const SocketQuery = Type.Object({
  ...listFields(socketList, 'user-7'),
  userId: Type.Optional(Text(300, { description: 'Only sockets with this `userId`.', examples: ['user-7'] })),
  transport: Type.Optional(Transport({ description: 'Only sockets over this transport.' }))
}, { additionalProperties: false })
export type SocketQuery = Static<typeof SocketQuery>

export const SocketPath = Type.Object({
  id: Type.String({ ...SocketId, pattern: '^[^\\u0000-\\u001f\\u007f-\\u009f]+$' })
})
