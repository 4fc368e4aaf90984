import { Type } from '@sinclair/typebox'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { nextCursor, pageOf, ref, refusals } from '../../../schemas/common.ts'
import {
  LogsQuery,
  Redrive,
  RedriveAnswer,
  SecretRotation,
  Webhook,
  WebhookCreate,
  WebhookList,
  WebhookLog,
  WebhookPath,
  WebhookQuery,
  WebhookTestResult,
  WebhookUpdate,
  WebhookWithSecret
} from '../../../schemas/webhooks.ts'

const webhooks: FastifyPluginAsyncTypebox = async (app) => {
  const { endpoints, deliveries, test, withinOf, dispatcher } = app.webhooks
  const withPause = (webhook: Webhook): Webhook => {
    const pausedUntil = dispatcher.pausedUntil(webhook.id)
    return pausedUntil === undefined ? webhook : { ...webhook, pausedUntil: Math.ceil(pausedUntil) }
  }

  app.get('/', {
    config: { permission: 'webhooks:read' },
    schema: {
      operationId: 'listWebhooks',
      tags: ['Webhooks'],
      summary: 'List webhooks',
      description:
        'Returns the webhooks of the application, without their secrets. The list does not depend on ' +
          'the environment of the request.',
      querystring: WebhookQuery,
      response: {
        200: {
          description: 'A page of webhooks.', headers: nextCursor(),
          content: { 'application/json': { schema: WebhookList } }
        },
        ...refusals(400, 401, 403)
      }
    }
  }, async (request, reply) => {
    const { items, nextCursor } = await endpoints.list(request.scope, request.query, withinOf(request.principal))
    if (nextCursor !== undefined) reply.header('x-next-cursor', nextCursor)
    return items.map(withPause)
  })

  app.get('/:id', {
    config: { permission: 'webhooks:read' },
    schema: {
      operationId: 'getWebhook',
      tags: ['Webhooks'],
      summary: 'Get a webhook',
      description: 'Returns one webhook, without its secret.',
      params: WebhookPath,
      response: { 200: ref(Webhook, 'The webhook.'), ...refusals(400, 401, 403, 404) }
    }
  }, async (request) => withPause(await endpoints.get(request.scope, request.params.id, withinOf(request.principal))))

  app.post('/', {
    config: { permission: 'webhooks:create' },
    schema: {
      operationId: 'createWebhook',
      tags: ['Webhooks'],
      summary: 'Create a webhook',
      description:
        'Creates a webhook. It receives every matching event that is published after this response. You must have ' +
          'permission to read everything that the webhook listens to; each delivery checks this again. Requests are ' +
          'signed according to [Standard Webhooks](https://www.standardwebhooks.com). If you omit `secret`, one is ' +
          'generated and returned in this response only.',
      body: ref(WebhookCreate),
      response: {
        201: ref(WebhookWithSecret, 'The webhook, with its secret if it was generated.'),
        ...refusals(400, 401, 403, 404, 409, 413, 415)
      }
    }
  }, async (request, reply) => {
    reply.code(201)
    return endpoints.create(request.scope, request.body, withinOf(request.principal), request.origin, request.principal)
  })

  app.patch(
    '/:id',
    {
      config: { permission: 'webhooks:update' },
      schema: {
        operationId: 'updateWebhook',
        tags: ['Webhooks'],
        summary: 'Update a webhook',
        description:
          'Changes the given fields; null removes an optional one. To change `url`, `events`, `topics`, `filter` or ' +
            '`environments`, you must have permission to read everything that the webhook listens to. Pending ' +
            'deliveries go to the new URL and keep their order.',
        params: WebhookPath,
        body: ref(WebhookUpdate),
        response: { 200: ref(Webhook, 'The webhook.'), ...refusals(400, 401, 403, 404, 413, 415) }
      }
    },
    async (request) =>
      endpoints.update(
        request.scope, request.params.id, request.body, withinOf(request.principal), request.origin, request.principal
      )
  )

  app.delete('/:id', {
    config: { permission: 'webhooks:delete' },
    schema: {
      operationId: 'deleteWebhook',
      tags: ['Webhooks'],
      summary: 'Delete a webhook',
      description: 'Deletes a webhook with its deliveries and its log of attempts.',
      params: WebhookPath,
      response: { 204: Type.Null({ description: 'The webhook was deleted.' }), ...refusals(400, 401, 403, 404) }
    }
  }, async (request, reply) => {
    await endpoints.remove(request.scope, request.params.id, withinOf(request.principal), request.origin)
    return reply.code(204).send(null)
  })

  app.post(
    '/:id/activate',
    {
      config: { permission: 'webhooks:update' },
      schema: {
        operationId: 'activateWebhook',
        tags: ['Webhooks'],
        summary: 'Activate a webhook',
        description:
          'Pending deliveries continue. Events published while the webhook was inactive are not delivered. Redrive ' +
            'the dead deliveries if you need them.',
        params: WebhookPath,
        response: { 200: ref(Webhook, 'The webhook.'), ...refusals(400, 401, 403, 404) }
      }
    },
    async (request) => endpoints.activate(request.scope, request.params.id, withinOf(request.principal), request.origin)
  )

  app.post(
    '/:id/deactivate',
    {
      config: { permission: 'webhooks:update' },
      schema: {
        operationId: 'deactivateWebhook', tags: ['Webhooks'], summary: 'Deactivate a webhook',
        description: 'The webhook receives no new events, and its pending deliveries wait.', params: WebhookPath,
        response: { 200: ref(Webhook, 'The webhook.'), ...refusals(400, 401, 403, 404) }
      }
    },
    async (request) =>
      endpoints.deactivate(request.scope, request.params.id, withinOf(request.principal), request.origin)
  )

  app.post(
    '/:id/rotate-secret',
    {
      config: { permission: 'webhooks:update' },
      schema: {
        operationId: 'rotateWebhookSecret',
        tags: ['Webhooks'],
        summary: "Rotate a webhook's secret",
        description:
          'Replaces the secret. For 24 hours requests carry signatures of both the old and the new one. If you omit ' +
            '`secret`, one is generated and returned in this response only.',
        params: WebhookPath,
        body: ref(SecretRotation),
        response: {
          200: ref(WebhookWithSecret, 'The webhook, with its secret if it was generated.'),
          ...refusals(400, 401, 403, 404, 409, 413, 415)
        }
      }
    },
    async (request) =>
      endpoints.rotateSecret(
        request.scope, request.params.id, request.body, withinOf(request.principal), request.origin
      )
  )

  app.post('/:id/test', {
    config: { permission: 'webhooks:update' },
    schema: {
      operationId: 'testWebhook',
      tags: ['Webhooks'],
      summary: 'Send a test request',
      description:
        'Sends a signed example event with `meta.test`, whether the webhook is active or not, and returns the ' +
          'result. The request is not retried.',
      params: WebhookPath,
      response: { 200: ref(WebhookTestResult, 'The result of the request.'), ...refusals(400, 401, 403, 404) }
    }
  }, async (request) => test(request.scope, request.params.id, withinOf(request.principal)))

  app.get('/logs', {
    config: { permission: 'webhooks:read' },
    schema: {
      operationId: 'listWebhookLogs',
      tags: ['Webhooks'],
      summary: 'List attempts',
      description:
        'Returns the attempts to deliver events that you may read, and all tests, newest first. Attempts are kept as ' +
          'long as events.',
      querystring: LogsQuery,
      response: { 200: pageOf(WebhookLog, 'A page of attempts.'), ...refusals(400, 401, 403) }
    }
  }, async (request, reply) => {
    const { items, nextCursor } = await deliveries.logs(request.scope, request.query, request.principal)
    if (nextCursor !== undefined) reply.header('x-next-cursor', nextCursor)
    return items
  })

  app.post('/redrive', {
    config: { permission: 'webhooks:update' },
    schema: {
      operationId: 'redriveWebhooks',
      tags: ['Webhooks'],
      summary: 'Redrive dead deliveries',
      description:
        'Makes dead deliveries of active webhooks pending again, each with a new schedule of retries. Includes only ' +
          'events that you may read. One request redrives at most 100,000 deliveries.',
      body: ref(Redrive),
      response: {
        200: ref(RedriveAnswer, 'The number of deliveries.'), ...refusals(400, 401, 403, 404, 409, 413, 415)
      }
    }
  }, async (request) => deliveries.redrive(request.scope, request.body, request.principal))
}
export default webhooks
