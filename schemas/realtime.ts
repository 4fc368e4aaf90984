import { Type, type Static } from '@sinclair/typebox'
import { TopicPath } from './topics.ts'

export const returnModes = ['full', 'diff', 'both'] as const
export type ReturnMode = typeof returnModes[number]

const Offset = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })

/** The fields of a `subscribe` request, the same over Socket.IO and `/ws`. */
export const SubscribeRequest = Type.Object({
  topic: TopicPath.properties.name,
  filter: Type.Optional(Type.Record(Type.String(), Type.Unknown(), { description: 'Every key must match.' })),
  returnMode: Type.Optional(Type.Union(returnModes.map(mode => Type.Literal(mode)))),
  after: Type.Optional(Offset),
  epoch: Type.Optional(Type.String({ maxLength: 64, description: 'The epoch that `after` belongs to.' })),
  rewind: Type.Optional(Type.Integer({ minimum: 1, maximum: 10000, description: 'Start with up to this many of the latest events.' }))
}, { $id: 'SubscribeRequest', additionalProperties: false })
export type SubscribeRequest = Static<typeof SubscribeRequest>

export const UnsubscribeRequest = Type.Object({
  subscriptionId: Type.String({ minLength: 1, maxLength: 64 })
}, { $id: 'UnsubscribeRequest', additionalProperties: false })
export type UnsubscribeRequest = Static<typeof UnsubscribeRequest>

export const AuthRequest = Type.Object({
  token: Type.String({ minLength: 1, maxLength: 8192 }),
  applicationId: Type.Optional(Type.String({ maxLength: 64 })),
  environment: Type.Optional(Type.String({ maxLength: 32 }))
}, { $id: 'AuthRequest', additionalProperties: false })
export type AuthRequest = Static<typeof AuthRequest>

export interface SubscribeAnswer {
  subscriptionId: string
  topic: string
  /** Every matching event above this offset arrives. */
  offset: number
  epoch: string
  /** With `after`: whether nothing between it and now is missing. */
  recovered: boolean
}
