import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { ChannelMember } from '../../../../schemas/channels.ts'
import { nextCursor, nodesMissing, pageOf, PageQuery, refusals } from '../../../../schemas/common.ts'
import { DocumentPath } from '../../../../schemas/documents.ts'

/** Beside the documents rather than below the folder's own path. */
export const prefixOverride = '/api/sync'

const documentPresence: FastifyPluginAsyncTypebox = async (app) => {
  app.get('/:service/documents/:id/presence', {
    config: { permission: 'sync:read' },
    schema: {
      operationId: 'listDocumentPresence',
      tags: ['Sync'],
      summary: 'See who looks at a document',
      description:
        'The members of the channel `doc:<service>:<id>`, which clients join over a socket while they show the ' +
          'document.',
      params: DocumentPath,
      querystring: PageQuery,
      response: {
        200: pageOf(ChannelMember, 'A page of members, those who have been there for longest first.', {
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
