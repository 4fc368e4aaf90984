import fp from 'fastify-plugin'
import { parseJson } from '../src/json.ts'

/** Bodies are JSON in UTF-8, whatever JSON flavour the content type names; anything else is 415. An absent body is undefined. */
export default fp(async (app) => {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser(/^application\/(?:[\w.-]+\+)?json(?:\s*;|$)/i, { parseAs: 'buffer' }, (_request, body, done) => {
    try {
      done(null, body.length === 0 ? undefined : parseJson(body as Buffer))
    } catch (error) {
      done(error as Error)
    }
  })
}, { name: 'json-body' })
