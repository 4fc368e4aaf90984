import type { FastifyReply } from 'fastify'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import {
  Broadcast, BroadcastAnswer, ChannelMember, ChannelPath, ChannelSummary, ConnectionCount
} from '../../../schemas/channels.ts'
import {
  IdempotencyHeaders, nextCursor, nodesMissing, pageOf, PageQuery, ref, refusals
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
        'The channels of the scope that somebody is in, on whatever node, in the order of their names. Channels of ' +
          'documents (`doc:…`) are there for whoever holds `sync:read`.',
      querystring: PageQuery,
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
        'Those who have been in it for longest first. A page ends early when its states are longer than 1 MiB. A ' +
          'member whose connection has just ended is there until its grace period is over. A channel that nobody is ' +
          'in has no members. That of a document needs `sync:read` as well.',
      params: ChannelPath,
      querystring: PageQuery,
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
      description: 'The open sockets of the scope, over Socket.IO and `/ws` and all nodes together.',
      response: {
        200: {
          description: 'How many there are.', headers: nodesMissing,
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
        "To every connected member, on whatever node. It is not stored, unless somebody in the scope listens to `socket.message`: then it is delivered once it is committed, and refused when it violates that topic's active schema.",
      headers: IdempotencyHeaders,
      body: ref(Broadcast),
      response: {
        200: {
          description: 'How many got it.', headers: nodesMissing,
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
