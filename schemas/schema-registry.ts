import { Type, type Static } from '@sinclair/typebox'
import { Enum, EpochMs } from './common.ts'
import { listFields, listShape, sortFields } from './lists.ts'
import { TopicPath } from './topics.ts'

export const compatibilityModes = [
  'none', 'backward', 'forward', 'full', 'backward_transitive', 'forward_transitive', 'full_transitive'
] as const
export const compatibilityPolicies = ['strict', 'lenient'] as const

const Mode = Enum('CompatibilityMode', compatibilityModes, {
  description:
    '`backward`: every document that is valid under the previous version is valid under this one. `forward`: the ' +
      'reverse. `full`: both. `…_transitive`: compares with all earlier versions, at most 1,000, not only the last. ' +
      '`none`: no comparison.',
  examples: ['backward']
})
const Policy = Enum('CompatibilityPolicy', compatibilityPolicies, {
  description:
    '`strict`: exact set inclusion. `lenient`: assumes that writers send only properties that their schema ' +
      'declares, so that you can add an optional property to an open object.',
  examples: ['lenient']
})
const JsonSchemaDocument = Type.Union([Type.Record(Type.String(), Type.Unknown()), Type.Boolean()], {
  description:
    'A JSON Schema of draft 2020-12, or of draft-07, draft-06 or draft-04 if `$schema` names it: at most 256 KiB, ' +
    '64 levels deep, and 1,000,000 steps to compile. `format` is asserted. Other dialects are refused, including ' +
    'draft 2019-09 and custom meta-schemas. So are a `$ref` to another document, a `$dynamicRef` whose name has ' +
    'several `$dynamicAnchor`, look-ahead, look-behind and back-references in patterns, the NUL character, and ' +
    '`__proto__` as a name. See docs/SCHEMAS.md.',
  examples: [{ type: 'object', properties: { status: { type: 'string' } }, required: ['status'] }]
})
const Version = Type.Integer({
  minimum: 1, maximum: 2147483647, examples: [1],
  description: "Number of the version: 1 for the topic's first schema, 2 for the next."
})

export const SchemaVersion = Type.Object({
  topic: Type.String({ examples: ['session.status'] }),
  version: Version,
  schema: JsonSchemaDocument,
  compatibilityMode: Mode,
  policy: Policy,
  createdAt: EpochMs('When it was registered.')
}, { $id: 'SchemaVersion' })
export type SchemaVersion = Static<typeof SchemaVersion>

export const SchemaRegister = Type.Object({
  schema: JsonSchemaDocument,
  compatibilityMode: Type.Optional(Type.Unsafe<Static<typeof Mode>>({ ...Mode, default: 'backward' })),
  policy: Type.Optional(Type.Unsafe<Static<typeof Policy>>({ ...Policy, default: 'lenient' })),
  activate: Type.Optional(
    Type.Boolean({
      description:
        'Activates the version: payloads are checked against it. The first version is activated automatically.'
    })
  )
}, { $id: 'SchemaRegister', additionalProperties: false })
export type SchemaRegister = Static<typeof SchemaRegister>

export const SchemaDryRun = Type.Object({
  schema: SchemaRegister.properties.schema,
  compatibilityMode: SchemaRegister.properties.compatibilityMode,
  policy: SchemaRegister.properties.policy
}, { $id: 'SchemaDryRun', additionalProperties: false })
export type SchemaDryRun = Static<typeof SchemaDryRun>

export const SchemaChange = Type.Object({
  path: Type.String({ description: 'JSON Pointer into the schema.', examples: ['/properties/status'] }),
  rule: Type.String({ description: 'Stable name of the rule that the change matches.', examples: ['type-narrowed'] }),
  compatible: Type.Boolean(),
  message: Type.String({ examples: ['"status" no longer takes null'] }),
  direction: Enum('CompatibilityDirection', ['backward', 'forward']),
  comparedWith: Type.Optional(Version),
  witness: Type.Optional(
    Type.Unknown({
      description:
        'A document that one version accepts and the other rejects, confirmed by the validator that checks payloads.'
    })
  ),
  reason: Type.Optional(
    Type.String({ description: 'Why compatibility cannot be proved. Present if there is no witness.' })
  )
}, { $id: 'SchemaChange' })

export const CompatibilityVerdict = Type.Object({
  compatible: Type.Boolean(),
  compatibilityMode: Mode,
  policy: Policy,
  comparedWith: Type.Array(Version, { description: 'The versions that the schema was compared with.' }),
  changes: Type.Array(Type.Unsafe<Static<typeof SchemaChange>>({ $ref: 'SchemaChange#' }))
}, { $id: 'CompatibilityVerdict' })
export type CompatibilityVerdict = Static<typeof CompatibilityVerdict>

export const PayloadValidate = Type.Object({
  payload: Type.Unknown({ examples: [{ status: 'ended' }] }),
  version: Type.Optional(Version)
}, { $id: 'PayloadValidate', additionalProperties: false, required: ['payload'] })
export type PayloadValidate = Static<typeof PayloadValidate>

export const PayloadVerdict = Type.Object({
  valid: Type.Boolean(),
  version: Version,
  errors: Type.Array(Type.Object({
    path: Type.String({ description: 'JSON Pointer into the payload.', examples: ['/status'] }),
    message: Type.String({ examples: ['must be string'] }),
    keyword: Type.String({ examples: ['type'] })
  }))
}, { $id: 'PayloadVerdict' })
export type PayloadVerdict = Static<typeof PayloadVerdict>

export const PayloadSample = Type.Object({
  payload: Type.Unknown({ description: 'A valid payload.', examples: [{ status: 'active' }] }),
  version: Version
}, { $id: 'PayloadSample', required: ['payload', 'version'] })
export type PayloadSample = Static<typeof PayloadSample>

export const schemaList = listShape('versions', { sorts: ['topic', 'createdAt'], order: 'asc', search: ['topic'] })
export const SchemaListQuery = Type.Object({
  active: Type.Optional(
    Type.Boolean({
      description:
        'true: only the versions that payloads are checked against. false: only the others. Absent: all versions.',
      examples: [true]
    })
  ),
  ...listFields(schemaList, 'session')
}, { additionalProperties: false })
export type SchemaListQuery = Static<typeof SchemaListQuery>

export const schemaVersionList = listShape('versions', { sorts: ['version', 'createdAt'], order: 'asc' })
export const SchemaVersionQuery = Type.Object(sortFields(schemaVersionList), { additionalProperties: false })
export type SchemaVersionQuery = Static<typeof SchemaVersionQuery>

export const SchemaTopicPath = Type.Object({ topic: TopicPath.properties.name })
export const SchemaVersionPath = Type.Object({ topic: TopicPath.properties.name, version: Version })
