import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { pageOf, PageQuery, ref, refusals } from '../../../schemas/common.ts'
import { Invite, InviteCreate, InviteCreated, InvitePath } from '../../../schemas/people.ts'

const invites: FastifyPluginAsyncTypebox = async (app) => {
  app.get('/', {
    config: { permission: 'users:read' },
    schema: {
      operationId: 'listInvites',
      tags: ['Users'],
      summary: 'List invites',
      description:
        'Those that are open, oldest first. Whoever may read users for some applications only, and a token, sees ' +
          'those for them.',
      querystring: PageQuery,
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
    config: { permission: 'users:create' },
    schema: {
      operationId: 'createInvite',
      tags: ['Users'],
      summary: 'Invite somebody',
      description:
        'Mails a link that is good for seven days, once. It gives a role that the caller holds as well, now and ' +
          'when it is accepted. Callers who do not rule over all users get no token while mail is configured: the ' +
          'answer is the same whether the address has an account or not.',
      body: ref(InviteCreate),
      response: { 201: ref(InviteCreated, 'The invite.'), ...refusals(400, 401, 403, 404, 413, 415) }
    }
  }, async (request, reply) => {
    reply.code(201)
    return app.invites.create(request.principal, request.body, request.origin)
  })

  app.delete('/:id', {
    config: { permission: 'users:delete' },
    schema: {
      operationId: 'withdrawInvite',
      tags: ['Users'],
      summary: 'Withdraw an invite',
      description: 'Its link is dead at once.',
      params: InvitePath,
      response: { 204: { type: 'null', description: 'It is withdrawn.' }, ...refusals(400, 401, 403, 404) }
    }
  }, async (request, reply) => {
    await app.invites.remove(request.principal, request.params.id, request.origin)
    return reply.code(204).send(null)
  })
}
export default invites
