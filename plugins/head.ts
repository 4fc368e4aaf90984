import { Readable } from 'node:stream'
import fp from 'fastify-plugin'

/**
 * Every GET route answers HEAD with the same headers and no body (RFC 9110 §9.3.2). Fastify makes those routes and
 * reads a stream to its end to drop it; one that has no end, like that of the traces, is closed instead.
 */
export default fp(async (app) => {
  app.addHook('onSend', (request, _reply, payload, done) => {
    if (request.method === 'HEAD' && payload instanceof Readable) payload.destroy()
    done()
  })
}, { name: 'head' })
