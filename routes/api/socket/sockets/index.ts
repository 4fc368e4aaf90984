import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { nextCursor, nodesMissing, pageOf, ref, refusals } from '../../../../schemas/common.ts'
import { SocketDetail, SocketPath, SocketQuery, SocketSummary } from '../../../../schemas/sockets.ts'

const sockets: FastifyPluginAsyncTypebox = async (app) => {
  const { sockets } = app.channels

  app.get('/', {
    config: { permission: 'socket:read' },
    schema: {
      operationId: 'listSockets',
      tags: ['Socket'],
      summary: 'List connections',
      description: 'Returns the open connections of the scope, on all nodes, with their principals.',
      querystring: SocketQuery,
      response: {
        200: pageOf(SocketSummary, 'A page of connections.', { ...nextCursor(), ...nodesMissing }),
        ...refusals(400, 401, 403)
      }
    }
  }, async (request, reply) => {
    const { items, nextCursor, missing } = await sockets.list(request.principal, request.scope, request.query)
    if (nextCursor !== undefined) reply.header('x-next-cursor', nextCursor)
    if (missing > 0) reply.header('x-nodes-missing', missing)
    return items
  })

  app.get('/:id', {
    config: { permission: 'socket:read' },
    schema: {
      operationId: 'getSocket',
      tags: ['Socket'],
      summary: 'Get a connection',
      description:
        'Returns a connection with its subscriptions and channels. Filters and positions are included for topics ' +
          'that the caller may subscribe to, channels of documents for callers with `documents:read`.',
      params: SocketPath,
      response: { 200: ref(SocketDetail, 'The connection.'), ...refusals(400, 401, 403, 404) }
    }
  }, async request => await sockets.get(request.principal, request.scope, request.params.id))

  app.delete('/:id', {
    config: { permission: 'socket:delete' },
    schema: {
      operationId: 'closeSocket',
      tags: ['Socket'],
      summary: 'Close a connection',
      description:
        'Closes a connection on any node, with close code 4411 `CLOSED_BY_OPERATOR`. A stock client does not ' +
          'reconnect by itself. The credential stays valid: to keep the client away, revoke it too.',
      params: SocketPath,
      response: { 204: Type.Null({ description: 'The connection was closed.' }), ...refusals(400, 401, 403, 404) }
    }
  }, async (request, reply) => {
    await sockets.close(request.scope, request.params.id, request.origin)
    return reply.code(204).send(null)
  })
}
export default sockets
