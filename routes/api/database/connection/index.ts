import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { ref, refusals } from '../../../../schemas/common.ts'
import {
  ConnectionTest, ConnectionTestBody, DatabaseConnection, DatabaseConnectionPut, DatabaseDisconnected
} from '../../../../schemas/database.ts'

const connection: FastifyPluginAsyncTypebox = async (app) => {
  const { connections, test } = app.databaseSources

  app.get('/', {
    config: { permission: 'database:read' },
    schema: {
      operationId: 'getDatabaseConnection',
      tags: ['Database'],
      summary: 'See the connected database',
      description:
        'The database of this scope, the state of its reader, where it is in the WAL, how far behind, and what went ' +
          'wrong last. The password never comes out.',
      response: { 200: ref(DatabaseConnection, 'The connection.'), ...refusals(400, 401, 403, 404) }
    }
  }, async (request) => connections.get(request.scope))

  app.put('/', {
    config: { permission: 'database:update' },
    schema: {
      operationId: 'putDatabaseConnection',
      tags: ['Database'],
      summary: 'Connect a database',
      description:
        'Connects the database of this scope, or changes how: another password, another host. Reading goes on where ' +
          'it was. The answer does not wait for the reader; `GET` tells how it gets on. A reader that has lost ' +
          'changes because its slot or publication was dropped stands in the state `error`, until `acceptGap: true` ' +
          'lets it start anew. When it leads to another database or has other names then, what the platform has made ' +
          'for the earlier ones is dropped; what could not be is in `leftovers`.',
      body: ref(DatabaseConnectionPut),
      response: { 200: ref(DatabaseConnection, 'The connection.'), ...refusals(400, 401, 403, 404, 413, 415) }
    }
  }, async (request) => connections.put(request.scope, request.body, request.origin))

  app.delete('/', {
    config: { permission: 'database:delete' },
    schema: {
      operationId: 'deleteDatabaseConnection',
      tags: ['Database'],
      summary: 'Disconnect the database',
      description:
        'Ends the reading, forgets the position, and drops the replication slot and the publication if they were ' +
          'made by the platform. What could not be dropped is in the answer, with the statement that does it, and ' +
          'tried again for a week. Mappings stay.',
      response: {
        200: ref(DatabaseDisconnected, 'What was disconnected, and what is left of it.'),
        ...refusals(400, 401, 403, 404)
      }
    }
  }, async (request) => connections.remove(request.scope, request.origin))

  app.post('/test', {
    config: { permission: 'database:update' },
    schema: {
      operationId: 'testDatabaseConnection',
      tags: ['Database'],
      summary: 'Test a connection',
      description:
        "Looks at every precondition of reading the database: reachability, version, `wal_level`, the privilege to replicate, free slots, the publication, and each mapped table's place in it and replica identity. Each comes with the statement that mends it. Without a connection string, the connected database is tested. Nothing is changed.",
      body: ref(ConnectionTestBody),
      response: { 200: ref(ConnectionTest, 'How it stands.'), ...refusals(400, 401, 403, 404, 413, 415) }
    }
  }, async (request) => test(request.scope, request.body))
}
export default connection
