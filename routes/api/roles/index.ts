import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { pageOf, ref, refusals } from '../../../schemas/common.ts'
import { Role, RoleCreate, RolePath, RoleQuery, RoleUpdate } from '../../../schemas/people.ts'

const roles: FastifyPluginAsyncTypebox = async (app) => {
  app.get('/', {
    config: { permission: 'roles:read' },
    schema: {
      operationId: 'listRoles',
      tags: ['Roles'],
      summary: 'List roles',
      description:
        'Returns built-in and other roles. Roles belong to the platform, and are assigned ' +
          'everywhere or for one application.',
      querystring: RoleQuery,
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
        'Creates a role. A role belongs to the platform, so you must hold all of its permissions everywhere. ' +
          'Tokens, and roles for one application, hold nothing everywhere.',
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
        'Changes the given fields. You must hold all permissions of the role everywhere, before and after the ' +
          'change. It takes effect with the next request of each holder.',
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
      description:
        'Deletes a role, removes it from all users and withdraws its invites. Built-in roles cannot be deleted.',
      params: RolePath,
      response: { 204: { type: 'null', description: 'The role is deleted.' }, ...refusals(400, 401, 403, 404, 409) }
    }
  }, async (request, reply) => {
    await app.roles.remove(request.principal, request.params.id, request.origin)
    return reply.code(204).send(null)
  })
}
export default roles
