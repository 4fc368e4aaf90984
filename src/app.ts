import { maxHeaderSize } from 'node:http'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import autoload from '@fastify/autoload'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import {
  fastify, LogController, type ConnectionError, type FastifyBaseLogger, type FastifyInstance, type FastifyReply
} from 'fastify'
import type { Config } from './config.ts'
import { ValidationError } from './errors.ts'
import { randomId } from './foundation/ids.ts'
import { querylessSerializers } from './foundation/observability/logger.ts'
import { securityHeaders } from './foundation/http/openapi.ts'
import { serializerCompilers } from './foundation/http/serialization.ts'
import { validatorCompilers } from './foundation/http/validation.ts'
import { FORMATS } from './registry/json-schema/formats.ts'

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
 * closed by `app.close()`. `config.database.url` must be set: starting the embedded PostgreSQL is the server's
 * business.
 */
export async function buildApp ({ config, logger }: AppOptions): Promise<FastifyInstance> {
  const app = fastify({
    ...(logger === undefined
      ? { logger: false }
      : { loggerInstance: logger.child({}, { serializers: querylessSerializers }) }),
    logController: new LogController({ disableRequestLogging: true }),
    // A migration takes as long as it takes; what else is waited for at the start has bounds of its own.
    pluginTimeout: 0,
    trustProxy: config.http.trustProxy.length > 0 ? config.http.trustProxy : false,
    bodyLimit: 1024 * 1024,
    // Whoever sends a request by the drop holds a connection no longer than this.
    requestTimeout: config.http.requestTimeoutMs,
    // A missing Host is refused by `plugins/host.ts`, in the form of all refusals.
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
    frameworkErrors: (error, _request, reply) => {
      const message = error.code === 'FST_ERR_BAD_URL'
        ? 'The path is not valid: it has a broken percent escape'
        : 'The path has a part that is too long'
      const plain = reply as unknown as FastifyReply
      void plain.code(400).headers(securityHeaders).type('application/json; charset=utf-8').send(
        JSON.stringify(new ValidationError('VALIDATION_FAILED', message).toBody())
      )
    },
    clientErrorHandler (error, socket) {
      const status = refuseRaw(error, socket)
      if (status !== undefined) { (app as unknown as FastifyInstance).accessLog?.refused({ status, address: socket.remoteAddress }) }
    },
    schemaController: {
      compilersFactory: {
        buildValidator: validatorCompilers(FORMATS) as never, buildSerializer: serializerCompilers() as never
      }
    }
  }).withTypeProvider<TypeBoxTypeProvider>()
  await app.register(autoload, { dir: join(root, 'plugins'), options: { config }, forceESM: true, encapsulate: false })
  await app.register(autoload, { dir: join(root, 'routes'), routeParams: true, forceESM: true })
  return app as unknown as FastifyInstance
}

const rawRefusals: Record<string, [string, string]> = {
  HPE_HEADER_OVERFLOW: ['431 Request Header Fields Too Large', `The headers are larger than ${maxHeaderSize} bytes`],
  ERR_HTTP_REQUEST_TIMEOUT: ['408 Request Timeout', 'The request did not arrive in time']
}

const rawHeaders = Object.entries(securityHeaders).map(([name, value]) => `${name}: ${value}\r\n`).join('')

/**
 * What is not even HTTP is refused in the same form as everything else. Returns the status, unless the connection is
 * gone.
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
