import { Type } from '@sinclair/typebox'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { ref, refusals } from '../../../../schemas/common.ts'
import { DatabaseTable } from '../../../../schemas/database.ts'

const tables: FastifyPluginAsyncTypebox = async (app) => {
  const { sources, readTables } = app.databaseSources

  app.get('/', {
    config: { permission: 'mappings:read' },
    schema: {
      operationId: 'listDatabaseTables',
      tags: ['Database'],
      summary: 'List the tables of the connected database',
      description:
        'Returns at most 2,000 tables with their columns, types and replica identity, sorted by schema and name. 503 ' +
          'while the database cannot be used.',
      response: {
        200: {
          description: 'The tables.', content: { 'application/json': { schema: Type.Array(ref(DatabaseTable)) } }
        },
        ...refusals(400, 401, 403, 404)
      }
    }
  }, async (request) => sources.run(await sources.get(request.scope), readTables))
}
export default tables
