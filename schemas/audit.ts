import { Type, type Static } from '@sinclair/typebox'
import { ApplicationId } from './applications.ts'
import { Enum, EnvironmentName, EpochMs, Nullable } from './common.ts'
import { listFields, listShape, TimeLimit } from './lists.ts'

const State = (description: string) =>
  Type.Union([Type.Record(Type.String(), Type.Unknown()), Type.Null()], {
    description: `${description} Secrets are masked.`,
    examples: [{ owner: 'platform-team' }]
  })

export const AuditEntry = Type.Object({
  id: Type.String({ examples: ['aud_abc123'] }),
  at: EpochMs('When the change was made.'),
  actor: Type.Object({
    kind: Enum('ActorKind', ['session', 'token', 'api-key', 'system'], {
      description: 'A user, the bearer of a token, an API key, or the platform.'
    }),
    id: Type.String({
      description: "The user's id, the application and subject of a token, or the id of an API key.",
      examples: ['usr_abc123']
    }),
    name: Nullable(Type.String(), {
      description: "The user's email address at that time, or the name of the API key.", examples: ['ada@example.com']
    })
  }),
  action: Type.String({ examples: ['topic.updated'] }),
  resource: Type.String({ examples: ['topic'] }),
  resourceId: Nullable(Type.String(), { examples: ['session.status'] }),
  applicationId: Nullable(Type.String(), {
    description: 'The application of the resource; null for the platform.', examples: ['app_abc123']
  }),
  environment: Nullable(Type.String(), {
    description: 'The environment of the resource; null for the whole application.', examples: ['development']
  }),
  address: Nullable(Type.String(), { description: 'The address of the client.', examples: ['203.0.113.7'] }),
  userAgent: Nullable(Type.String(), {
    description: 'The `User-Agent` of the request, at most 500 characters.',
    examples: ['curl/8.5.0']
  }),
  requestId: Nullable(Type.String(), { examples: ['req_abc123'] }),
  before: State('The state before the change.'),
  after: State('The state after the change.')
}, { $id: 'AuditEntry' })
export type AuditEntry = Static<typeof AuditEntry>

const Word = (description: string, example: string) =>
  Type.Optional(
    Type.String({ minLength: 1, maxLength: 300, pattern: '^[^\\u0000]*$', description, examples: [example] })
  )

export const auditList = listShape('entries', {
  sorts: ['at'], order: 'desc', search: ['actor.name', 'action', 'resourceId']
})
export const AuditQuery = Type.Object({
  ...listFields(auditList, 'session'),
  actor: Word('Only entries of this actor.', 'usr_abc123'),
  action: Word('Only entries of this action.', 'topic.updated'),
  resource: Word('Only entries about this kind of resource.', 'topic'),
  resourceId: Word('Only entries about the resource with this id or name.', 'session.status'),
  applicationId: Type.Optional(ApplicationId),
  environment: Type.Optional({ ...EnvironmentName, description: 'Only entries of this environment.' }),
  from: TimeLimit('Only entries at or after this time.'),
  to: TimeLimit('Only entries before this time.')
}, { additionalProperties: false })
export type AuditQuery = Static<typeof AuditQuery>
