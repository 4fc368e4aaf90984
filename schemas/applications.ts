import { Type, type Static } from '@sinclair/typebox'
import { EpochMs, Text } from './common.ts'
import { listFields, listShape } from './lists.ts'

export const ApplicationId = Type.String({
  minLength: 1, maxLength: 64, pattern: '^app_[A-Za-z0-9_-]+$', description: 'The application.',
  examples: ['app_abc123']
})

const PresenceGraceMs = Type.Integer({
  minimum: 0,
  maximum: 60_000,
  description:
    'How long a channel member stays after its connection has ended, in milliseconds. A client that reconnects ' +
      'within this time does not leave the channel.',
  examples: [3000]
})

const RequireApproval = Type.Object({ staging: Type.Boolean(), production: Type.Boolean() }, {
  description:
    'The environments to which a deployment can be applied only if somebody other than its author has approved it.',
  examples: [{ staging: false, production: true }]
})
const RequireApprovalUpdate = Type.Partial(RequireApproval, {
  additionalProperties: false,
  minProperties: 1,
  description: 'By target environment. An environment that is not named keeps its setting.',
  examples: [{ production: true }]
})

export const Application = Type.Object({
  id: Type.String({ examples: ['app_abc123'] }),
  name: Type.String({ examples: ['Shop'] }),
  description: Type.String({ examples: ['The web shop'] }),
  presenceGraceMs: PresenceGraceMs,
  requireApproval: RequireApproval,
  createdAt: EpochMs('When it was created.'),
  updatedAt: EpochMs('When it was last changed.')
}, { $id: 'Application' })
export type Application = Static<typeof Application>

export const applicationList = listShape('applications', {
  sorts: ['createdAt', 'name', 'updatedAt'], order: 'asc', search: ['id', 'name', 'description']
})
export const ApplicationQuery = Type.Object(listFields(applicationList, 'shop'), { additionalProperties: false })
export type ApplicationQuery = Static<typeof ApplicationQuery>

export const ApplicationCreate = Type.Object({
  name: Text(200, { examples: ['Shop'] }),
  description: Type.Optional(Type.String({ maxLength: 2000, pattern: '^[^\\u0000]*$', examples: ['The web shop'] })),
  presenceGraceMs: Type.Optional(PresenceGraceMs)
}, { $id: 'ApplicationCreate', additionalProperties: false })
export type ApplicationCreate = Static<typeof ApplicationCreate>

export const ApplicationUpdate = Type.Object({
  name: Type.Optional(Text(200)),
  description: Type.Optional(Type.String({ maxLength: 2000, pattern: '^[^\\u0000]*$' })),
  presenceGraceMs: Type.Optional(PresenceGraceMs),
  requireApproval: Type.Optional(RequireApprovalUpdate)
}, { $id: 'ApplicationUpdate', additionalProperties: false, minProperties: 1, examples: [{ name: 'Shop' }] })
export type ApplicationUpdate = Static<typeof ApplicationUpdate>

export const ApplicationPath = Type.Object({ id: ApplicationId })

export const ApplicationDelete = Type.Object({
  force: Type.Optional(
    Type.Boolean({ description: 'Also delete the data that the application owns.', examples: [true] })
  )
}, { additionalProperties: false })
