import { Type } from '@sinclair/typebox'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { ref, refusals } from '../../../../schemas/common.ts'
import { DatabaseTable, TableSample, TableSampleQuery } from '../../../../schemas/database.ts'

const tables: FastifyPluginAsyncTypebox = async (app) => {
  const { sources, readTables, readSampleRows } = app.databaseSources

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

  app.get('/sample', {
    // A mapping can publish every row of the database, so who may create one may see rows.
    config: { permission: 'mappings:create' },
    schema: {
      operationId: 'getTableSample',
      tags: ['Database'],
      summary: 'Get sample rows of a table',
      description:
        'Returns a few rows of a table of the connected database, to try a mapping on them with ' +
          '`POST /api/database/mappings/preview`. 503 while the database cannot be used, or if its user may not ' +
          'select from the table.',
      querystring: TableSampleQuery,
      response: { 200: ref(TableSample, 'The rows.'), ...refusals(400, 401, 403, 404) }
    }
  }, async ({ scope, query: { table, limit = 5 } }) =>
    sources.run(await sources.get(scope), client => readSampleRows(client, table, limit)))
}
export default tables
