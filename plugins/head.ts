import { Readable } from 'node:stream'
import fp from 'fastify-plugin'

/**
 * Serves HEAD on every GET route, with the same headers and no body (RFC 9110 §9.3.2). Fastify reads a stream to its
 * end to drop it; this plugin closes it instead, because the stream of traces has no end.
 */
export default fp(async (app) => {
  app.addHook('onSend', (request, _reply, payload, done) => {
    if (request.method === 'HEAD' && payload instanceof Readable) payload.destroy()
    done()
  })
}, { name: 'head' })
