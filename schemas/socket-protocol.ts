import { Type, type Static, type TObject, type TSchema } from '@sinclair/typebox'
import { AppendAnswer, AppendBatchAnswer, AppendRequest } from './append.ts'
import {
  ChannelMessage, DirectAnswer, DirectRequest, JoinAnswer, JoinRequest, LeaveAnswer, LeaveRequest, PresenceAnswer,
  PresenceMessage, PresenceRequest, PublishAnswer, PublishRequest
} from './channel-requests.ts'
import {
  AuthAnswer, AuthRequest, SubscribeAnswer, SubscribePatternAnswer, SubscribeRequest, UnsubscribeAnswer,
  UnsubscribeRequest
} from './realtime.ts'
import { ChannelResync, Closing, SocketEvent, SubscriptionResync } from './socket-messages.ts'

/*
 * The socket protocol: every request with its answer, and every message of the server. The types of the handlers, the
 * validation of requests and docs/asyncapi.json come from these tables.
 */

interface RequestSchemas {
  /** The fields of the request. */
  fields: TObject
  /** The fields of the answer. */
  answer: TSchema
  /** The type of the answering frame over `/ws`. Over Socket.IO, an acknowledgement answers. */
  frame: string
}

/** The requests of an authenticated client, by name. */
export const socketRequests = {
  subscribe: {
    fields: SubscribeRequest,
    answer: Type.Union([SubscribeAnswer, SubscribePatternAnswer], { description: 'The subscription has begun.' }),
    frame: 'subscribed'
  },
  unsubscribe: { fields: UnsubscribeRequest, answer: UnsubscribeAnswer, frame: 'unsubscribed' },
  append: {
    fields: AppendRequest,
    answer: Type.Union([AppendAnswer, AppendBatchAnswer], { description: 'The events are stored.' }),
    frame: 'appended'
  },
  auth: { fields: AuthRequest, answer: AuthAnswer, frame: 'authenticated' },
  join: { fields: JoinRequest, answer: JoinAnswer, frame: 'joined' },
  leave: { fields: LeaveRequest, answer: LeaveAnswer, frame: 'left' },
  presence: { fields: PresenceRequest, answer: PresenceAnswer, frame: 'updated' },
  publish: { fields: PublishRequest, answer: PublishAnswer, frame: 'published' },
  direct: { fields: DirectRequest, answer: DirectAnswer, frame: 'directed' }
} as const satisfies Record<string, RequestSchemas>

export type RequestName = keyof typeof socketRequests
export type RequestFields<N extends RequestName> = Static<typeof socketRequests[N]['fields']>
export type AnswerFields<N extends RequestName> = Static<typeof socketRequests[N]['answer']>

/** The messages that the server sends without a request, by name. Over `/ws`, a close frame replaces `closing`. */
export const serverMessages = {
  event: SocketEvent,
  message: ChannelMessage,
  presence: PresenceMessage,
  resync: Type.Union([SubscriptionResync, ChannelResync], {
    description: 'A subscription, or a membership in a channel, has ended because messages would be missing.'
  }),
  closing: Closing
} as const satisfies Record<string, TSchema>

export type ServerMessageName = keyof typeof serverMessages
export type ServerMessage<N extends ServerMessageName> = Static<typeof serverMessages[N]>
