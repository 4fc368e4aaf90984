import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { pageOf, PageQuery, ref, refusals } from '../../../schemas/common.ts'
import { Role, RoleCreate, RolePath, RoleUpdate } from '../../../schemas/people.ts'

const roles: FastifyPluginAsyncTypebox = async (app) => {
  app.get('/', {
    config: { permission: 'roles:read' },
    schema: {
      operationId: 'listRoles',
      tags: ['Roles'],
      summary: 'List roles',
      description:
        "The built-in ones and the others, in the order of names. They are the platform's; assigned they are for everything or for one application.",
      querystring: PageQuery,
      response: {
        200: pageOf(Role, 'A page of roles.'),
        ...refusals(400, 401, 403)
      }
    }
  }, async (request, reply) => {
    const { items, nextCursor } = await app.roles.list(request.query)
    if (nextCursor !== undefined) reply.header('x-next-cursor', nextCursor)
    return items
  })

  app.post('/', {
    config: { permission: 'roles:create' },
    schema: {
      operationId: 'createRole',
      tags: ['Roles'],
      summary: 'Create a role',
      description:
        'A role belongs to the platform: the caller must hold all of its permissions everywhere. A token, and a ' +
          'role for one application, hold nothing everywhere.',
      body: ref(RoleCreate),
      response: { 201: ref(Role, 'The role.'), ...refusals(400, 401, 403, 409, 413, 415) }
    }
  }, async (request, reply) => {
    reply.code(201)
    return app.roles.create(request.principal, request.body, request.origin)
  })

  app.patch('/:id', {
    config: { permission: 'roles:update' },
    schema: {
      operationId: 'updateRole',
      tags: ['Roles'],
      summary: 'Change a role',
      description:
        "What is left out stays. The caller must hold all of the role everywhere, before and after. It counts from its holders' next request on.",
      params: RolePath,
      body: ref(RoleUpdate),
      response: { 200: ref(Role, 'The role.'), ...refusals(400, 401, 403, 404, 409, 413, 415) }
    }
  }, async (request) => app.roles.update(request.principal, request.params.id, request.body, request.origin))

  app.delete('/:id', {
    config: { permission: 'roles:delete' },
    schema: {
      operationId: 'deleteRole',
      tags: ['Roles'],
      summary: 'Delete a role',
      description: 'Whoever has it has it no more, and its invites are void. Built-in roles stay.',
      params: RolePath,
      response: { 204: { type: 'null', description: 'It is gone.' }, ...refusals(400, 401, 403, 404, 409) }
    }
  }, async (request, reply) => {
    await app.roles.remove(request.principal, request.params.id, request.origin)
    return reply.code(204).send(null)
  })
}
export default roles
