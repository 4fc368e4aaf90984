import { Type } from '@sinclair/typebox'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { nextCursor, pageOf, PageQuery, ref, refusals } from '../../../schemas/common.ts'
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
  WebhookTestResult,
  WebhookUpdate,
  WebhookWithSecret
} from '../../../schemas/webhooks.ts'

const webhooks: FastifyPluginAsyncTypebox = async (app) => {
  const { endpoints, deliveries, test, withinOf } = app.webhooks

  app.get('/', {
    config: { permission: 'webhooks:read' },
    schema: {
      operationId: 'listWebhooks',
      tags: ['Webhooks'],
      summary: 'List webhooks',
      description:
        'The webhooks of the application, the same in all its environments, oldest first. Never with their secrets.',
      querystring: PageQuery,
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
    return items
  })

  app.get('/:id', {
    config: { permission: 'webhooks:read' },
    schema: {
      operationId: 'getWebhook',
      tags: ['Webhooks'],
      summary: 'Get a webhook',
      description: 'One webhook, without its secret.',
      params: WebhookPath,
      response: { 200: ref(Webhook, 'The webhook.'), ...refusals(400, 401, 403, 404) }
    }
  }, async (request) => endpoints.get(request.scope, request.params.id, withinOf(request.principal)))

  app.post('/', {
    config: { permission: 'webhooks:create' },
    schema: {
      operationId: 'createWebhook',
      tags: ['Webhooks'],
      summary: 'Create a webhook',
      description:
        'Every event that is handed in after the answer, and matches, is delivered. The caller must be allowed to ' +
          'read all that the webhook listens to; that is checked again before each delivery. Requests are signed as ' +
          '[Standard Webhooks](https://www.standardwebhooks.com) has it. A secret that is left out is generated, and ' +
          'shown this once.',
      body: ref(WebhookCreate),
      response: {
        201: ref(WebhookWithSecret, 'The webhook, with its secret if that was generated.'),
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
        summary: 'Change a webhook',
        description:
          'Changes what is given; null takes a limit away. To change `url`, `events`, `topics`, `filter` or ' +
            '`environments`, the caller must be allowed to read all that the webhook listens to. What the webhook is ' +
            'owed already is sent to a new URL, and stays in the order that it was in.',
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
      description: 'With all that it is owed, and its log.',
      params: WebhookPath,
      response: { 204: Type.Null({ description: 'It is gone.' }), ...refusals(400, 401, 403, 404) }
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
        summary: 'Switch a webhook on',
        description:
          'What it was owed before it was switched off is sent; events of the meantime are not its. What was given ' +
            'up can be redriven.',
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
        operationId: 'deactivateWebhook', tags: ['Webhooks'], summary: 'Switch a webhook off',
        description: 'It gets no new events, and what it is owed waits.', params: WebhookPath,
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
        summary: "Change a webhook's secret",
        description:
          'For 24 hours the old secret signs beside the new one. A secret that is left out is generated, and shown ' +
            'this once.',
        params: WebhookPath,
        body: ref(SecretRotation),
        response: {
          200: ref(WebhookWithSecret, 'The webhook, with its secret if that was generated.'),
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
      summary: 'Send a test',
      description:
        'Sends a signed example, with `meta.test`, whether the webhook is active or not, and answers what came of ' +
          'it. It is not retried.',
      params: WebhookPath,
      response: { 200: ref(WebhookTestResult, 'How it ended.'), ...refusals(400, 401, 403, 404) }
    }
  }, async (request) => test(request.scope, request.params.id, withinOf(request.principal)))

  app.get('/logs', {
    config: { permission: 'webhooks:read' },
    schema: {
      operationId: 'listWebhookLogs',
      tags: ['Webhooks'],
      summary: 'Read the log of attempts',
      description:
        'Every attempt at every delivery of an event that the caller may read, and every test, newest first. Kept ' +
          'as long as events are.',
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
      summary: 'Retry what was given up',
      description:
        'Sets dead deliveries of active webhooks, of events that the caller may read, going again, each with a ' +
          'schedule of retries of its own: at most 100,000 a request.',
      body: ref(Redrive),
      response: { 200: ref(RedriveAnswer, 'How many there were.'), ...refusals(400, 401, 403, 404, 409, 413, 415) }
    }
  }, async (request) => deliveries.redrive(request.scope, request.body, request.principal))
}
export default webhooks
