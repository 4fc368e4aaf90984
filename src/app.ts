import { join } from 'node:path'
import autoload from '@fastify/autoload'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import { fastify, LogController, type FastifyBaseLogger, type FastifyInstance } from 'fastify'
import type { Config } from './config.ts'
import { randomId } from './ids.ts'
import { validatorCompilers } from './validation.ts'

const root = join(import.meta.dirname, '..')

/** Ids that a caller may bring: short, and safe to log and to echo. */
const requestIdPattern = /^[\w.:-]{1,128}$/

export interface AppOptions {
  config: Config
  /** Silent without one. */
  logger?: FastifyBaseLogger
}

/**
 * The whole platform as one Fastify instance: plugins/ and routes/ are loaded by folder, and everything they open is
 * closed by `app.close()`. `config.database.url` must be set: starting the embedded PostgreSQL is the server's business.
 */
export async function buildApp ({ config, logger }: AppOptions): Promise<FastifyInstance> {
  const app = fastify({
    ...(logger === undefined ? { logger: false } : { loggerInstance: logger }),
    logController: new LogController({ disableRequestLogging: true }),
    trustProxy: config.http.trustProxy.length > 0 ? config.http.trustProxy : false,
    bodyLimit: 1024 * 1024,
    routerOptions: { maxParamLength: 16_384 },
    requestIdHeader: false,
    genReqId: request => {
      const given = request.headers['x-request-id']
      return typeof given === 'string' && requestIdPattern.test(given) ? given : randomId('req')
    },
    forceCloseConnections: 'idle',
    return503OnClosing: true,
    exposeHeadRoutes: false,
    schemaController: { compilersFactory: { buildValidator: validatorCompilers as never } }
  }).withTypeProvider<TypeBoxTypeProvider>()
  await app.register(autoload, { dir: join(root, 'plugins'), options: { config }, forceESM: true, encapsulate: false })
  await app.register(autoload, { dir: join(root, 'routes'), routeParams: true, forceESM: true })
  return app as unknown as FastifyInstance
}
