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

const IfMatch = {
  'if-match': Type.Optional(
    Type.String({
      maxLength: 4096,
      description: 'The write is refused with 412 unless the document has one of these entity tags (`*`: any).',
      examples: ['*']
    })
  )
}
const WriteHeaders = Type.Object({ ...IfMatch, ...IdempotencyHeaders.properties })
const IfNoneMatch = Type.Object({
  'if-none-match': Type.Optional(
    Type.String({
      maxLength: 4096, description: 'The response is 304 if the document still has this entity tag.', examples: ['"4"']
    })
  )
})

/** Describes a response that is sent as final JSON text, without the response serialiser. */
const documentAnswer = (description: string) => ({
  description,
  headers: { ETag: Type.String({ description: 'The revision in quotes.' }) },
  content: { 'application/json': { schema: ref(Document) } }
})

/** Sends a written document; `data` only if the principal may read documents, since it may contain earlier data. */
const sendWritten = (request: FastifyRequest, reply: FastifyReply, { etag, json }: { etag: string, json: string }) =>
  send(reply, { etag, json: request.access.mayReadDocuments() ? json : withoutData(json) })

function withoutData (json: string): string {
  const { data: _, ...rest } = JSON.parse(json) as Record<string, unknown>
  return JSON.stringify(rest)
}

const send = (reply: FastifyReply, document: { etag: string, json: string }) =>
  reply.header('etag', document.etag).sendSerialized(document.json)

const sync: FastifyPluginAsyncTypebox = async (app) => {
  app.post('/:service/documents', {
    config: { permission: 'documents:create' },
    schema: {
      operationId: 'createDocument',
      tags: ['Sync'],
      summary: 'Create a document',
      description:
        'Creates a document. The first document of a service creates the service. You can use the id of a deleted ' +
          'document again: its revisions continue. At `expiresAt` the document is deleted. Publishes an event on ' +
          '`sync.<service>.created`.',
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
    config: { permission: 'documents:read' },
    schema: {
      operationId: 'listDocuments',
      tags: ['Sync'],
      summary: 'List documents',
      description:
        'Returns the documents of a service. To list what has changed since a time, use `updatedAfter` with ' +
          '`includeDeleted`; overlapping writes may become visible slightly out of order, so start some seconds ' +
          'earlier. A page may have fewer than `limit` documents, because they are large or because few of those ' +
          'that it examined match: there are more pages while `X-Next-Cursor` is present. A service without ' +
          'documents has an empty list.',
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
    return reply.sendSerialized(json)
  })

  app.get('/:service/documents/:id', {
    config: { permission: 'documents:read' },
    schema: {
      operationId: 'getDocument',
      tags: ['Sync'],
      summary: 'Get a document',
      description:
        'Returns the current state of a document, including every write that was acknowledged before the request.',
      params: DocumentPath,
      headers: IfNoneMatch,
      response: {
        200: documentAnswer('The document.'),
        304: Type.Null({ description: 'The document still has the entity tag.' }),
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
      config: { permission: 'documents:update' },
      schema: {
        operationId: 'replaceDocument',
        tags: ['Sync'],
        summary: "Replace a document's data",
        description:
          'Replaces the data of a document and keeps its `expiresAt`. Publishes an event on ' +
            '`sync.<service>.updated`, as merges and mutations do.',
        params: DocumentPath,
        headers: WriteHeaders,
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
          ifMatch: request.headers['if-match'], idempotencyKey: request.idempotencyKey
        })
      )
  )

  app.patch(
    '/:service/documents/:id/merge',
    {
      config: { permission: 'documents:update' },
      schema: {
        operationId: 'mergeDocument',
        tags: ['Sync'],
        summary: 'Merge into a document',
        description:
          'Applies a JSON Merge Patch (RFC 7396): null removes a member, objects are merged, everything else is ' +
            'replaced. Without `expectedRevision`, concurrent merges all take effect. A merge that changes nothing ' +
            'also raises the revision.',
        params: DocumentPath,
        headers: WriteHeaders,
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
        await app.documents.merge(request.scope, request.params, request.body, {
          ifMatch: request.headers['if-match'], idempotencyKey: request.idempotencyKey
        })
      )
  )

  app.post('/:service/documents/:id/mutate', {
    config: { permission: 'documents:update' },
    schema: {
      operationId: 'mutateDocument',
      tags: ['Sync'],
      summary: 'Mutate a document',
      description: [
        'Applies the mutations in order, either all or none. Paths are JSON Pointers (RFC 6901) whose parents must ' +
          'exist; in an array, `-` is the position after the last item.',
        '',
        '- `set` sets a member or replaces an item.',
        '- `increment` adds `value` (default 1); a missing member counts as 0.',
        '- `append` adds `value` after the last item of an array; a missing member counts as an empty array.',
        '- `merge` applies RFC 7396 at `path`; a missing member counts as `{}`.',
        '- `remove` removes a member or item, which must exist.',
        '- `test` refuses the whole request with 409 unless the value at `path` equals `value`. ' +
          'It requires `documents:read`.',
        '',
        'Without `expectedRevision`, concurrent mutations all take effect.'
      ].join('\n'),
      params: DocumentPath,
      headers: WriteHeaders,
      body: ref(DocumentMutate),
      response: { 200: documentAnswer('The document as stored.'), ...refusals(400, 401, 403, 404, 409, 412, 413, 415) }
    }
  }, async (request, reply) => {
    const { headers: { 'if-match': ifMatch }, idempotencyKey } = request
    if (request.body.mutations.some(({ op }) => op === 'test')) request.access.authorize('documents:read')
    return sendWritten(
      request, reply,
      await app.documents.mutate(request.scope, request.params, request.body, { ifMatch, idempotencyKey })
    )
  })

  app.delete(
    '/:service/documents/:id',
    {
      config: { permission: 'documents:delete' },
      schema: {
        operationId: 'deleteDocument',
        tags: ['Sync'],
        summary: 'Delete a document',
        description:
          'Deletes a document and returns its tombstone, with the last data and the next revision. Later reads are ' +
            '404. Publishes an event on `sync.<service>.deleted`.',
        params: DocumentPath,
        headers: WriteHeaders,
        response: { 200: documentAnswer('The tombstone.'), ...refusals(400, 401, 403, 404, 409, 412) }
      }
    },
    async (request, reply) =>
      sendWritten(
        request, reply,
        await app.documents.remove(request.scope, request.params, {
          ifMatch: request.headers['if-match'], idempotencyKey: request.idempotencyKey
        })
      )
  )
}
export default sync
