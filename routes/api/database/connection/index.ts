import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { ref, refusals } from '../../../../schemas/common.ts'
import {
  ConnectionTest, ConnectionTestBody, DatabaseConnection, DatabaseConnectionPut, DatabaseDisconnected
} from '../../../../schemas/database.ts'

const connection: FastifyPluginAsyncTypebox = async (app) => {
  const { connections, test } = app.databaseSources

  app.get('/', {
    config: { permission: 'mappings:read' },
    schema: {
      operationId: 'getDatabaseConnection',
      tags: ['Database'],
      summary: 'Get the database connection',
      description:
        'Returns the database that this scope has connected, with the state of its reader, its LSNs, its lag and its ' +
          'last error. The password is never returned.',
      response: { 200: ref(DatabaseConnection, 'The connection.'), ...refusals(400, 401, 403, 404) }
    }
  }, async (request) => connections.get(request.scope))

  app.put('/', {
    config: { permission: 'mappings:update' },
    schema: {
      operationId: 'putDatabaseConnection',
      tags: ['Database'],
      summary: 'Connect a database',
      description:
        'Connects a database to this scope, or changes the settings of the connection, such as the password or the ' +
          'host. Reading continues from the stored position. The answer does not wait for the reader; `GET` returns ' +
          'its state. A reader that has lost changes because its slot or publication was dropped stays in the state ' +
          '`error` until `acceptGap: true` lets it start again. If the connection now leads to another database or ' +
          'uses other names, the platform drops the slot and publication that it created for the earlier ones; ' +
          '`leftovers` lists those that could not be dropped.',
      body: ref(DatabaseConnectionPut),
      response: { 200: ref(DatabaseConnection, 'The connection.'), ...refusals(400, 401, 403, 404, 413, 415) }
    }
  }, async (request) => connections.put(request.scope, request.body, request.origin))

  app.delete('/', {
    config: { permission: 'mappings:delete' },
    schema: {
      operationId: 'deleteDatabaseConnection',
      tags: ['Database'],
      summary: 'Disconnect the database',
      description:
        'Stops reading, deletes the position, and drops the replication slot and the publication if the platform ' +
          'created them. If one cannot be dropped, the answer has the statement that drops it, and the platform ' +
          'retries for a week. Mappings are kept.',
      response: {
        200: ref(DatabaseDisconnected, 'The deleted connection and its leftovers.'),
        ...refusals(400, 401, 403, 404)
      }
    }
  }, async (request) => connections.remove(request.scope, request.origin))

  app.post('/test', {
    config: { permission: 'mappings:update' },
    schema: {
      operationId: 'testDatabaseConnection',
      tags: ['Database'],
      summary: 'Test a connection',
      description:
        'Checks each precondition for reading the database: reachability, version, `wal_level`, the privilege to ' +
          'replicate, free slots, the publication, and for each mapped table its place in the publication and its ' +
          'replica identity. A failed check has the statement that fixes it. Without a connection string, tests the ' +
          'connected database. Changes nothing.',
      body: ref(ConnectionTestBody),
      response: { 200: ref(ConnectionTest, 'The results of the checks.'), ...refusals(400, 401, 403, 404, 413, 415) }
    }
  }, async (request) => test(request.scope, request.body))
}
export default connection
