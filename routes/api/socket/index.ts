import { Type } from '@sinclair/typebox'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Broadcast, BroadcastAnswer, ChannelMember, ChannelPath, ChannelSummary, ConnectionCount } from '../../../schemas/channels.ts'
import { IdempotencyHeaders, PageQuery, ref, refusals } from '../../../schemas/common.ts'

const headers = { 'X-Next-Cursor': Type.String({ description: 'Pass it as `cursor` for the next page; absent on the last.' }) }

const socket: FastifyPluginAsyncTypebox = async (app) => {
  const { directory, messages } = app.channels

  app.get('/channels', {
    config: { permission: 'socket:read' },
    schema: {
      operationId: 'listChannels',
      tags: ['Socket'],
      summary: 'List channels',
      description: 'The channels of the scope that somebody is in, in the order of their names.',
      querystring: PageQuery,
      response: {
        200: { description: 'A page of channels.', headers, content: { 'application/json': { schema: Type.Array(ref(ChannelSummary)) } } },
        ...refusals(400, 401, 403)
      }
    }
  }, async (request, reply) => {
    const { items, nextCursor } = directory.channels(request.scope, request.query)
    if (nextCursor !== undefined) reply.header('x-next-cursor', nextCursor)
    return items
  })

  app.get('/channels/:channel/members', {
    config: { permission: 'socket:read' },
    schema: {
      operationId: 'listChannelMembers',
      tags: ['Socket'],
      summary: 'List the members of a channel',
      description: 'Those who have been in it for longest first. A member whose connection has just ended is there until its grace period is over. A channel that nobody is in has no members.',
      params: ChannelPath,
      querystring: PageQuery,
      response: {
        200: { description: 'A page of members.', headers, content: { 'application/json': { schema: Type.Array(ref(ChannelMember)) } } },
        ...refusals(400, 401, 403)
      }
    }
  }, async (request, reply) => {
    const { items, nextCursor } = directory.members(request.scope, request.params.channel, request.query)
    if (nextCursor !== undefined) reply.header('x-next-cursor', nextCursor)
    return items
  })

  app.get('/connections', {
    config: { permission: 'socket:read' },
    schema: {
      operationId: 'countConnections',
      tags: ['Socket'],
      summary: 'Count connections',
      description: 'The open sockets of the scope, over Socket.IO and `/ws` together.',
      response: { 200: ref(ConnectionCount, 'How many there are.'), ...refusals(400, 401, 403) }
    }
  }, async (request) => ({ count: directory.connectionCount(request.scope) }))

  app.post('/broadcast', {
    config: { permission: 'socket:create' },
    schema: {
      operationId: 'broadcast',
      tags: ['Socket'],
      summary: 'Send a message to a channel',
      description: 'To every connected member. It is not stored, unless somebody in the scope listens to `socket.message`: then it is delivered once it is committed, and refused when it violates that topic\'s active schema.',
      headers: IdempotencyHeaders,
      body: ref(Broadcast),
      response: { 200: ref(BroadcastAnswer, 'How many got it.'), ...refusals(400, 401, 403, 409, 413, 415) }
    }
  }, async (request) => messages.broadcast(request.scope, request.principal, request.body, { idempotencyKey: request.headers['idempotency-key'] }))
}
export default socket
