import fp from 'fastify-plugin'
import { createHealth, type HealthChecks } from '../src/foundation/observability/health.ts'

declare module 'fastify' {
  interface FastifyInstance { health: HealthChecks }
}

/** Collects the health checks of all components, and adds the one of the database. */
export default fp(async (app) => {
  const health = createHealth(app.node.id)
  health.add('database', async () => {
    const start = performance.now()
    await app.pool.query({ name: 'health', text: 'select 1' })
    return { status: 'ok', heartbeatAgeMs: Math.round(performance.now() - start) }
  })
  app.decorate('health', health)
}, { name: 'health', dependencies: ['database', 'node'] })
