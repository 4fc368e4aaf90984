import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { pageOf, refusals } from '../../../../schemas/common.ts'
import { DatabaseLog, DatabaseLogQuery } from '../../../../schemas/database.ts'

const logs: FastifyPluginAsyncTypebox = async (app) => {
  app.get('/', {
    config: { permission: 'database:read' },
    schema: {
      operationId: 'listDatabaseLogs',
      tags: ['Database'],
      summary: 'See what mappings made of changes',
      description:
        'Newest first. One entry says what one mapping made of one transaction, or of a part of a large one: so ' +
          'many changes became events, or did not, and why.',
      querystring: DatabaseLogQuery,
      response: {
        200: pageOf(DatabaseLog, 'A page of entries.'),
        ...refusals(400, 401, 403)
      }
    }
  }, async (request, reply) => {
    const { items, nextCursor } = await app.databaseSources.logs.list(request.principal, request.scope, request.query)
    if (nextCursor !== undefined) reply.header('x-next-cursor', nextCursor)
    return items
  })
}
export default logs
