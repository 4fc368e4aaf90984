import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { pageOf, PageQuery, ref, refusals } from '../../../../schemas/common.ts'
import {
  DatabaseSubscription, DatabaseSubscriptionCreate, DatabaseSubscriptionWithProblems, SubscriptionPath
} from '../../../../schemas/database.ts'

const subscriptions: FastifyPluginAsyncTypebox = async (app) => {
  const { subscriptions } = app.databaseSources

  app.get('/', {
    config: { permission: 'database:read' },
    schema: {
      operationId: 'listDatabaseSubscriptions',
      tags: ['Database'],
      summary: 'List subscriptions',
      description: 'What switches mappings on in this environment, oldest first.',
      querystring: PageQuery,
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
    config: { permission: 'database:create' },
    schema: {
      operationId: 'createDatabaseSubscription',
      tags: ['Database'],
      summary: 'Switch a mapping on',
      description:
        'Every transaction that commits in the connected database after the answer is seen. For that, the table is ' +
          'added to the publication, and transactions that have already written to it are waited for. 503 while the ' +
          'connected database cannot be used; without one, the mapping is on as soon as there is one. The answer has ' +
          'what the mapping cannot see or do there, with the SQL that helps.',
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
    config: { permission: 'database:update' },
    schema: {
      operationId: 'activateDatabaseSubscription',
      tags: ['Database'],
      summary: 'Switch a subscription on',
      description: 'As at its creation: every commit after the answer is seen.',
      params: SubscriptionPath,
      response: {
        200: ref(DatabaseSubscriptionWithProblems, 'The subscription.'),
        ...refusals(400, 401, 403, 404, 409)
      }
    }
  }, async (request) => subscriptions.activate(request.scope, request.params.subscriptionId, request.origin))

  app.post('/:subscriptionId/deactivate', {
    config: { permission: 'database:update' },
    schema: {
      operationId: 'deactivateDatabaseSubscription',
      tags: ['Database'],
      summary: 'Switch a subscription off',
      description:
        'No commit after the answer makes an event by this mapping. A table that no mapping wants any more leaves ' +
          'the publication.',
      params: SubscriptionPath,
      response: { 200: ref(DatabaseSubscription, 'The subscription.'), ...refusals(400, 401, 403, 404) }
    }
  }, async (request) => subscriptions.deactivate(request.scope, request.params.subscriptionId, request.origin))
}
export default subscriptions
