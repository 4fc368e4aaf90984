import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { pageOf, ref, refusals } from '../../../schemas/common.ts'
import { Invite, InviteCreate, InviteCreated, InvitePath, InviteQuery } from '../../../schemas/people.ts'

const invites: FastifyPluginAsyncTypebox = async (app) => {
  app.get('/', {
    config: { permission: 'invites:read' },
    schema: {
      operationId: 'listInvites',
      tags: ['Users'],
      summary: 'List invites',
      description:
        'Returns open invites. A token, and a user with `invites:read` for some applications only, ' +
          'see the invites for those applications.',
      querystring: InviteQuery,
      response: {
        200: pageOf(Invite, 'A page of invites.'),
        ...refusals(400, 401, 403)
      }
    }
  }, async (request, reply) => {
    const { items, nextCursor } = await app.invites.list(request.principal, request.query)
    if (nextCursor !== undefined) reply.header('x-next-cursor', nextCursor)
    return items
  })

  app.post('/', {
    config: { permission: 'invites:create' },
    schema: {
      operationId: 'createInvite',
      tags: ['Users'],
      summary: 'Invite a user',
      description:
        'Mails a link that works once within seven days. You must hold the permissions of the role, now and when ' +
          'the invite is accepted. While mail is configured, only callers with `invites:create` everywhere get the ' +
          'token: the response is the same whether the address has an account or not.',
      body: ref(InviteCreate),
      response: { 201: ref(InviteCreated, 'The invite.'), ...refusals(400, 401, 403, 404, 413, 415) }
    }
  }, async (request, reply) => {
    reply.code(201)
    return app.invites.create(request.principal, request.body, request.origin)
  })

  app.delete('/:id', {
    config: { permission: 'invites:delete' },
    schema: {
      operationId: 'withdrawInvite',
      tags: ['Users'],
      summary: 'Withdraw an invite',
      description: 'Withdraws an invite. Its link stops working at once.',
      params: InvitePath,
      response: { 204: { type: 'null', description: 'The invite is withdrawn.' }, ...refusals(400, 401, 403, 404) }
    }
  }, async (request, reply) => {
    await app.invites.remove(request.principal, request.params.id, request.origin)
    return reply.code(204).send(null)
  })
}
export default invites
