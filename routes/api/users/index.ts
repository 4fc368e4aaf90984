import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { MfaConfirm, MfaDisable, MfaSetup, MfaSetupRequest, RecoveryCodes } from '../../../schemas/auth.ts'
import { pageOf, ref, refusals } from '../../../schemas/common.ts'
import {
  Account,
  AccountCreate,
  AccountPath,
  AccountQuery,
  AccountRolePath,
  AccountUpdate,
  InviteCreated,
  PasswordChange,
  RoleGrant,
  RoleUnassign
} from '../../../schemas/people.ts'

const users: FastifyPluginAsyncTypebox = async (app) => {
  app.get('/', {
    config: { permission: 'users:read' },
    schema: {
      operationId: 'listUsers',
      tags: ['Users'],
      summary: 'List users',
      description:
        'Oldest first. Whoever may read users for some applications only, and a token, sees those who have a role ' +
          'there.',
      querystring: AccountQuery,
      response: {
        200: pageOf(Account, 'A page of users.'),
        ...refusals(400, 401, 403)
      }
    }
  }, async (request, reply) => {
    const { items, nextCursor } = await app.people.list(request.principal, request.query)
    if (nextCursor !== undefined) reply.header('x-next-cursor', nextCursor)
    return items
  })

  app.post('/', {
    config: { permission: 'users:create' },
    schema: {
      operationId: 'createUser',
      tags: ['Users'],
      summary: 'Create a user',
      description:
        'Creates a user with a password and roles that the caller holds as well. For a caller who does not rule ' +
          'over all users it sends an invite with the one role that is given, for an application of theirs; the name ' +
          'and the password are not used. The answer is the same whether the address has an account or not.',
      body: ref(AccountCreate),
      response: {
        201: ref(Account, 'The user.'),
        202: ref(InviteCreated, 'An invite, which the address accepts.'),
        ...refusals(400, 401, 403, 404, 409, 413, 415)
      }
    }
  }, async (request, reply) => {
    const created = await app.people.create(request.principal, request.body, request.origin)
    return 'account' in created ? reply.code(201).send(created.account) : reply.code(202).send(created.invite)
  })

  app.get('/:id', {
    config: { permission: 'users:read' },
    schema: {
      operationId: 'getUser',
      tags: ['Users'],
      summary: 'Get a user',
      description: 'One whom the caller may not know of is 404, as one that does not exist.',
      params: AccountPath,
      response: { 200: ref(Account, 'The user.'), ...refusals(400, 401, 403, 404) }
    }
  }, async (request) => app.people.get(request.principal, request.params.id))

  app.patch('/:id', {
    config: { permission: 'users:update' },
    schema: {
      operationId: 'updateUser',
      tags: ['Users'],
      summary: 'Change a user',
      description:
        'What is left out stays. Nobody changes a user who holds more than they do. Only callers who rule over all ' +
          'users change addresses; for their own they show `currentPassword`. The former address gets a mail.',
      params: AccountPath,
      body: ref(AccountUpdate),
      response: { 200: ref(Account, 'The user.'), ...refusals(400, 401, 403, 404, 409, 413, 415) }
    }
  }, async (request) => app.people.update(request.principal, request.params.id, request.body, request.origin))

  app.delete('/:id', {
    config: { permission: 'users:delete' },
    schema: {
      operationId: 'deleteUser',
      tags: ['Users'],
      summary: 'Delete a user',
      description:
        'Their sessions end, and their sockets are closed. Nobody deletes a user who holds more than they do; the ' +
          'last super_admin stays.',
      params: AccountPath,
      response: { 204: { type: 'null', description: 'The user is gone.' }, ...refusals(400, 401, 403, 404, 409) }
    }
  }, async (request, reply) => {
    await app.people.remove(request.principal, request.params.id, request.origin)
    return reply.code(204).send(null)
  })

  app.post('/:id/change-password', {
    config: { permission: 'authenticated' },
    schema: {
      operationId: 'changePassword',
      tags: ['Users'],
      summary: 'Change a password',
      description:
        "One's own, with the current one; or, with `users:update`, that of a user who holds no more than oneself. Every session of the user ends.",
      params: AccountPath,
      body: ref(PasswordChange),
      response: { 204: { type: 'null', description: 'Log in with it.' }, ...refusals(400, 401, 403, 404, 413, 415) }
    }
  }, async (request, reply) => {
    await app.people.changePassword(request.principal, request.params.id, request.body, request.origin)
    return reply.code(204).send(null)
  })

  app.post('/:id/mfa/setup', {
    config: { permission: 'authenticated' },
    preValidation: async request => { if (request.headers['content-type'] === undefined) request.body = {} },
    schema: {
      operationId: 'setUpMfa',
      tags: ['Users'],
      summary: 'Set up a second factor',
      description:
        "Returns a seed for the caller's own authenticator app, with its QR code. It requires `currentPassword`, and counts once a code of it is confirmed.",
      params: AccountPath,
      body: ref(MfaSetupRequest),
      response: { 200: ref(MfaSetup, 'Shown this once.'), ...refusals(400, 401, 403, 404, 409, 413, 415) }
    }
  }, async (request) => app.people.setUpMfa(request.principal, request.params.id, request.body, request.origin))

  app.post('/:id/mfa/confirm', {
    config: { permission: 'authenticated' },
    schema: {
      operationId: 'confirmMfa',
      tags: ['Users'],
      summary: 'Confirm a second factor',
      description:
        'With a code of the app. From now on logins need one; the recovery codes are for when the app is lost.',
      params: AccountPath,
      body: ref(MfaConfirm),
      response: { 200: ref(RecoveryCodes, 'Shown this once.'), ...refusals(400, 401, 403, 404, 409, 413, 415) }
    }
  }, async (request) => app.people.confirmMfa(request.principal, request.params.id, request.body.code, request.origin))

  app.post('/:id/mfa/disable', {
    config: { permission: 'authenticated' },
    preValidation: async request => { if (request.headers['content-type'] === undefined) request.body = {} },
    schema: {
      operationId: 'disableMfa',
      tags: ['Users'],
      summary: 'Disable a second factor',
      description:
        "One's own, with the password and a code; or, with `users:update`, that of a user who holds no more than oneself, who has lost it. The user gets a mail.",
      params: AccountPath,
      body: ref(MfaDisable),
      response: {
        204: { type: 'null', description: 'Logins need no code.' },
        ...refusals(400, 401, 403, 404, 409, 413, 415)
      }
    }
  }, async (request, reply) => {
    await app.people.disableMfa(request.principal, request.params.id, request.body, request.origin)
    return reply.code(204).send(null)
  })

  app.post('/:id/roles', {
    config: { permission: 'users:update' },
    schema: {
      operationId: 'assignRole',
      tags: ['Users'],
      summary: 'Give a user a role',
      description:
        "Everywhere, or for one application. Nobody gives more than they hold there. It counts from the user's next request on.",
      params: AccountPath,
      body: ref(RoleGrant),
      response: { 201: ref(Account, 'The user.'), ...refusals(400, 401, 403, 404, 409, 413, 415) }
    }
  }, async (request, reply) => {
    reply.code(201)
    return app.people.assign(request.principal, request.params.id, request.body, request.origin)
  })

  app.delete('/:id/roles/:roleId', {
    config: { permission: 'users:update' },
    schema: {
      operationId: 'unassignRole',
      tags: ['Users'],
      summary: 'Take a role from a user',
      description:
        'For one application, or wherever they have it. Nobody takes more than they hold there; the last ' +
          'super_admin stays one.',
      params: AccountRolePath,
      querystring: RoleUnassign,
      response: { 204: { type: 'null', description: 'The user has it no more.' }, ...refusals(400, 401, 403, 404, 409) }
    }
  }, async (request, reply) => {
    await app.people.unassign(
      request.principal, request.params.id, request.params.roleId, request.query, request.origin
    )
    return reply.code(204).send(null)
  })
}
export default users
