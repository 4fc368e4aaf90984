import { Type } from '@sinclair/typebox'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import {
  Application, ApplicationCreate, ApplicationDelete, ApplicationPath, ApplicationQuery, ApplicationUpdate
} from '../../../schemas/applications.ts'
import { pageOf, ref, refusals } from '../../../schemas/common.ts'
import { Quotas, QuotasChange, Usage, UsageQuery } from '../../../schemas/quotas.ts'

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

  app.get('/:id/quotas', {
    config: { permission: 'applications:read' },
    schema: {
      operationId: 'getQuotas',
      tags: ['Applications'],
      summary: 'Get the quotas of an application',
      description: 'Returns the quotas in effect: those that were set, otherwise the defaults of the server.',
      params: ApplicationPath,
      response: { 200: ref(Quotas, 'The quotas.'), ...refusals(400, 401, 403, 404) }
    }
  }, async (request) => app.quotas.administration.get(request.principal, request.params.id))

  app.put('/:id/quotas', {
    config: { permission: 'applications:update' },
    schema: {
      operationId: 'setQuotas',
      tags: ['Applications'],
      summary: 'Set the quotas of an application',
      description:
        'Replaces the quotas, on all nodes within two seconds. The permission is required for all applications, so ' +
          'that a tenant cannot lift its own quotas. What already exceeds a new quota stays; nothing can be added.',
      params: ApplicationPath,
      body: ref(QuotasChange),
      response: { 200: ref(Quotas, 'The quotas in effect.'), ...refusals(400, 401, 403, 404, 413, 415) }
    }
  }, async (request) =>
    app.quotas.administration.put(request.principal, request.params.id, request.body, request.origin))

  app.get('/:id/usage', {
    config: { permission: 'applications:read' },
    schema: {
      operationId: 'getUsage',
      tags: ['Applications'],
      summary: 'Get the usage of an application',
      description:
        'Returns what the application has used by day or hour, over all nodes and environments, oldest first. ' +
          'Periods without any use are absent. Days are kept for 400 days, hours for 31 days.',
      params: ApplicationPath,
      querystring: UsageQuery,
      response: {
        200: Type.Array(ref(Usage), { description: 'The periods.' }),
        ...refusals(400, 401, 403, 404)
      }
    }
  }, async (request) => app.quotas.usage.read(request.principal, request.params.id, request.query))

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
