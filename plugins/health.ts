import fp from 'fastify-plugin'
import { createHealth, joinReadiness, type HealthChecks } from '../src/foundation/observability/health.ts'

declare module 'fastify' {
  interface FastifyInstance { health: HealthChecks }
}

/** Collects the health checks of all components, and adds the one of the database. With workers, they are joined. */
export default fp(async (app) => {
  const { worker, config: { workers } } = app
  const health = createHealth(app.node.id, worker && (async () => {
    const answers = await worker.parent.askWorkers('readiness', '')
    return answers && joinReadiness([...answers.values()], workers.count)
  }))
  worker?.parent.on('readiness', async () => JSON.stringify(await health.ownComponents()))
  health.add('database', async () => {
    const start = performance.now()
    await app.pool.query({ name: 'health', text: 'select 1' })
    return { status: 'ok', heartbeatAgeMs: Math.round(performance.now() - start) }
  })
  app.decorate('health', health)
}, { name: 'health', dependencies: ['config', 'database', 'node', 'worker'] })
