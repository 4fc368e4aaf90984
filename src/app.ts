import { maxHeaderSize } from 'node:http'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import autoload from '@fastify/autoload'
import {
  fastify, LogController, type ConnectionError, type FastifyBaseLogger, type FastifyError, type FastifyInstance,
  type FastifyReply, type FastifyRequest, type FastifyServerOptions
} from 'fastify'
import type { WorkerContext } from './cluster/ipc/worker-context.ts'
import { createNode } from './cluster/node.ts'
import type { Config } from './config.ts'
import { ValidationError } from './errors.ts'
import { randomId } from './foundation/ids.ts'
import { querylessSerializers } from './foundation/observability/logger.ts'
import { securityHeaders } from './foundation/http/openapi.ts'
import { serializerCompilers } from './foundation/http/serialization.ts'
import { validatorCompilers } from './foundation/http/validation.ts'
import { stringFormats } from './registry/json-schema/formats.ts'

const root = join(import.meta.dirname, '..')

/** Request ids that a caller may send: short, and safe to log and to return. */
const requestIdPattern = /^[\w.:-]{1,128}$/

type SchemaController = NonNullable<FastifyServerOptions['schemaController']>
type BuildValidator = NonNullable<NonNullable<SchemaController['compilersFactory']>['buildValidator']>

export interface AppOptions {
  config: Config
  /** Without one, nothing is logged. */
  logger?: FastifyBaseLogger
  /** Given if this process is a worker. */
  worker?: WorkerContext
}

/**
 * Builds the whole platform as one Fastify instance. It loads plugins/ and routes/ by folder; `app.close()` closes
 * everything that they open. `config.database.url` must be set: the server starts the embedded PostgreSQL.
 */
export async function buildApp ({ config, logger, worker }: AppOptions): Promise<FastifyInstance> {
  const node = createNode()
  const app = fastify({
    ...(logger === undefined
      ? { logger: false }
      : { loggerInstance: logger.child({ nodeId: node.id }, { serializers: querylessSerializers }) }),
    logController: new LogController({ disableRequestLogging: true }),
    // Migrations have no time limit. Everything else that a start waits for has a limit of its own.
    pluginTimeout: 0,
    trustProxy: config.http.trustProxy.length > 0 ? config.http.trustProxy : false,
    bodyLimit: 1024 * 1024,
    // A slow sender holds a connection no longer than this.
    requestTimeout: config.http.requestTimeoutMs,
    // `plugins/host.ts` refuses a missing Host, with the error body of every refusal.
    http: {
      requireHostHeader: false, headersTimeout: config.http.headersTimeoutMs,
      connectionsCheckingInterval: config.http.timeoutsCheckedMs
    },
    routerOptions: { maxParamLength: 16_384 },
    requestIdHeader: false,
    genReqId: request => {
      const given = request.headers['x-request-id']
      return typeof given === 'string' && requestIdPattern.test(given) ? given : randomId('req')
    },
    forceCloseConnections: 'idle',
    return503OnClosing: true,
    exposeHeadRoutes: true,
    frameworkErrors: refusePath,
    clientErrorHandler (error, socket) {
      const status = refuseRaw(error, socket)
      if (status !== undefined) {
        app.accessLog?.refused({ status, address: socket.remoteAddress })
      }
    },
    schemaController: {
      compilersFactory: {
        // Its type is that of Ajv's own compiler, but Fastify calls it with the definition of a route.
        buildValidator: validatorCompilers(stringFormats) as BuildValidator,
        buildSerializer: serializerCompilers()
      }
    }
  })
  await app.register(autoload, {
    dir: join(root, 'plugins'), options: { config, node, worker }, forceESM: true, encapsulate: false
  })
  await app.register(autoload, { dir: join(root, 'routes'), routeParams: true, forceESM: true })
  return app
}

function refusePath (error: FastifyError, _request: FastifyRequest, reply: FastifyReply): void {
  const message = error.code === 'FST_ERR_BAD_URL'
    ? 'The path is invalid: it has a malformed percent escape'
    : 'The path has a segment that is too long'
  // A reply without the decorators of plugins.
  void reply.code(400).headers(securityHeaders).type('application/json; charset=utf-8').send(
    JSON.stringify(new ValidationError('VALIDATION_FAILED', message).toBody())
  )
}

const rawRefusals: Record<string, [string, string]> = {
  HPE_HEADER_OVERFLOW: ['431 Request Header Fields Too Large', `The headers are larger than ${maxHeaderSize} bytes`],
  ERR_HTTP_REQUEST_TIMEOUT: ['408 Request Timeout', 'The request did not arrive in time']
}

const rawHeaders = Object.entries(securityHeaders).map(([name, value]) => `${name}: ${value}\r\n`).join('')

/**
 * Refuses input that is not valid HTTP, with the error body of every refusal. Returns the status, or undefined if the
 * connection is closed.
 */
function refuseRaw (error: ConnectionError, socket: Socket): number | undefined {
  if (error.code === 'ECONNRESET' || socket.destroyed) return undefined
  const [status, message] = rawRefusals[error.code] ?? ['400 Bad Request', 'The request is not valid HTTP']
  const body = JSON.stringify(new ValidationError('VALIDATION_FAILED', message).toBody())
  if (socket.writable) {
    socket.write(
      `HTTP/1.1 ${status}\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: ${
        Buffer.byteLength(body)
      }\r\n${rawHeaders}Connection: close\r\n\r\n${body}`
    )
  }
  socket.destroy(error)
  return Number.parseInt(status, 10)
}
