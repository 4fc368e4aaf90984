import { Type } from '@sinclair/typebox'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { ref, refusals } from '../../../schemas/common.ts'
import { Series, SeriesQuery } from '../../../schemas/metric-series.ts'
import { Dashboard, HotTopic, HotTopicsQuery, ScopeHeaders } from '../../../schemas/metrics.ts'

const metrics: FastifyPluginAsyncTypebox = async (app) => {
  app.get('/prometheus', {
    config: { permission: 'public' },
    schema: {
      operationId: 'getPrometheusMetrics',
      tags: ['Metrics'],
      summary: 'Get metrics for Prometheus',
      description:
        'Returns the Prometheus text format. With `METRICS_TOKEN` as bearer token, the label `topic` has topic ' +
          'names; without it, in production, it is `all`. docs/METRICS.md explains each metric.',
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
    return reply.sendSerialized(await app.scrape(headers.authorization, ip), app.instruments.registry.contentType)
  })

  app.get('/dashboard', {
    config: { permission: 'metrics:read', scope: 'optional' },
    schema: {
      operationId: 'getDashboard',
      tags: ['Metrics'],
      summary: 'Get dashboard numbers',
      description:
        "Covers the scope of the token or of the session's headers, otherwise everything that the session has access " +
          'to. Rates and latencies are those of the responding node.',
      headers: ScopeHeaders,
      response: { 200: ref(Dashboard, 'The numbers.'), ...refusals(400, 401, 403, 404) }
    }
  }, async ({ principal, admission }) => app.dashboard.dashboard(app.dashboard.viewOf(principal, admission?.scope)))

  app.get('/hot-topics', {
    config: { permission: 'metrics:read', scope: 'optional' },
    schema: {
      operationId: 'getHotTopics',
      tags: ['Metrics'],
      summary: 'List topics with the most traffic',
      description:
        "Covers the scope of the token or of the session's headers, otherwise everything that the session has access " +
          'to. The topics with the most events come first.',
      headers: ScopeHeaders,
      querystring: HotTopicsQuery,
      response: {
        200: { description: 'The topics.', content: { 'application/json': { schema: Type.Array(ref(HotTopic)) } } },
        ...refusals(400, 401, 403, 404)
      }
    }
  }, async ({ principal, admission, query }) =>
    app.dashboard.hotTopics(app.dashboard.viewOf(principal, admission?.scope), query))

  app.get('/series', {
    config: { permission: 'metrics:read', scope: 'optional' },
    schema: {
      operationId: 'getMetricSeries',
      tags: ['Metrics'],
      summary: 'Get the history of a metric',
      description:
        "Covers the scope of the token or of the session's headers, otherwise everything that the session has access " +
          'to, summed over all nodes. A topic or webhook requires a scope. Values are kept by the minute for 24 ' +
          'hours and by the quarter-hour for 30 days. Points begin at multiples of the step; at most 1,500 are ' +
          'returned. The current minute is not included.',
      headers: ScopeHeaders,
      querystring: SeriesQuery,
      response: { 200: ref(Series, 'The series.'), ...refusals(400, 401, 403, 404) }
    }
  }, async ({ principal, admission, query }) => app.series.read(query, { principal, scope: admission?.scope }))
}
export default metrics
