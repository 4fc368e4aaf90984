import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { pageOf, ref, refusals } from '../../../../schemas/common.ts'
import { DeliveriesQuery, DeliveryPath, WebhookDelivery, WebhookDeliveryDetails } from '../../../../schemas/webhooks.ts'

const deliveries: FastifyPluginAsyncTypebox = async (app) => {
  const { deliveries } = app.webhooks

  app.get('/', {
    config: { permission: 'webhooks:read' },
    schema: {
      operationId: 'listWebhookDeliveries',
      tags: ['Webhooks'],
      summary: 'List deliveries',
      description:
        "Returns deliveries of the application's webhooks. Includes only events that you may read. " +
          'Delivered ones are kept as long as events, dead and pending ones for 30 days.',
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

  app.get('/:id/details', {
    config: { permission: 'webhooks:read' },
    schema: {
      operationId: 'getWebhookDelivery',
      tags: ['Webhooks'],
      summary: 'Get the details of a delivery',
      description:
        'Returns a delivery with its request (headers and signed body) and its attempts, each with the response. The ' +
          'event must be one that you may read.',
      params: DeliveryPath,
      response: { 200: ref(WebhookDeliveryDetails, 'The delivery.'), ...refusals(400, 401, 403, 404) }
    }
  }, async (request) => deliveries.get(request.scope, request.params.id, request.principal))

  app.post('/:id/retry', {
    config: { permission: 'webhooks:update' },
    schema: {
      operationId: 'retryWebhookDelivery',
      tags: ['Webhooks'],
      summary: 'Retry a delivery',
      description:
        'Makes the delivery due now, whatever its state, with a new schedule of retries if it had settled. The ' +
          'request keeps its `webhook-id`. A delivery whose attempt is in progress stays as it is.',
      params: DeliveryPath,
      response: { 200: ref(WebhookDelivery, 'The delivery.'), ...refusals(400, 401, 403, 404, 409) }
    }
  }, async (request) => deliveries.retry(request.scope, request.params.id, request.principal))
}
export default deliveries
