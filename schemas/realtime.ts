import { Type, type Static } from '@sinclair/typebox'

export const returnModes = ['full', 'diff', 'both'] as const
export type ReturnMode = typeof returnModes[number]

const Offset = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })

/** The fields of a `subscribe` request, the same over Socket.IO and `/ws`. */
export const SubscribeRequest = Type.Object({
  topic: Type.String({
    minLength: 1,
    maxLength: 300,
    pattern: '^(?:\\*{1,2}|[a-z0-9]+)(?:\\.(?:\\*{1,2}|[a-z0-9_-]+))*$',
    description: 'A topic, or a pattern: `*` matches one segment, `**` at the end one or more.'
  }),
  filter: Type.Optional(
    Type.Record(Type.String(), Type.Unknown(), { maxProperties: 32, description: 'Every key must match.' })
  ),
  returnMode: Type.Optional(Type.Union(returnModes.map(mode => Type.Literal(mode)))),
  after: Type.Optional(
    Type.Union([Offset, Type.Record(Type.String({ maxLength: 300 }), Offset, { maxProperties: 2000 })], {
      description:
        'Resume after this offset. For a pattern: an object with an offset for each topic; the offset under the ' +
          'pattern itself is for topics that are not named.'
    })
  ),
  epoch: Type.Optional(Type.String({ maxLength: 64, description: 'The epoch that `after` belongs to.' })),
  epochs: Type.Optional(
    Type.Record(Type.String({ maxLength: 300 }), Type.String({ maxLength: 64 }), {
      maxProperties: 2000,
      description: 'For a pattern: by topic, the epochs that `after` belongs to.'
    })
  ),
  rewind: Type.Optional(
    Type.Integer({ minimum: 1, maximum: 10000, description: 'Start with up to this many of the latest events.' })
  )
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

/** The answer to a `subscribe` with a pattern. */
export interface SubscribePatternAnswer {
  subscriptionId: string
  /** The pattern. */
  topic: string
  /** By topic: every matching event above this offset arrives. Topics without events are not listed and start at 0. */
  offsets: Record<string, number>
  epochs: Record<string, string>
  /** With `after`: whether no event is missing of any topic that it named. */
  recovered: boolean
}

export interface SubscribeAnswer {
  subscriptionId: string
  topic: string
  /** Every matching event above this offset arrives. */
  offset: number
  epoch: string
  /** With `after`: whether no event since then is missing. */
  recovered: boolean
}
