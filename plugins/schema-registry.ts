import fp from 'fastify-plugin'
import { createSchemaChecker, type SchemaChecker } from '../src/registry/schemas/checker-pool.ts'
import { Validators } from '../src/registry/schemas/validator-cache.ts'

declare module 'fastify' {
  interface FastifyInstance {
    schemaChecker: SchemaChecker
    validators: Validators
  }
}

/**
 * Runs the threads that compare and compile schemas, and the validators that check payloads. The plugin `domain`
 * has the schema versions themselves.
 */
export default fp(async (app) => {
  const checker = createSchemaChecker()
  app.decorate('schemaChecker', checker)
  app.decorate('validators', new Validators({ pool: app.pool, metrics: app.instruments }))
  app.addHook('onClose', async () => checker.close())
}, { name: 'schema-registry', dependencies: ['database', 'metrics'] })
