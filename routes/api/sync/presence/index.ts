import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { ChannelMember, MemberQuery } from '../../../../schemas/channels.ts'
import { nextCursor, nodesMissing, pageOf, refusals } from '../../../../schemas/common.ts'
import { DocumentPath } from '../../../../schemas/documents.ts'

/** Mounts the route beside the documents instead of at the folder's own path. */
export const prefixOverride = '/api/sync'

const documentPresence: FastifyPluginAsyncTypebox = async (app) => {
  app.get('/:service/documents/:id/presence', {
    config: { permission: 'documents:read' },
    schema: {
      operationId: 'listDocumentPresence',
      tags: ['Sync'],
      summary: 'List the viewers of a document',
      description:
        'Returns the members of the channel `doc:<service>:<id>`. Clients join it over a socket while they show the ' +
          'document.',
      params: DocumentPath,
      querystring: MemberQuery,
      response: {
        200: pageOf(ChannelMember, 'A page of members.', {
          ...nextCursor(),
          ...nodesMissing
        }),
        ...refusals(400, 401, 403, 404)
      }
    }
  }, async (request, reply) => {
    const { items, nextCursor, missing } = await app.channels.documents.members(
      request.scope, request.params, request.query
    )
    if (nextCursor !== undefined) reply.header('x-next-cursor', nextCursor)
    if (missing > 0) reply.header('x-nodes-missing', missing)
    return items
  })
}
export default documentPresence
