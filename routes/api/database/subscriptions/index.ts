import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { pageOf, ref, refusals } from '../../../../schemas/common.ts'
import {
  DatabaseSubscription, DatabaseSubscriptionCreate, DatabaseSubscriptionQuery, DatabaseSubscriptionWithProblems,
  SubscriptionPath
} from '../../../../schemas/database.ts'

const subscriptions: FastifyPluginAsyncTypebox = async (app) => {
  const { subscriptions } = app.databaseSources

  app.get('/', {
    config: { permission: 'mappings:read' },
    schema: {
      operationId: 'listDatabaseSubscriptions',
      tags: ['Database'],
      summary: 'List subscriptions',
      description: 'Returns the subscriptions that enable mappings in this environment.',
      querystring: DatabaseSubscriptionQuery,
      response: {
        200: pageOf(DatabaseSubscription, 'A page of subscriptions.'),
        ...refusals(400, 401, 403)
      }
    }
  }, async (request, reply) => {
    const { items, nextCursor } = await subscriptions.list(request.scope, request.query)
    if (nextCursor !== undefined) reply.header('x-next-cursor', nextCursor)
    return items
  })

  app.post('/', {
    config: { permission: 'mappings:create' },
    schema: {
      operationId: 'createDatabaseSubscription',
      tags: ['Database'],
      summary: 'Enable a mapping',
      description:
        'The mapping applies to every transaction that commits in the connected database after the answer. To ensure ' +
          'that, the platform adds the table to the publication and waits for transactions that have already written ' +
          'to it. Returns 503 while the connected database cannot be used. If no database is connected, the mapping ' +
          'starts with the first one. `problems` in the answer lists what limits the mapping there, with the SQL ' +
          'that fixes it.',
      body: ref(DatabaseSubscriptionCreate),
      response: {
        201: ref(DatabaseSubscriptionWithProblems, 'The subscription.'),
        ...refusals(400, 401, 403, 404, 409, 413, 415)
      }
    }
  }, async (request, reply) => {
    reply.code(201)
    return subscriptions.create(request.scope, request.body.mappingId, request.origin)
  })

  app.post('/:subscriptionId/activate', {
    config: { permission: 'mappings:update' },
    schema: {
      operationId: 'activateDatabaseSubscription',
      tags: ['Database'],
      summary: 'Activate a subscription',
      description: 'Enables the mapping again: it applies to every transaction that commits after the answer.',
      params: SubscriptionPath,
      response: {
        200: ref(DatabaseSubscriptionWithProblems, 'The subscription.'),
        ...refusals(400, 401, 403, 404, 409)
      }
    }
  }, async (request) => subscriptions.activate(request.scope, request.params.subscriptionId, request.origin))

  app.post('/:subscriptionId/deactivate', {
    config: { permission: 'mappings:update' },
    schema: {
      operationId: 'deactivateDatabaseSubscription',
      tags: ['Database'],
      summary: 'Deactivate a subscription',
      description:
        'Disables the mapping: a transaction that commits after the answer makes no event. A table that no mapping ' +
          'needs is removed from the publication.',
      params: SubscriptionPath,
      response: { 200: ref(DatabaseSubscription, 'The subscription.'), ...refusals(400, 401, 403, 404) }
    }
  }, async (request) => subscriptions.deactivate(request.scope, request.params.subscriptionId, request.origin))
}
export default subscriptions
