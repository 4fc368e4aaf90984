import { Type } from '@sinclair/typebox'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { IdempotencyHeaders, nextCursor, ref, refusals } from '../../../schemas/common.ts'
import {
  Document,
  DocumentCreate,
  DocumentList,
  DocumentListQuery,
  DocumentMerge,
  DocumentMutate,
  DocumentPath,
  DocumentReplace,
  ServiceDocumentsPath
} from '../../../schemas/documents.ts'

const jsonType = 'application/json; charset=utf-8'

const IfMatch = {
  'if-match': Type.Optional(
    Type.String({
      maxLength: 4096,
      description: 'Refuse with 412 unless the document has one of these entity tags (`*`: any).',
      examples: ['*']
    })
  )
}
const IfNoneMatch = Type.Object({
  'if-none-match': Type.Optional(
    Type.String({
      maxLength: 4096, description: 'Answer 304 when the document still has this entity tag.', examples: ['"4"']
    })
  )
})

/** The text is final: it goes out as it is, past the response serialiser. */
const documentAnswer = (description: string) => ({
  description,
  headers: { ETag: Type.String({ description: 'The revision in quotes.' }) },
  content: { 'application/json': { schema: ref(Document) } }
})

/** What was in a document before a write is for whoever may read documents. */
const sendWritten = (request: FastifyRequest, reply: FastifyReply, { etag, json }: { etag: string, json: string }) =>
  send(reply, {
    etag, json: request.server.auth.mayReadDocuments(request.principal, request.scope) ? json : withoutData(json)
  })

function withoutData (json: string): string {
  const { data: _, ...rest } = JSON.parse(json) as Record<string, unknown>
  return JSON.stringify(rest)
}

const send = (reply: FastifyReply, document: { etag: string, json: string }) =>
  reply.header('etag', document.etag).header('content-type', jsonType).send(document.json)

const sync: FastifyPluginAsyncTypebox = async (app) => {
  app.post('/:service/documents', {
    config: { permission: 'sync:create' },
    schema: {
      operationId: 'createDocument',
      tags: ['Sync'],
      summary: 'Create a document',
      description:
        'Its service comes into being with the first document. The id of a deleted document may be used again: its ' +
          'revisions go on. From `expiresAt` on, it is gone. Publishes on `sync.<service>.created`.',
      params: ServiceDocumentsPath,
      headers: IdempotencyHeaders,
      body: ref(DocumentCreate),
      response: { 201: documentAnswer('The document as stored.'), ...refusals(400, 401, 403, 404, 409, 413, 415) }
    }
  }, async (request, reply) => {
    const { idempotencyKey } = request
    return send(
      reply.code(201),
      await app.documents.create(request.scope, request.params.service, request.body, { idempotencyKey })
    )
  })

  app.get('/:service/documents', {
    config: { permission: 'sync:read' },
    schema: {
      operationId: 'listDocuments',
      tags: ['Sync'],
      summary: 'List documents',
      description:
        'In the order of their ids. `updatedAfter` with `includeDeleted` is what changed since; writes that overlap ' +
          'may become visible a moment after later ones, so ask from some seconds before. A page with much data ends ' +
          'before `limit`: `X-Next-Cursor` says whether there is more. A service without documents has an empty list.',
      params: ServiceDocumentsPath,
      querystring: DocumentListQuery,
      response: {
        200: {
          description: 'A page of documents.',
          headers: nextCursor(),
          content: { 'application/json': { schema: DocumentList } }
        },
        ...refusals(400, 401, 403)
      }
    }
  }, async (request, reply) => {
    const { json, nextCursor } = await app.documents.list(request.scope, request.params.service, request.query)
    if (nextCursor !== undefined) reply.header('x-next-cursor', nextCursor)
    return reply.header('content-type', jsonType).send(json as never)
  })

  app.get('/:service/documents/:id', {
    config: { permission: 'sync:read' },
    schema: {
      operationId: 'getDocument',
      tags: ['Sync'],
      summary: 'Get a document',
      description: 'Always as of now: every write that was acknowledged is in it.',
      params: DocumentPath,
      headers: IfNoneMatch,
      response: {
        200: documentAnswer('The document.'),
        304: Type.Null({ description: 'It still has the entity tag.' }),
        ...refusals(400, 401, 403, 404)
      }
    }
  }, async (request, reply) => {
    const { etag, json } = await app.documents.get(request.scope, request.params, {
      ifNoneMatch: request.headers['if-none-match']
    })
    return json === undefined ? reply.code(304).header('etag', etag).send(null) : send(reply, { etag, json })
  })

  app.put(
    '/:service/documents/:id',
    {
      config: { permission: 'sync:update' },
      schema: {
        operationId: 'replaceDocument',
        tags: ['Sync'],
        summary: "Replace a document's data",
        description:
          'Its id and `expiresAt` stay. Publishes on `sync.<service>.updated`, as every write of a document that ' +
            'exists.',
        params: DocumentPath,
        headers: Type.Object(IfMatch),
        body: ref(DocumentReplace),
        response: {
          200: documentAnswer('The document as stored.'),
          ...refusals(400, 401, 403, 404, 409, 412, 413, 415)
        }
      }
    },
    async (request, reply) =>
      sendWritten(
        request,
        reply,
        await app.documents.replace(request.scope, request.params, request.body, {
          ifMatch: request.headers['if-match']
        })
      )
  )

  app.patch(
    '/:service/documents/:id/merge',
    {
      config: { permission: 'sync:update' },
      schema: {
        operationId: 'mergeDocument',
        tags: ['Sync'],
        summary: 'Merge into a document',
        description:
          'JSON Merge Patch (RFC 7396): null removes a member, objects are merged, everything else is replaced. ' +
            'Without `expectedRevision`, concurrent merges all take effect. One that changes nothing counts a ' +
            'revision, too.',
        params: DocumentPath,
        headers: Type.Object(IfMatch),
        body: ref(DocumentMerge),
        response: {
          200: documentAnswer('The document as stored.'),
          ...refusals(400, 401, 403, 404, 409, 412, 413, 415)
        }
      }
    },
    async (request, reply) =>
      sendWritten(
        request, reply,
        await app.documents.merge(request.scope, request.params, request.body, { ifMatch: request.headers['if-match'] })
      )
  )

  app.post('/:service/documents/:id/mutate', {
    config: { permission: 'sync:update' },
    schema: {
      operationId: 'mutateDocument',
      tags: ['Sync'],
      summary: 'Mutate a document',
      description: [
        'Applies the mutations in order: all, or none. Paths are JSON Pointers (RFC 6901) whose parents must exist; ' +
          'in an array, `-` is the place behind the last item.',
        '',
        '- `set` puts a member or replaces an item.',
        '- `increment` adds `value` (1 without it); a member that is missing counts as 0.',
        '- `append` puts `value` behind the last item of an array; a member that is missing counts as empty.',
        '- `merge` is RFC 7396 at `path`; a member that is missing counts as `{}`.',
        '- `remove` removes a member or item that must be there.',
        '- `test` refuses everything with 409 unless the value at `path` equals `value`. It needs `sync:read`.',
        '',
        'Without `expectedRevision`, concurrent mutations all take effect.'
      ].join('\n'),
      params: DocumentPath,
      headers: Type.Object({ ...IfMatch, ...IdempotencyHeaders.properties }),
      body: ref(DocumentMutate),
      response: { 200: documentAnswer('The document as stored.'), ...refusals(400, 401, 403, 404, 409, 412, 413, 415) }
    }
  }, async (request, reply) => {
    const { headers: { 'if-match': ifMatch }, idempotencyKey } = request
    if (request.body.mutations.some(({ op }) => op === 'test')) { app.auth.authorize(request.principal, request.scope, 'sync:read') }
    return sendWritten(
      request, reply,
      await app.documents.mutate(request.scope, request.params, request.body, { ifMatch, idempotencyKey })
    )
  })

  app.delete(
    '/:service/documents/:id',
    {
      config: { permission: 'sync:delete' },
      schema: {
        operationId: 'deleteDocument',
        tags: ['Sync'],
        summary: 'Delete a document',
        description:
          'Answers its tombstone, with the last data and the next revision. From then on reads are 404. Publishes ' +
            'on `sync.<service>.deleted`.',
        params: DocumentPath,
        headers: Type.Object(IfMatch),
        response: { 200: documentAnswer('The tombstone.'), ...refusals(400, 401, 403, 404, 412) }
      }
    },
    async (request, reply) =>
      sendWritten(
        request, reply,
        await app.documents.remove(request.scope, request.params, { ifMatch: request.headers['if-match'] })
      )
  )
}
export default sync
