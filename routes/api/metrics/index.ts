import { Type } from '@sinclair/typebox'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { ref, refusals } from '../../../schemas/common.ts'
import { Dashboard, HotTopic, HotTopicsQuery, ScopeHeaders } from '../../../schemas/metrics.ts'

const metrics: FastifyPluginAsyncTypebox = async (app) => {
  app.get('/prometheus', {
    config: { permission: 'public' },
    schema: {
      operationId: 'getPrometheusMetrics',
      tags: ['Metrics'],
      summary: 'Metrics for Prometheus',
      description:
        'Text exposition format. With `METRICS_TOKEN` as a bearer token the label `topic` has names; without it, in ' +
          'production, it is `all`. docs/METRICS.md explains each metric.',
      produces: ['text/plain'],
      response: {
        200: {
          description: 'The metrics.',
          content: {
            'text/plain': { schema: Type.String({ examples: ['realtime_websocket_connections{transport="ws"} 42'] }) }
          }
        },
        ...refusals(401)
      }
    }
  }, async ({ headers, ip }, reply) => {
    return reply.type(app.instruments.registry.contentType).send(await app.scrape(headers.authorization, ip) as never)
  })

  app.get('/dashboard', {
    config: { permission: 'debugger:read', scope: 'optional' },
    schema: {
      operationId: 'getDashboard',
      tags: ['Metrics'],
      summary: 'Numbers at a glance',
      description:
        'Of the scope that a token has or a session names, or of everything that the session reaches. Rates and ' +
          'latencies are those of the node that answers.',
      headers: ScopeHeaders,
      response: { 200: ref(Dashboard, 'The numbers.'), ...refusals(400, 401, 403, 404) }
    }
  }, async ({ principal, scope }) => app.dashboard.dashboard(app.dashboard.viewOf(principal, scope)))

  app.get('/hot-topics', {
    config: { permission: 'debugger:read', scope: 'optional' },
    schema: {
      operationId: 'getHotTopics',
      tags: ['Metrics'],
      summary: 'Topics with the most traffic',
      description:
        'Of the scope that a token has or a session names, or of everything that the session reaches: those with ' +
          'the most events first.',
      headers: ScopeHeaders,
      querystring: HotTopicsQuery,
      response: {
        200: { description: 'The topics.', content: { 'application/json': { schema: Type.Array(ref(HotTopic)) } } },
        ...refusals(400, 401, 403, 404)
      }
    }
  }, async ({ principal, scope, query }) => app.dashboard.hotTopics(app.dashboard.viewOf(principal, scope), query))
}
export default metrics
