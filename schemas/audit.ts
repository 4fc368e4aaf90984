import { Type, type Static } from '@sinclair/typebox'
import { ApplicationId } from './applications.ts'
import { Enum, EpochMs, Nullable, Page } from './common.ts'

const State = (description: string) =>
  Type.Union([Type.Record(Type.String(), Type.Unknown()), Type.Null()], {
    description: `${description} Secrets are masked.`,
    examples: [{ owner: 'platform-team' }]
  })

export const AuditEntry = Type.Object({
  id: Type.String({ examples: ['aud_abc123'] }),
  at: EpochMs('When.'),
  actor: Type.Object({
    kind: Enum('ActorKind', ['session', 'token', 'system'], {
      description: 'A user, the bearer of a token, or the platform itself.'
    }),
    id: Type.String({ description: 'The user, or the application and subject of a token.', examples: ['usr_abc123'] }),
    name: Nullable(Type.String(), { description: 'The user\'s address at that time.', examples: ['ada@example.com'] })
  }),
  action: Type.String({ examples: ['topic.updated'] }),
  resource: Type.String({ examples: ['topic'] }),
  resourceId: Nullable(Type.String(), { examples: ['session.status'] }),
  applicationId: Nullable(Type.String(), { description: 'Null: the platform.', examples: ['app_abc123'] }),
  environment: Nullable(Type.String(), { description: 'Null: the whole application.', examples: ['development'] }),
  address: Nullable(Type.String(), { description: 'Where the request came from.', examples: ['203.0.113.7'] }),
  userAgent: Nullable(Type.String(), {
    description: 'The `User-Agent` of the request, at most 500 characters.',
    examples: ['curl/8.5.0']
  }),
  requestId: Nullable(Type.String(), { examples: ['req_abc123'] }),
  before: State('What was.'),
  after: State('What is.')
}, { $id: 'AuditEntry' })
export type AuditEntry = Static<typeof AuditEntry>

const Word = (description: string, example: string) =>
  Type.Optional(
    Type.String({ minLength: 1, maxLength: 300, pattern: '^[^\\u0000]*$', description, examples: [example] })
  )
const Time = (description: string) =>
  Type.Optional(Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER, description, examples: [1705312800000] }))

export const AuditQuery = Type.Object({
  ...Page,
  actor: Word('Entries of this actor.', 'usr_abc123'),
  action: Word('Entries of this action.', 'topic.updated'),
  resource: Word('Entries about this kind of thing.', 'topic'),
  resourceId: Word('Entries about the thing of this id or name.', 'session.status'),
  applicationId: Type.Optional(ApplicationId),
  from: Time('Entries from then on; epoch milliseconds.'),
  to: Time('Entries before then; epoch milliseconds.')
}, { additionalProperties: false })
export type AuditQuery = Static<typeof AuditQuery>
