import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import {
  Application, ApplicationCreate, ApplicationDelete, ApplicationPath, ApplicationUpdate
} from '../../../schemas/applications.ts'
import { pageOf, PageQuery, ref, refusals } from '../../../schemas/common.ts'

const applications: FastifyPluginAsyncTypebox = async (app) => {
  app.get('/', {
    config: { permission: 'applications:read' },
    schema: {
      operationId: 'listApplications',
      tags: ['Applications'],
      summary: 'List applications',
      description: 'Those that the caller reaches, oldest first: a token its own, a session those of its roles.',
      querystring: PageQuery,
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
      description: 'With its three environments: development, staging and production.',
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
      description: 'One that the caller does not reach is 404, as one that does not exist.',
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
      description: 'What is left out stays.',
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
        '409 while it owns topics, services or events, unless forced: then they are lost, in every environment. Its ' +
          'tokens are dead and its sockets are closed.',
      params: ApplicationPath,
      querystring: ApplicationDelete,
      response: { 204: { type: 'null', description: 'It is gone.' }, ...refusals(400, 401, 403, 404, 409) }
    }
  }, async (request, reply) => {
    await app.applications.remove(request.principal, request.params.id, request.query, request.origin)
    return reply.code(204).send(null)
  })
}
export default applications
