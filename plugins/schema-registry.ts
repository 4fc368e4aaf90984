import fp from 'fastify-plugin'
import { createCheckerPool, type CheckerPool } from '../src/registry/schemas/checker-pool.ts'
import { ValidatorCache } from '../src/registry/schemas/validator-cache.ts'

declare module 'fastify' {
  interface FastifyInstance {
    checkerPool: CheckerPool
    validators: ValidatorCache
  }
}

/**
 * Runs the threads that compare and compile schemas, and the validators that check payloads. The plugin `domain`
 * has the schema versions themselves.
 */
export default fp(async (app) => {
  const checker = createCheckerPool()
  app.decorate('checkerPool', checker)
  app.decorate('validators', new ValidatorCache({ pool: app.pool }))
  app.addHook('onClose', async () => checker.close())
}, { name: 'schema-registry', dependencies: ['database'] })
