import fp from 'fastify-plugin'

const slowMs = 1000

/**
 * One line a request, when it is over: `debug` for the ordinary, `warn` for the slow and the failed.
 * Never a body, a header or a query, where credentials may stand.
 */
export default fp(async (app) => {
  app.addHook('onRequest', (request, reply, done) => {
    reply.header('x-request-id', request.id)
    done()
  })
  app.addHook('onResponse', (request, reply, done) => {
    const durationMs = Math.round(reply.elapsedTime)
    const isRemarkable = reply.statusCode >= 500 || durationMs > slowMs
    if (isRemarkable || request.log.level === 'debug' || request.log.level === 'trace') {
      request.log[isRemarkable ? 'warn' : 'debug']({
        method: request.method,
        route: request.routeOptions.url,
        status: reply.statusCode,
        durationMs,
        principal: request.principal?.id,
        scope: request.scope
      }, 'request.completed')
    }
    done()
  })
}, { name: 'request-log' })
