import fp from 'fastify-plugin'
import { createHealth, type HealthChecks } from '../src/foundation/observability/health.ts'

declare module 'fastify' {
  interface FastifyInstance { health: HealthChecks }
}

/** Where each part says how it is; the database itself is the first. */
export default fp(async (app) => {
  const health = createHealth()
  health.add('database', async () => {
    const start = performance.now()
    await app.pool.query({ name: 'health', text: 'select 1' })
    return { status: 'ok', heartbeatAgeMs: Math.round(performance.now() - start) }
  })
  app.decorate('health', health)
}, { name: 'health', dependencies: ['database'] })
