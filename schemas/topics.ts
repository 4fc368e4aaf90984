import { Type, type Static } from '@sinclair/typebox'
import { EnvironmentName, Enum, EpochMs, Nullable, Text } from './common.ts'
import { listFields, listShape } from './lists.ts'

export const topicNamePattern = '^[a-z0-9]+(\\.[a-z0-9]+)*$'

export const TopicName = Type.String({
  minLength: 1,
  maxLength: 200,
  pattern: topicNamePattern,
  description: 'Lower-case segments of letters and digits, separated by dots.',
  examples: ['session.status']
})

/** A topic name in a path: a registered topic, or a reserved one such as `sync.my-service.updated`. */
export const TopicPath = Type.Object({
  name: Type.String({
    minLength: 1, maxLength: 300, pattern: '^[a-z0-9]+(\\.[a-z0-9_-]+)*$', description: 'The topic.',
    examples: ['session.status']
  })
})

/** The longest retention in hours: ten years. */
export const retentionHoursMax = 87_600

const RetentionHours = Type.Union([
  Type.Integer({ minimum: 1, maximum: retentionHoursMax }), Enum('UnlimitedRetention', ['forever']), Type.Null()
], {
  description:
    'How long the events of the topic are kept, in hours, or `forever`. null: as long as `EVENT_RETENTION_HOURS` of ' +
      'the server says. A shorter retention deletes older events within minutes; they do not come back.',
  examples: [720]
})

export const Topic = Type.Object({
  name: Type.String({ examples: ['session.status'] }),
  description: Type.String({ examples: ['Changes of a session\'s status'] }),
  owner: Type.String({ examples: ['platform-team'] }),
  activeSchemaVersion: Nullable(Type.Integer(), {
    description: 'The schema version that payloads are checked against. null: payloads are not checked.'
  }),
  retentionHours: RetentionHours,
  applicationId: Type.String({ examples: ['app_abc123'] }),
  environment: EnvironmentName,
  createdAt: EpochMs('When it was registered.')
}, { $id: 'Topic' })
export type Topic = Static<typeof Topic>

export const topicList = listShape('topics', {
  sorts: ['name', 'createdAt'], order: 'asc', search: ['name', 'description', 'owner']
})
export const TopicQuery = Type.Object({
  ...listFields(topicList, 'session'),
  owner: Type.Optional(Text(200, { description: 'Only topics of this owner.', examples: ['platform-team'] }))
}, { additionalProperties: false })
export type TopicQuery = Static<typeof TopicQuery>

export const TopicCreate = Type.Object({
  name: TopicName,
  description: Text(2000, { examples: ['Changes of a session\'s status'] }),
  owner: Text(200, { examples: ['platform-team'] }),
  retentionHours: Type.Optional(RetentionHours)
}, { $id: 'TopicCreate', additionalProperties: false })
export type TopicCreate = Static<typeof TopicCreate>

export const TopicUpdate = Type.Object({
  description: Type.Optional(Text(2000)),
  owner: Type.Optional(Text(200)),
  retentionHours: Type.Optional(RetentionHours),
  activeSchemaVersion: Type.Optional(
    Nullable(Type.Integer({ minimum: 1, maximum: 2147483647 }), {
      description: 'The number of an existing version, or null to accept payloads without a check.'
    })
  )
}, { $id: 'TopicUpdate', additionalProperties: false, minProperties: 1, examples: [{ owner: 'platform-team' }] })
export type TopicUpdate = Static<typeof TopicUpdate>
