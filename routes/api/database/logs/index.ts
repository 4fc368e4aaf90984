import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { pageOf, refusals } from '../../../../schemas/common.ts'
import { DatabaseLog, DatabaseLogQuery } from '../../../../schemas/database.ts'

const logs: FastifyPluginAsyncTypebox = async (app) => {
  app.get('/', {
    config: { permission: 'mappings:read' },
    schema: {
      operationId: 'listDatabaseLogs',
      tags: ['Database'],
      summary: 'List the delivery log of mappings',
      description:
        'Each entry gives one outcome of one mapping for one transaction, or for a part of a large ' +
          'one: how many changes became events, or how many did not and why.',
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
