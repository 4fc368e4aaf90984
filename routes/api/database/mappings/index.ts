import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { pageOf, PageQuery, ref, refusals } from '../../../../schemas/common.ts'
import {
  Mapping, MappingCreate, MappingPath, MappingQuery, MappingStatus, MappingTopicPath, MappingUpdate,
  MappingWithProblems, Preview, PreviewBody
} from '../../../../schemas/database.ts'

const mappings: FastifyPluginAsyncTypebox = async (app) => {
  const { mappings, status, preview } = app.databaseSources

  app.get('/', {
    config: { permission: 'database:read' },
    schema: {
      operationId: 'listMappings',
      tags: ['Database'],
      summary: 'List mappings',
      description:
        'Mappings that are at home in this environment, with their working copies, and those that were promoted to ' +
          'it, as they were promoted. Oldest first. `GET /api/database/mappings/topic/{topic}` is the same as the ' +
          'parameter `topic`.',
      querystring: MappingQuery,
      response: { 200: pageOf(Mapping, 'A page of mappings.'), ...refusals(400, 401, 403) }
    }
  }, async (request, reply) => {
    const { topic, ...page } = request.query
    const { items, nextCursor } = await mappings.list(request.scope, page, topic)
    if (nextCursor !== undefined) reply.header('x-next-cursor', nextCursor)
    return items as never
  })

  app.get('/topic/:topic', {
    config: { permission: 'database:read' },
    // In the document, its path would be ambiguous with `/{id}/versions`: there, `topic` is a parameter of the list.
    schema: {
      hide: true,
      params: MappingTopicPath,
      querystring: PageQuery,
      response: { 200: pageOf(Mapping, 'A page of mappings.'), ...refusals(400, 401, 403) }
    }
  }, async (request, reply) => {
    const { items, nextCursor } = await mappings.list(request.scope, request.query, request.params.topic)
    if (nextCursor !== undefined) reply.header('x-next-cursor', nextCursor)
    return items as never
  })

  app.get('/status', {
    config: { permission: 'database:read' },
    schema: {
      operationId: 'listMappingStatus',
      tags: ['Database'],
      summary: 'See which version runs where',
      description:
        'For each mapping of this environment, its version and whether it is on in every environment that the ' +
          'credential reaches, and what keeps it from working here: a missing topic, table or column, a table that is ' +
          'not published, old values that cannot be seen, each with the statement that mends it.',
      querystring: PageQuery,
      response: { 200: pageOf(MappingStatus, 'A page of the grid.'), ...refusals(400, 401, 403) }
    }
  }, async (request, reply) => {
    const { items, nextCursor } = await status(request.principal, request.scope, request.query)
    if (nextCursor !== undefined) reply.header('x-next-cursor', nextCursor)
    return items as never
  })

  app.post('/', {
    config: { permission: 'database:create' },
    schema: {
      operationId: 'createMapping',
      tags: ['Database'],
      summary: 'Create a mapping',
      description:
        'What rows of which table become events of a topic, when, and with which payload. A subscription switches ' +
          'it on. The answer has what would keep it from working, such as a table whose old values a condition with ' +
          '`changed` cannot see, with the SQL that helps. Unknown columns are refused where the table can be read; ' +
          'the topic need not be registered yet.',
      body: ref(MappingCreate),
      response: { 201: ref(MappingWithProblems, 'The mapping.'), ...refusals(400, 401, 403, 404, 413, 415) }
    }
  }, async (request, reply) => {
    reply.code(201)
    return mappings.create(request.principal, request.scope, request.body, request.origin)
  })

  app.post('/preview', {
    config: { permission: 'database:read' },
    schema: {
      operationId: 'previewMapping',
      tags: ['Database'],
      summary: 'Try a mapping',
      description:
        'What a mapping, given or stored, would make of a change. It has no effect, and the connected database is ' +
          'not asked.',
      body: ref(PreviewBody),
      response: {
        200: ref(Preview, 'Whether it matches, why, and the event.'),
        ...refusals(400, 401, 403, 404, 413, 415)
      }
    }
  }, async (request) => preview(request.scope, request.body))

  app.get('/:id', {
    config: { permission: 'database:read' },
    schema: {
      operationId: 'getMapping',
      tags: ['Database'],
      summary: 'Get a mapping',
      description: 'At home the working copy, elsewhere the version that was promoted there.',
      params: MappingPath,
      response: { 200: ref(Mapping, 'The mapping.'), ...refusals(400, 401, 403, 404) }
    }
  }, async (request) => mappings.get(request.scope, request.params.id))

  app.patch('/:id', {
    config: { permission: 'database:update' },
    schema: {
      operationId: 'updateMapping',
      tags: ['Database'],
      summary: 'Change a mapping',
      description:
        'Changes what is given, in the working copy, which runs at home: it holds for every commit after the ' +
          'answer. Elsewhere 409: there runs what was promoted.',
      params: MappingPath,
      body: ref(MappingUpdate),
      response: { 200: ref(MappingWithProblems, 'The mapping.'), ...refusals(400, 401, 403, 404, 409, 413, 415) }
    }
  }, async (request) => mappings.update(request.scope, request.params.id, request.body, request.origin))

  app.delete('/:id', {
    config: { permission: 'database:delete' },
    schema: {
      operationId: 'deleteMapping',
      tags: ['Database'],
      summary: 'Delete a mapping',
      description:
        'At home with its versions and subscriptions, unless it runs elsewhere (409); elsewhere, what was promoted ' +
          'there. Answers it as it was.',
      params: MappingPath,
      response: { 200: ref(Mapping, 'The mapping.'), ...refusals(400, 401, 403, 404, 409) }
    }
  }, async (request) => mappings.remove(request.scope, request.params.id, request.origin))
}
export default mappings
