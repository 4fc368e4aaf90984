import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { pageOf, ref, refusals } from '../../../../schemas/common.ts'
import {
  Mapping, MappingCheck, MappingCreate, MappingDefinition, MappingPageQuery, MappingPath, MappingQuery, MappingStatus,
  MappingTopicPath, MappingUpdate, MappingWithProblems, Preview, PreviewBody
} from '../../../../schemas/database.ts'

const mappings: FastifyPluginAsyncTypebox = async (app) => {
  const { mappings, status, preview } = app.databaseSources

  app.get('/', {
    config: { permission: 'mappings:read' },
    schema: {
      operationId: 'listMappings',
      tags: ['Database'],
      summary: 'List mappings',
      description:
        'Returns the mappings whose home is this environment, as their working copies, and those promoted to it, as ' +
          'the promoted version. `GET /api/database/mappings/topic/{topic}` is equivalent to the ' +
          'parameter `topic`.',
      querystring: MappingQuery,
      response: { 200: pageOf(Mapping, 'A page of mappings.'), ...refusals(400, 401, 403) }
    }
  }, async (request, reply) => {
    const { items, nextCursor } = await mappings.list(request.scope, request.query)
    if (nextCursor !== undefined) reply.header('x-next-cursor', nextCursor)
    return items
  })

  app.get('/topic/:topic', {
    config: { permission: 'mappings:read' },
    // Hidden: in OpenAPI, its path would be ambiguous with `/{id}/versions`. The list documents `topic` as a parameter.
    schema: {
      hide: true,
      params: MappingTopicPath,
      querystring: MappingPageQuery,
      response: { 200: pageOf(Mapping, 'A page of mappings.'), ...refusals(400, 401, 403) }
    }
  }, async (request, reply) => {
    const { items, nextCursor } = await mappings.list(request.scope, { ...request.query, ...request.params })
    if (nextCursor !== undefined) reply.header('x-next-cursor', nextCursor)
    return items
  })

  app.get('/status', {
    config: { permission: 'mappings:read' },
    schema: {
      operationId: 'listMappingStatus',
      tags: ['Database'],
      summary: 'Get the status of mappings',
      description:
        'Returns, for each mapping of this environment, its version and whether it is enabled in each environment ' +
          'that the caller may read, and its problems here: a missing topic, table or column, a table that is not ' +
          'published, or unavailable old values, each with the statement that fixes it.',
      querystring: MappingQuery,
      response: { 200: pageOf(MappingStatus, 'A page of statuses.'), ...refusals(400, 401, 403) }
    }
  }, async (request, reply) => {
    const { items, nextCursor } = await status(request.principal, request.scope, request.query)
    if (nextCursor !== undefined) reply.header('x-next-cursor', nextCursor)
    return items
  })

  app.post('/', {
    config: { permission: 'mappings:create' },
    schema: {
      operationId: 'createMapping',
      tags: ['Database'],
      summary: 'Create a mapping',
      description:
        'A mapping defines which row changes of which table become events of a topic, under which condition, and ' +
          'with which payload. A subscription enables it. `problems` in the answer lists what would keep it from ' +
          'working, such as a table without old values for a condition with `changed`, with the SQL that fixes it. ' +
          'Unknown columns are refused if the table can be read; the topic need not be registered yet.',
      body: ref(MappingCreate),
      response: { 201: ref(MappingWithProblems, 'The mapping.'), ...refusals(400, 401, 403, 404, 413, 415) }
    }
  }, async (request, reply) => {
    reply.code(201)
    return mappings.create(request.principal, request.scope, request.body, request.origin)
  })

  app.post('/preview', {
    config: { permission: 'mappings:read' },
    schema: {
      operationId: 'previewMapping',
      tags: ['Database'],
      summary: 'Preview a mapping',
      description:
        'Returns the event that a given or stored mapping would make of a row change. Stores nothing, and does not ' +
          'query the connected database.',
      body: ref(PreviewBody),
      response: {
        200: ref(Preview, 'Whether the mapping matches, why, and the event.'),
        ...refusals(400, 401, 403, 404, 413, 415)
      }
    }
  }, async (request) => preview(request.scope, request.body))

  app.post('/check', {
    config: { permission: 'mappings:read' },
    schema: {
      operationId: 'checkMapping',
      tags: ['Database'],
      summary: 'Check a mapping',
      description:
        'Checks a mapping as `POST /api/database/mappings` does, with the same refusals and `problems`, and stores ' +
          'nothing.',
      body: ref(MappingDefinition),
      response: {
        200: ref(MappingCheck, 'The problems that the mapping would have.'), ...refusals(400, 401, 403, 413, 415)
      }
    }
  }, async (request) => mappings.check(request.scope, request.body))

  app.get('/:id', {
    config: { permission: 'mappings:read' },
    schema: {
      operationId: 'getMapping',
      tags: ['Database'],
      summary: 'Get a mapping',
      description: 'Returns the working copy at home, and the promoted version elsewhere.',
      params: MappingPath,
      response: { 200: ref(Mapping, 'The mapping.'), ...refusals(400, 401, 403, 404) }
    }
  }, async (request) => mappings.get(request.scope, request.params.id))

  app.patch('/:id', {
    config: { permission: 'mappings:update' },
    schema: {
      operationId: 'updateMapping',
      tags: ['Database'],
      summary: 'Update a mapping',
      description:
        'Changes the given fields of the working copy, which runs at home. The change applies to every transaction ' +
          'that commits after the answer. Returns 409 in other environments, which run promoted versions.',
      params: MappingPath,
      body: ref(MappingUpdate),
      response: { 200: ref(MappingWithProblems, 'The mapping.'), ...refusals(400, 401, 403, 404, 409, 413, 415) }
    }
  }, async (request) => mappings.update(request.scope, request.params.id, request.body, request.origin))

  app.delete('/:id', {
    config: { permission: 'mappings:delete' },
    schema: {
      operationId: 'deleteMapping',
      tags: ['Database'],
      summary: 'Delete a mapping',
      description:
        'At home, deletes the mapping with its versions and subscriptions, unless it runs in another environment ' +
          '(409). Elsewhere, deletes what was promoted there. Returns the mapping as it was.',
      params: MappingPath,
      response: { 200: ref(Mapping, 'The mapping.'), ...refusals(400, 401, 403, 404, 409) }
    }
  }, async (request) => mappings.remove(request.scope, request.params.id, request.origin))
}
export default mappings
