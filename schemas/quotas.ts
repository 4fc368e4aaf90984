import { Type, type Static } from '@sinclair/typebox'
import { Enum, Nullable } from './common.ts'

/** The names of the quotas, as in `details` of a refusal. */
export const quotaNames = [
  'publishesPerSecond', 'bytesStored', 'sockets', 'subscriptions', 'webhooks', 'documents'
] as const
export type QuotaName = typeof quotaNames[number]

const limit = (description: string, example: number, { minimum = 0, maximum = 2_000_000_000 } = {}) =>
  Nullable(Type.Integer({ minimum, maximum, examples: [example] }), { description })

const limits = {
  publishesPerSecond: limit(
    'Events per second: publishes over REST and sockets, and writes to documents.', 500, { minimum: 1 }
  ),
  bytesStored: limit(
    'Bytes of the events in the log: payloads, differences and metadata.', 10_000_000_000,
    { maximum: Number.MAX_SAFE_INTEGER }
  ),
  sockets: limit('Open sockets.', 1000),
  subscriptions: limit('Subscriptions of all sockets.', 20_000),
  webhooks: limit('Webhooks.', 20),
  documents: limit('Documents in all environments, without deleted ones.', 100_000)
}

export const Quotas = Type.Object(limits, {
  $id: 'Quotas', description: 'The quotas of an application over all nodes and environments. null is no limit.'
})
export type Quotas = Static<typeof Quotas>

export const QuotasChange = Type.Object({
  publishesPerSecond: Type.Optional(limits.publishesPerSecond),
  bytesStored: Type.Optional(limits.bytesStored),
  sockets: Type.Optional(limits.sockets),
  subscriptions: Type.Optional(limits.subscriptions),
  webhooks: Type.Optional(limits.webhooks),
  documents: Type.Optional(limits.documents)
}, {
  $id: 'QuotasChange',
  additionalProperties: false,
  description: 'Replaces all quotas. null is no limit; a member that is absent gets the default of the server.',
  examples: [{ publishesPerSecond: 500, sockets: 1000, webhooks: 20 }]
})
export type QuotasChange = Static<typeof QuotasChange>

const time = (description: string) =>
  Type.Integer({
    minimum: 0, maximum: 8_640_000_000_000_000, description: `${description} Epoch milliseconds.`,
    examples: [1705312800000]
  })

export const UsageQuery = Type.Object({
  from: Type.Optional(time('The first period is the one with this time. Default: 30 days or 24 hours before `to`.')),
  to: Type.Optional(time('Periods that begin before this time. Default: now.')),
  by: Type.Optional(
    Enum('UsagePeriod', ['day', 'hour'], {
      default: 'day', description: 'The length of the periods, in UTC.', examples: ['day']
    })
  )
}, { additionalProperties: false })
export type UsageQuery = Static<typeof UsageQuery>

const count = (description: string, example = 1200) => Type.Integer({ minimum: 0, description, examples: [example] })

export const Usage = Type.Object({
  from: time('The begin of the period.'),
  publishes: count('Events written to the log, including writes to documents and row changes.'),
  bytesWritten: count('Bytes of these events: payloads, differences and metadata.', 240_000),
  deliveries: count('Events handed to sockets, once for each socket, and successful deliveries to webhooks.', 6200),
  socketsPeak: count('The most sockets that were open at once.', 40),
  subscriptionsPeak: count('The most subscriptions at once.', 130),
  bytesStored: count('Bytes of the events in the log, when the period was last measured.', 9_400_000),
  documents: count('Documents, when the period was last measured.', 800),
  webhooks: count('Webhooks, when the period was last measured.', 3)
}, { $id: 'Usage', description: 'The use of an application in one hour or day.' })
export type Usage = Static<typeof Usage>
