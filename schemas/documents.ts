import { Type, type Static } from '@sinclair/typebox'
import { Enum, EpochMs, ref } from './common.ts'
import { listFields, listShape } from './lists.ts'
import { ServiceName } from './services.ts'

export const DocumentId = Type.String({
  minLength: 1,
  maxLength: 128,
  pattern: '^[A-Za-z0-9._:@-]+$',
  description: 'Id of the document. The server generates one (`doc_…`) if none is given.',
  examples: ['doc_a1b2c3d4']
})
const Data = Type.Record(Type.String(), Type.Unknown(), {
  description:
    'A JSON object of at most 256 KiB and 64 levels. A number that a double cannot represent exactly is refused: ' +
      'send it as a string.',
  examples: [{ status: 'active', participantCount: 3 }]
})
const Revision = Type.Integer({
  minimum: 1, description: 'Number of writes to this id. Every write raises it by one.', examples: [4]
})
const ExpectedRevision = Type.Optional(Type.Integer({
  minimum: 0, maximum: Number.MAX_SAFE_INTEGER,
  description: 'The write is refused with 409 unless the document is at this revision.'
}))

export const Document = Type.Object({
  service: Type.String({ examples: ['session'] }),
  id: Type.String({ examples: ['doc_a1b2c3d4'] }),
  revision: Revision,
  data: Type.Optional(
    Type.Unsafe<Static<typeof Data>>({
      ...Data,
      description: `${Data.description} Responses to writes omit it for a principal that may not read documents.`
    })
  ),
  createdAt: EpochMs('When it was created.'),
  updatedAt: EpochMs('When it was last written.'),
  expiresAt: Type.Optional(EpochMs('When the document expires.')),
  deleted: Type.Optional(
    Type.Boolean({ description: 'Present in lists with `includeDeleted` and in the response of DELETE.' })
  )
}, { $id: 'Document' })
/** A document as stored, always with data. Some responses omit the data. */
export type Document = Static<typeof Document> & { data: Static<typeof Data> }

export const DocumentCreate = Type.Object({
  id: Type.Optional(DocumentId),
  data: Data,
  expiresAt: Type.Optional(
    Type.Integer({
      minimum: 1, maximum: Number.MAX_SAFE_INTEGER,
      description: 'When the document expires, in epoch milliseconds. Must be in the future.', examples: [4102444800000]
    })
  )
}, { $id: 'DocumentCreate', additionalProperties: false })
export type DocumentCreate = Static<typeof DocumentCreate>

export const DocumentReplace = Type.Object({
  data: Data, expectedRevision: ExpectedRevision
}, { $id: 'DocumentReplace', additionalProperties: false })
export type DocumentReplace = Static<typeof DocumentReplace>

export const DocumentMerge = Type.Object({
  data: Type.Record(Type.String(), Type.Unknown(), {
    description: 'A JSON Merge Patch (RFC 7396): null removes a member.', examples: [{ status: 'ended' }]
  }),
  expectedRevision: ExpectedRevision
}, { $id: 'DocumentMerge', additionalProperties: false })
export type DocumentMerge = Static<typeof DocumentMerge>

export const mutationsMax = 1000

export const Mutation = Type.Object({
  op: Enum('MutationOp', ['set', 'increment', 'remove', 'append', 'merge', 'test']),
  path: Type.String({
    maxLength: 2048, pattern: '^(/[^\\u0000]*)?$', description: 'JSON Pointer (RFC 6901).', examples: ['/status']
  }),
  value: Type.Optional(
    Type.Unknown({
      description:
        'The value to set, add, append, merge or compare. The default for `increment` is 1; a sum beyond ' +
          '±(2^53 − 1) is refused. `remove` has none.',
      examples: ['ended']
    })
  )
}, { $id: 'Mutation', additionalProperties: false })
export type Mutation = Static<typeof Mutation>

export const DocumentMutate = Type.Object({
  mutations: Type.Array(ref(Mutation), {
    minItems: 1, maxItems: mutationsMax, description: 'Applied in order, either all or none.'
  }),
  expectedRevision: ExpectedRevision
}, {
  $id: 'DocumentMutate',
  additionalProperties: false,
  examples: [{
    mutations: [{ op: 'set', path: '/status', value: 'ended' }, {
      op: 'increment', path: '/participantCount', value: -1
    }]
  }]
})
export type DocumentMutate = Static<typeof DocumentMutate>

export const DocumentList = Type.Array(ref(Document))
export const ServiceDocumentsPath = Type.Object({ service: ServiceName })
export const DocumentPath = Type.Object({ service: ServiceName, id: DocumentId })
export const documentList = listShape('documents', {
  sorts: ['id', 'createdAt'], order: 'asc', search: ['id']
})
export const DocumentListQuery = Type.Object({
  ...listFields(documentList, 'a1b2'),
  updatedAfter: Type.Optional(
    Type.Integer({
      minimum: 0, maximum: Number.MAX_SAFE_INTEGER,
      description: 'Only documents written after this time. Epoch milliseconds.', examples: [1705312800000]
    })
  ),
  includeDeleted: Type.Optional(
    Type.Boolean({ default: false, description: 'Also returns deleted documents, with `deleted: true`.' })
  )
}, { additionalProperties: false })
export type DocumentListQuery = Static<typeof DocumentListQuery>
