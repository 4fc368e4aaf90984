import fastifyMetrics from 'fastify-metrics'
import fp from 'fastify-plugin'
import { createMetrics, type Metrics } from '../src/foundation/observability/metrics.ts'
import { passwordHashings } from '../src/identity/auth/passwords.ts'

declare module 'fastify' {
  interface FastifyInstance { instruments: Metrics }
}

/**
 * Creates the metrics of this instance in a separate registry, with a histogram of requests by route pattern and Node's
 * default metrics.
 */
export default fp(async (app) => {
  const metrics = createMetrics({ passwordHashings })
  metrics.nodeInfo.set({ node_id: app.node.id }, 1)
  app.decorate('instruments', metrics)
  await app.register(fastifyMetrics.default, {
    endpoint: null,
    defaultMetrics: { enabled: true, register: metrics.registry },
    routeMetrics: {
      enabled: { histogram: true, summary: false },
      overrides: {
        histogram: {
          registers: [metrics.registry],
          buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]
        },
        summary: { registers: [] }
      }
    }
  })
}, { name: 'metrics', dependencies: ['node'] })
