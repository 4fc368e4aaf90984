import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import {
  countWritten, loggedAgent, loggedPath, SocketAccess, type OpenedSocket
} from '../src/identity/audit/access-log.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** Undefined unless ACCESS_LOG is enabled. */
    accessLog: {
      /** Starts the log of an open socket; its gateway reports the end. */
      socket (opened: OpenedSocket): SocketAccess
      /** Logs a refused request that Fastify did not handle. */
      refused (
        request: {
          method?: string | undefined
          url?: string | undefined
          status: number
          address: string | undefined
          userAgent?: string | undefined
        }
      ): void
    } | undefined
  }
  interface FastifyRequest {
    /** Returns the bytes of a streamed body; undefined for other bodies. */
    streamedBytes: (() => number) | undefined
  }
}

const slowMs = 1000

/**
 * Logs one line per request when it ends: at `warn` if it was slow or failed, otherwise at `debug`, or at `info` with
 * ACCESS_LOG. A line never has a body, a header or a query, which may hold credentials.
 */
export default fp(async (app) => {
  app.addHook('onRequest', (request, reply, done) => {
    reply.header('x-request-id', request.id)
    done()
  })
  if (app.config.log.access) logAccess(app)
  else {
    app.decorate('accessLog', undefined)
    app.addHook('onResponse', (request, reply, done) => {
      if (isRemarkable(reply) || request.log.level === 'debug' || request.log.level === 'trace') {
        request.log[isRemarkable(reply) ? 'warn' : 'debug'](lineOf(request, reply), 'request.completed')
      }
      done()
    })
  }
}, { name: 'request-log', dependencies: ['config'] })

const durationOf = (reply: FastifyReply): number => Math.round(reply.elapsedTime)
const isRemarkable = (reply: FastifyReply): boolean => reply.statusCode >= 500 || durationOf(reply) > slowMs

const lineOf = (request: FastifyRequest, reply: FastifyReply) => ({
  method: request.method,
  route: request.routeOptions.url,
  status: reply.statusCode,
  durationMs: durationOf(reply),
  principal: request.admission?.principal.id,
  scope: request.admission?.scope
})

function logAccess (app: FastifyInstance): void {
  app.decorate('accessLog', {
    socket: opened => new SocketAccess(app.log, opened),
    refused ({ method, url, status, address, userAgent }) {
      app.log.info(
        { method, path: loggedPath(url), status, address, userAgent: loggedAgent(userAgent) }, 'request.refused'
      )
    }
  })
  app.decorateRequest('streamedBytes', undefined)
  function log (request: FastifyRequest, reply: FastifyReply, isAborted: boolean): void {
    request.log[isRemarkable(reply) ? 'warn' : 'info']({
      ...lineOf(request, reply),
      path: loggedPath(request.raw.url),
      bytes: bytesOf(request, reply),
      address: request.ip,
      userAgent: loggedAgent(request.headers['user-agent']),
      ...(isAborted && { aborted: true })
    }, 'request.completed')
  }
  app.addHook('onRequest', (request, reply, done) => {
    reply.raw.once('close', () => { if (!reply.raw.writableFinished && !request.ws) log(request, reply, true) })
    done()
  })
  app.addHook('onSend', (request, reply, payload, done) => {
    if (typeof (payload as { pipe?: unknown } | null | undefined)?.pipe === 'function') {
      request.streamedBytes = countWritten(reply.raw)
    }
    done()
  })
  app.addHook('onResponse', (request, reply, done) => {
    // WebSockets are logged by their gateway.
    if (!request.ws) log(request, reply, false)
    done()
  })
}

/** Returns the bytes of the response body. */
function bytesOf (request: FastifyRequest, reply: FastifyReply): number {
  if (request.method === 'HEAD') return 0
  return request.streamedBytes?.() ?? Number(reply.getHeader('content-length') ?? 0)
}
