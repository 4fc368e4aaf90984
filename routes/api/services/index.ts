import { Type } from '@sinclair/typebox'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { nextCursor, ref, refusals } from '../../../schemas/common.ts'
import {
  ForceQuery, Service, ServiceCreate, ServiceList, ServicePath, ServiceQuery, ServiceUpdate
} from '../../../schemas/services.ts'

const services: FastifyPluginAsyncTypebox = async (app) => {
  app.get('/', {
    config: { permission: 'services:read' },
    schema: {
      operationId: 'listServices',
      tags: ['Services'],
      summary: 'List services',
      description: 'Returns the services of the application. All environments share the same services.',
      querystring: ServiceQuery,
      response: {
        200: {
          description: 'A page of services.',
          headers: nextCursor(),
          content: { 'application/json': { schema: ServiceList } }
        },
        ...refusals(400, 401, 403)
      }
    }
  }, async (request, reply) => {
    const { items, nextCursor } = await app.services.list(request.scope, request.query)
    if (nextCursor !== undefined) reply.header('x-next-cursor', nextCursor)
    return { services: items }
  })

  app.get('/:id', {
    config: { permission: 'services:read' },
    schema: {
      operationId: 'getService',
      tags: ['Services'],
      summary: 'Get a service',
      description: 'Returns one service.',
      params: ServicePath,
      response: { 200: ref(Service, 'The service.'), ...refusals(400, 401, 403, 404) }
    }
  }, async (request) => app.services.get(request.scope, request.params.id))

  app.post('/', {
    config: { permission: 'services:create' },
    schema: {
      operationId: 'createService',
      tags: ['Services'],
      summary: 'Create a service',
      description:
        'Creates a service with a description. This is optional: the first document of a service creates the ' +
          'service. All environments share the service, so a token that is pinned to one environment is refused.',
      body: ref(ServiceCreate),
      response: { 201: ref(Service, 'The service.'), ...refusals(400, 401, 403, 404, 409, 413, 415) }
    }
  }, async (request, reply) => {
    request.access.authorizeInEvery('services:create')
    reply.code(201)
    return app.services.create(request.scope, request.body, request.origin)
  })

  app.patch('/:id', {
    config: { permission: 'services:update' },
    schema: {
      operationId: 'updateService',
      tags: ['Services'],
      summary: 'Change a service',
      description:
        'Changes the description of a service; null removes it. The name is part of the service\'s topics and cannot ' +
          'be changed. A token that is pinned to one environment is refused.',
      params: ServicePath,
      body: ref(ServiceUpdate),
      response: { 200: ref(Service, 'The service.'), ...refusals(400, 401, 403, 404, 413, 415) }
    }
  }, async (request) => {
    request.access.authorizeInEvery('services:update')
    return app.services.update(request.scope, request.params.id, request.body, request.origin)
  })

  app.delete('/:id', {
    config: { permission: 'services:delete' },
    schema: {
      operationId: 'deleteService',
      tags: ['Services'],
      summary: 'Delete a service',
      description:
        'Deletes a service. A service that has documents in any environment is refused with 409. With `force=true` ' +
          'the documents are deleted first, each with its event; this also requires `documents:delete`. A token that ' +
          'is pinned to one environment is refused.',
      params: ServicePath,
      querystring: ForceQuery,
      response: { 204: Type.Null({ description: 'The service was deleted.' }), ...refusals(400, 401, 403, 404, 409) }
    }
  }, async (request, reply) => {
    request.access.authorizeInEvery('services:delete')
    if (request.query.force === true) request.access.authorizeInEvery('documents:delete')
    await app.services.remove(request.scope, request.params.id, request.query, request.origin)
    return reply.code(204).send(null)
  })
}
export default services
