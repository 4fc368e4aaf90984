import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import {
  Application, ApplicationCreate, ApplicationDelete, ApplicationPath, ApplicationQuery, ApplicationUpdate
} from '../../../schemas/applications.ts'
import { pageOf, ref, refusals } from '../../../schemas/common.ts'

const applications: FastifyPluginAsyncTypebox = async (app) => {
  app.get('/', {
    config: { permission: 'applications:read' },
    schema: {
      operationId: 'listApplications',
      tags: ['Applications'],
      summary: 'List applications',
      description:
        "Returns the applications that the caller has access to: a token's own, or those of a " +
          "session's roles.",
      querystring: ApplicationQuery,
      response: {
        200: pageOf(Application, 'A page of applications.'),
        ...refusals(400, 401, 403)
      }
    }
  }, async (request, reply) => {
    const { items, nextCursor } = await app.applications.list(request.principal, request.query)
    if (nextCursor !== undefined) reply.header('x-next-cursor', nextCursor)
    return items
  })

  app.post('/', {
    config: { permission: 'applications:create' },
    schema: {
      operationId: 'createApplication',
      tags: ['Applications'],
      summary: 'Create an application',
      description: 'Creates an application with its three environments: development, staging and production.',
      body: ref(ApplicationCreate),
      response: { 201: ref(Application, 'The application.'), ...refusals(400, 401, 403, 413, 415) }
    }
  }, async (request, reply) => {
    reply.code(201)
    return app.applications.create(request.principal, request.body, request.origin)
  })

  app.get('/:id', {
    config: { permission: 'applications:read' },
    schema: {
      operationId: 'getApplication',
      tags: ['Applications'],
      summary: 'Get an application',
      description: 'Returns an application. One that the caller has no access to is 404, like one that does not exist.',
      params: ApplicationPath,
      response: { 200: ref(Application, 'The application.'), ...refusals(400, 401, 403, 404) }
    }
  }, async (request) => app.applications.get(request.principal, request.params.id))

  app.patch('/:id', {
    config: { permission: 'applications:update' },
    schema: {
      operationId: 'updateApplication',
      tags: ['Applications'],
      summary: 'Change an application',
      description: 'Changes the given fields.',
      params: ApplicationPath,
      body: ref(ApplicationUpdate),
      response: { 200: ref(Application, 'The application.'), ...refusals(400, 401, 403, 404, 413, 415) }
    }
  }, async (request) => app.applications.update(request.principal, request.params.id, request.body, request.origin))

  app.delete('/:id', {
    config: { permission: 'applications:delete' },
    schema: {
      operationId: 'deleteApplication',
      tags: ['Applications'],
      summary: 'Delete an application',
      description:
        'Deletes an application, closes its sockets and invalidates its tokens. Refused with 409 while it owns ' +
          'topics, services, webhooks or events. With `force=true`, they are deleted as well, in every environment.',
      params: ApplicationPath,
      querystring: ApplicationDelete,
      response: {
        204: {
          type: 'null', description:
        'The application is deleted.'
        }, ...refusals(400, 401, 403, 404, 409)
      }
    }
  }, async (request, reply) => {
    await app.applications.remove(request.principal, request.params.id, request.query, request.origin)
    return reply.code(204).send(null)
  })
}
export default applications
