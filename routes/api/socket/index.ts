import type { FastifyReply } from 'fastify'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import {
  Broadcast, BroadcastAnswer, ChannelMember, ChannelPath, ChannelQuery, ChannelSummary, ConnectionCount, MemberQuery
} from '../../../schemas/channels.ts'
import {
  IdempotencyHeaders, nextCursor, nodesMissing, pageOf, ref, refusals
} from '../../../schemas/common.ts'

const headers = { ...nextCursor(), ...nodesMissing }

const socket: FastifyPluginAsyncTypebox = async (app) => {
  const { census, messages } = app.channels

  app.get('/channels', {
    config: { permission: 'socket:read' },
    schema: {
      operationId: 'listChannels',
      tags: ['Socket'],
      summary: 'List channels',
      description:
        'Returns the channels of the scope that have members, on all nodes. Channels of documents ' +
          '(`doc:…`) are included only for callers with `documents:read`.',
      querystring: ChannelQuery,
      response: {
        200: pageOf(ChannelSummary, 'A page of channels.', headers),
        ...refusals(400, 401, 403)
      }
    }
  }, async (request, reply) => {
    const { items, nextCursor, missing } = census.channels(request.principal, request.scope, request.query)
    if (nextCursor !== undefined) reply.header('x-next-cursor', nextCursor)
    tellMissing(reply, missing)
    return items
  })

  app.get('/channels/:channel/members', {
    config: { permission: 'socket:read' },
    schema: {
      operationId: 'listChannelMembers',
      tags: ['Socket'],
      summary: 'List the members of a channel',
      description:
        'Returns the members. A page ends early when its states exceed 1 MiB. A member whose ' +
          'connection has ended stays until the grace period is over. A channel that does not exist has no members. ' +
          'The channel of a document also requires `documents:read`.',
      params: ChannelPath,
      querystring: MemberQuery,
      response: {
        200: pageOf(ChannelMember, 'A page of members.', headers),
        ...refusals(400, 401, 403)
      }
    }
  }, async (request, reply) => {
    const { items, nextCursor, missing } = census.membersFor(
      request.principal, request.scope, request.params.channel, request.query
    )
    if (nextCursor !== undefined) reply.header('x-next-cursor', nextCursor)
    tellMissing(reply, missing)
    return items
  })

  app.get('/connections', {
    config: { permission: 'socket:read' },
    schema: {
      operationId: 'countConnections',
      tags: ['Socket'],
      summary: 'Count connections',
      description: 'Returns the number of open sockets of the scope, over Socket.IO and `/ws`, on all nodes.',
      response: {
        200: {
          description: 'The number of open sockets.', headers: nodesMissing,
          content: { 'application/json': { schema: ref(ConnectionCount) } }
        },
        ...refusals(400, 401, 403)
      }
    }
  }, async (request, reply) => {
    const { count, missing } = await census.connections(request.scope)
    tellMissing(reply, missing)
    return { count }
  })

  app.post('/broadcast', {
    config: { permission: 'socket:create' },
    schema: {
      operationId: 'broadcast',
      tags: ['Socket'],
      summary: 'Send a message to a channel',
      description:
        'Sends a message to every connected member of the channel, on all nodes. The message is stored only if ' +
          '`socket.message` has a listener in the scope. It is then delivered once it is committed, and refused if ' +
          "it violates that topic's active schema.",
      headers: IdempotencyHeaders,
      body: ref(Broadcast),
      response: {
        200: {
          description: 'The number of members that the message was sent to.', headers: nodesMissing,
          content: { 'application/json': { schema: ref(BroadcastAnswer) } }
        },
        ...refusals(400, 401, 403, 409, 413, 415)
      }
    }
  }, async (request, reply) => {
    const { delivered, missing } = await messages.broadcast(request.scope, request.principal, request.body, {
      idempotencyKey: request.idempotencyKey
    })
    tellMissing(reply, missing)
    return { delivered: census.mayKnow(request.principal, request.scope, request.body.channel) ? delivered : null }
  })
}

function tellMissing (reply: FastifyReply, missing: number): void {
  if (missing > 0) reply.header('x-nodes-missing', missing)
}
export default socket
