import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { pageOf, ref, refusals } from '../../../../schemas/common.ts'
import { DeliveriesQuery, DeliveryPath, WebhookDelivery } from '../../../../schemas/webhooks.ts'

const deliveries: FastifyPluginAsyncTypebox = async (app) => {
  const { deliveries } = app.webhooks

  app.get('/', {
    config: { permission: 'webhooks:read' },
    schema: {
      operationId: 'listWebhookDeliveries',
      tags: ['Webhooks'],
      summary: 'List deliveries',
      description:
        "What the application's webhooks are owed of events that the caller may read, newest first. Delivered ones are kept as long as events are, dead ones 30 days.",
      querystring: DeliveriesQuery,
      response: {
        200: pageOf(WebhookDelivery, 'A page of deliveries.'),
        ...refusals(400, 401, 403)
      }
    }
  }, async (request, reply) => {
    const { items, nextCursor } = await deliveries.list(request.scope, request.query, request.principal)
    if (nextCursor !== undefined) reply.header('x-next-cursor', nextCursor)
    return items
  })

  app.post('/:id/retry', {
    config: { permission: 'webhooks:update' },
    schema: {
      operationId: 'retryWebhookDelivery',
      tags: ['Webhooks'],
      summary: 'Send a delivery again',
      description:
        'Whatever its state, at once and with a schedule of retries of its own; the request has the same ' +
          '`webhook-id`. One that is being tried is left alone.',
      params: DeliveryPath,
      response: { 200: ref(WebhookDelivery, 'The delivery.'), ...refusals(400, 401, 403, 404, 409) }
    }
  }, async (request) => deliveries.retry(request.scope, request.params.id, request.principal))
}
export default deliveries
