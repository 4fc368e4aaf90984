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
        'Returns users. A token, and a user with `users:read` for some applications only, see the ' +
          'users who have a role there.',
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
        'Creates a user with a password and roles whose permissions the caller holds. A caller without ' +
          '`users:create` everywhere sends an invite instead: the request must have exactly one role, for an ' +
          'application of the caller, and ignores the name and the password. The response is the same whether the ' +
          'address has an account or not.',
      body: ref(AccountCreate),
      response: {
        201: ref(Account, 'The user.'),
        202: ref(InviteCreated, 'An invite was sent to the address.'),
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
      description: 'Returns a user. A user whom the caller may not see is 404, like one that does not exist.',
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
        'Changes the given fields. You cannot change a user who holds more permissions than you do. Changing an ' +
          'address requires `users:update` everywhere, and `currentPassword` for your own. The former address gets ' +
          'a mail.',
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
        'Deletes a user, ends their sessions and closes their sockets. You cannot delete a user who holds more ' +
          'permissions than you do, or the last super_admin.',
      params: AccountPath,
      response: { 204: { type: 'null', description: 'The user is deleted.' }, ...refusals(400, 401, 403, 404, 409) }
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
        'Changes your own password, which requires the current one, or, with `users:update`, that of a user who ' +
          'holds no more permissions than you do. Every session of the user ends. If it is the password of ' +
          'another user, their API keys are revoked as well; `revokeApiKeys` decides otherwise. Requires a ' +
          'session: a token and an API key are refused with 403 `SESSION_REQUIRED`.',
      params: AccountPath,
      body: ref(PasswordChange),
      response: {
        204: { type: 'null', description: 'The password is changed. Log in again.' },
        ...refusals(400, 401, 403, 404, 413, 415)
      }
    }
  }, async (request, reply) => {
    await app.userCredentials.changePassword(request.principal, request.params.id, request.body, request.origin)
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
        'Returns a seed for your own authenticator app, with its QR code. Requires `currentPassword`. The second ' +
          'factor takes effect when you confirm a code.',
      params: AccountPath,
      body: ref(MfaSetupRequest),
      response: {
        200: ref(MfaSetup, 'The response cannot be read again.'),
        ...refusals(400, 401, 403, 404, 409, 413, 415)
      }
    }
  }, async (request) =>
    app.userCredentials.setUpMfa(request.principal, request.params.id, request.body, request.origin))

  app.post('/:id/mfa/confirm', {
    config: { permission: 'authenticated' },
    schema: {
      operationId: 'confirmMfa',
      tags: ['Users'],
      summary: 'Confirm a second factor',
      description:
        'Confirms the second factor with a code of the app. Logins require a code from now on. Keep the recovery ' +
          'codes in case you lose the app.',
      params: AccountPath,
      body: ref(MfaConfirm),
      response: {
        200: ref(RecoveryCodes, 'The response cannot be read again.'),
        ...refusals(400, 401, 403, 404, 409, 413, 415)
      }
    }
  }, async (request) =>
    app.userCredentials.confirmMfa(request.principal, request.params.id, request.body.code, request.origin))

  app.post('/:id/mfa/disable', {
    config: { permission: 'authenticated' },
    preValidation: async request => { if (request.headers['content-type'] === undefined) request.body = {} },
    schema: {
      operationId: 'disableMfa',
      tags: ['Users'],
      summary: 'Disable a second factor',
      description:
        'Disables your own second factor, which requires the password and a code, or, with `users:update`, ' +
          'that of a user who holds no more permissions than you do. The user gets a mail. Requires a session: a ' +
          'token and an API key are refused with 403 `SESSION_REQUIRED`.',
      params: AccountPath,
      body: ref(MfaDisable),
      response: {
        204: { type: 'null', description: 'Logins no longer require a code.' },
        ...refusals(400, 401, 403, 404, 409, 413, 415)
      }
    }
  }, async (request, reply) => {
    await app.userCredentials.disableMfa(request.principal, request.params.id, request.body, request.origin)
    return reply.code(204).send(null)
  })

  app.post('/:id/roles', {
    config: { permission: 'users:update' },
    schema: {
      operationId: 'assignRole',
      tags: ['Users'],
      summary: 'Assign a role',
      description:
        'Assigns a role, everywhere or for one application. You must hold its permissions there. It takes effect ' +
          "with the user's next request.",
      params: AccountPath,
      body: ref(RoleGrant),
      response: { 201: ref(Account, 'The user.'), ...refusals(400, 401, 403, 404, 409, 413, 415) }
    }
  }, async (request, reply) => {
    reply.code(201)
    return app.roleAssignments.assign(request.principal, request.params.id, request.body, request.origin)
  })

  app.delete('/:id/roles/:roleId', {
    config: { permission: 'users:update' },
    schema: {
      operationId: 'unassignRole',
      tags: ['Users'],
      summary: 'Remove a role',
      description:
        'Removes a role from a user, for one application or everywhere. You must hold its permissions there. The ' +
          'last super_admin cannot be removed.',
      params: AccountRolePath,
      querystring: RoleUnassign,
      response: { 204: { type: 'null', description: 'The role is removed.' }, ...refusals(400, 401, 403, 404, 409) }
    }
  }, async (request, reply) => {
    await app.roleAssignments.unassign(
      request.principal, request.params.id, request.params.roleId, request.query, request.origin
    )
    return reply.code(204).send(null)
  })
}
export default users
