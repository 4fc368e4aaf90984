import { Type, type Static } from '@sinclair/typebox'
import { ChannelName } from './channels.ts'
import { Enum, ErrorBody } from './common.ts'
import { RealtimeEvent } from './events.ts'
import { SubscriptionId } from './realtime.ts'

/* Messages that the server sends over sockets without a request, and the handshake of Socket.IO. */

const event = {
  id: 'evt_b3F0aGVyZXZlbnQx',
  topic: 'order.placed',
  offset: 42,
  epoch: 'k3J9sQ2x',
  type: 'topic.event',
  source: 'api',
  applicationId: 'app_abc123',
  environment: 'development',
  timestamp: 1705312800000,
  schemaVersion: null,
  key: null,
  payload: { total: 42 },
  subscriptionIds: ['sub_b3F0aGVyc3ViczEx']
}

export const SocketEvent = Type.Object({
  ...RealtimeEvent.properties,
  subscriptionIds: Type.Array(SubscriptionId, {
    minItems: 1, description: "The connection's subscriptions that the event matched."
  })
}, { $id: 'SocketEvent', description: 'An event that matched a subscription of the connection.', examples: [event] })

const resync = {
  message: Type.String({
    description: 'The reason, in words.',
    examples: ['The client reads more slowly than its events arrive. Subscribe again with `after`']
  })
}

export const SubscriptionResync = Type.Object({
  subscriptionId: SubscriptionId,
  topic: Type.String({ description: 'The topic or pattern of the subscription.', examples: ['order.placed'] }),
  code: Enum(
    'SubscriptionResyncCode',
    ['SLOW_CONSUMER', 'RETENTION_PASSED', 'PATTERN_TOO_WIDE', 'PERMISSION_DENIED', 'DATABASE_UNAVAILABLE'],
    { description: 'The reason why the subscription ended.', examples: ['SLOW_CONSUMER'] }
  ),
  ...resync
}, {
  $id: 'SubscriptionResync',
  description:
    'A subscription could not continue without a gap and has ended. Subscribe again with `after`, the last offset ' +
      'that arrived.',
  examples: [{
    subscriptionId: 'sub_b3F0aGVyc3ViczEx',
    topic: 'order.placed',
    code: 'SLOW_CONSUMER',
    message: 'The client reads more slowly than its events arrive. Subscribe again with `after`'
  }]
})
export type SubscriptionResync = Static<typeof SubscriptionResync>

export const ChannelResync = Type.Object({
  channel: ChannelName,
  code: Enum('ChannelResyncCode', ['SLOW_CONSUMER', 'PERMISSION_DENIED', 'NOT_A_MEMBER'], {
    description: 'The reason why the membership ended.', examples: ['SLOW_CONSUMER']
  }),
  ...resync
}, {
  $id: 'ChannelResync',
  description: 'The membership in a channel has ended. Join again to learn its members.',
  examples: [{
    channel: 'chat:room1',
    code: 'SLOW_CONSUMER',
    message: 'The client reads more slowly than its messages arrive. Join the channel again'
  }]
})
export type ChannelResync = Static<typeof ChannelResync>

export const CloseReason = Enum('CloseReason', [
  'SHUTTING_DOWN', 'TRY_AGAIN_LATER', 'UNAUTHENTICATED', 'CREDENTIAL_EXPIRED', 'CREDENTIAL_REVOKED', 'SLOW_CONSUMER',
  'APPLICATION_DELETED', 'CLOSED_BY_OPERATOR', 'RATE_LIMITED'
], { description: 'The reason of the close.', examples: ['CREDENTIAL_EXPIRED'] })

export const Closing = Type.Object({
  code: Type.Integer({ description: 'The close code, as over `/ws`.', examples: [4402] }),
  reason: CloseReason,
  reconnect: Type.Boolean({
    description: 'Whether the client may reconnect with the same credential.', examples: [false]
  })
}, {
  $id: 'Closing',
  description: 'The server is about to close the connection.',
  examples: [{ code: 4402, reason: 'CREDENTIAL_EXPIRED', reconnect: false }]
})
export type Closing = Static<typeof Closing>

export const HandshakeAuth = Type.Object({
  token: Type.Optional(
    Type.String({
      description: 'A token from `POST /auth/token`, an API key (`rtk_…`), or a session token (`sess_…`).'
    })
  ),
  applicationId: Type.Optional(
    Type.String({ description: 'The application. Required with a session token, unless a header names it.' })
  ),
  environment: Type.Optional(
    Type.String({ description: "The environment. Without it, the token's, or else `development`." })
  )
}, {
  $id: 'HandshakeAuth',
  description:
    'The `auth` of the Socket.IO handshake. Its fields take precedence over the headers `Authorization`, ' +
      '`X-Session-Token`, `X-Application-Id` and `X-Environment`.',
  examples: [{
    token: 'eyJhbGciOiJIUzI1NiIsImtpZCI6ImtleV9hYmMxMjMifQ.eyJzdWIiOiJ1c2VyLTcifQ.c2lnbmF0dXJl',
    environment: 'development'
  }]
})
export type HandshakeAuth = Static<typeof HandshakeAuth>

export const Connected = Type.Object({
  sid: Type.String({ description: 'The id of the connection: `socket.id`.', examples: ['Q3kXf0aGVyY29ubjEx'] })
}, {
  $id: 'Connected',
  description: 'The handshake was accepted. socket.io-client emits `connect`.',
  examples: [{ sid: 'Q3kXf0aGVyY29ubjEx' }]
})

const handshakeRefusal = {
  error: 'UnauthorizedError',
  message: 'The credential is not valid: the session is unknown or has ended',
  code: 'CREDENTIAL_INVALID'
}

export const ConnectError = Type.Object({
  message: Type.String({ description: 'The message of the error.', examples: [handshakeRefusal.message] }),
  data: ErrorBody
}, {
  $id: 'ConnectError',
  description: 'The handshake was refused for good. socket.io-client emits `connect_error` and does not retry.',
  examples: [{ message: handshakeRefusal.message, data: handshakeRefusal }]
})
