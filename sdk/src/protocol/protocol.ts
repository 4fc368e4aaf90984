import type { components } from './schemas.gen.ts'

/*
 * The socket protocol as the server describes it in docs/asyncapi.json. Types only. Over both transports a request has
 * the same fields; the transports add what their encoding needs.
 */

type Schemas = components['schemas']

/** Removes what the transport adds to an answer. */
type Answer<Frame> = Frame extends unknown ? Omit<Frame, 'type' | 'id'> : never

export type SubscribeAnswer = Answer<Schemas['SubscribeAnswerFrame']>
export type SubscribePatternAnswer = Answer<Schemas['SubscribePatternAnswerFrame']>
export type AppendAnswer = Answer<Schemas['AppendAnswerFrame']>
export type AppendBatchAnswer = Answer<Schemas['AppendBatchAnswerFrame']>
export type AuthAnswer = Answer<Schemas['AuthAnswerFrame']>
export type JoinAnswer = Answer<Schemas['JoinAnswerFrame']>

/** Every request of an authenticated client, with its fields and its answer. */
export interface Requests {
  subscribe: { fields: Schemas['SubscribeRequest'], answer: SubscribeAnswer | SubscribePatternAnswer }
  unsubscribe: { fields: Schemas['UnsubscribeRequest'], answer: Answer<Schemas['UnsubscribeAnswerFrame']> }
  append: { fields: Schemas['AppendRequest'], answer: AppendAnswer | AppendBatchAnswer }
  auth: { fields: Schemas['AuthRequest'], answer: AuthAnswer }
  join: { fields: Schemas['JoinRequest'], answer: JoinAnswer }
  leave: { fields: Schemas['LeaveRequest'], answer: Answer<Schemas['LeaveAnswerFrame']> }
  presence: { fields: Schemas['PresenceRequest'], answer: Answer<Schemas['PresenceAnswerFrame']> }
  publish: { fields: Schemas['PublishRequest'], answer: Answer<Schemas['PublishAnswerFrame']> }
  direct: { fields: Schemas['DirectRequest'], answer: Answer<Schemas['DirectAnswerFrame']> }
}
export type RequestName = keyof Requests
export type Fields<N extends RequestName> = Requests[N]['fields']
export type AnswerTo<N extends RequestName> = Requests[N]['answer']

export type SubscriptionResync = Schemas['SubscriptionResync']
export type ChannelResync = Schemas['ChannelResync']

/** Every message that the server sends without a request. */
export interface Messages {
  event: Schemas['SocketEvent']
  message: Schemas['ChannelMessage']
  presence: Schemas['PresenceMessage']
  resync: SubscriptionResync | ChannelResync
}
export type MessageName = keyof Messages

type AnswerFrame = Schemas[
  'SubscribeAnswerFrame' | 'SubscribePatternAnswerFrame' | 'UnsubscribeAnswerFrame' | 'AppendAnswerFrame' |
  'AppendBatchAnswerFrame' | 'AuthAnswerFrame' | 'JoinAnswerFrame' | 'LeaveAnswerFrame' | 'PresenceAnswerFrame' |
  'PublishAnswerFrame' | 'DirectAnswerFrame'
]

/** Every frame that the server sends over `/ws`. */
export type ServerFrame = AnswerFrame | Schemas[
  'AuthenticatedFrame' | 'ErrorFrame' | 'PongFrame' | 'EventFrame' | 'ChannelMessageFrame' | 'PresenceMessageFrame' |
  'SubscriptionResyncFrame' | 'ChannelResyncFrame'
]

/** An answer or a refusal over Socket.IO. */
export type Acknowledgement = { ok: true } | ({ ok: false } & ErrorBody)

/** The server's body of a refusal, over REST and over sockets. */
export type ErrorBody = Schemas['Error']
/** The first answer over `/ws`. */
export type Hello = Answer<Schemas['AuthenticatedFrame']>
export type Closing = Schemas['Closing']
export type ReturnMode = Schemas['ReturnMode']
export type Filter = NonNullable<Schemas['SubscribeRequest']['filter']>
export type ChannelMember = Schemas['ChannelMember']
export type Sender = Schemas['Sender']
export type Environment = Schemas['Environment']

/** An event as the server sends it: the envelope around a payload. docs/PROTOCOL.md#events describes the fields. */
export interface RealtimeEvent<Payload = unknown> extends Omit<Messages['event'], 'payload' | 'subscriptionIds'> {
  payload: Payload
}
