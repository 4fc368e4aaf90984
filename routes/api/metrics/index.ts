import { Type } from '@sinclair/typebox'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { refusals } from '../../../schemas/common.ts'

const metrics: FastifyPluginAsyncTypebox = async (app) => {
  app.get('/prometheus', {
    config: { permission: 'public' },
    schema: {
      operationId: 'getPrometheusMetrics',
      tags: ['Metrics'],
      summary: 'Metrics for Prometheus',
      description: 'Text exposition format. docs/METRICS.md explains each metric.',
      produces: ['text/plain'],
      response: { 200: { description: 'The metrics.', content: { 'text/plain': { schema: Type.String({ examples: ['realtime_websocket_connections{transport="ws"} 42'] }) } } }, ...refusals() }
    }
  }, async (_request, reply) => {
    const { registry } = app.instruments
    return reply.type(registry.contentType).send(await registry.metrics() as never)
  })
}
export default metrics
