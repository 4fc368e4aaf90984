import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { ref, refusals } from '../../schemas/common.ts'
import { Jwks } from '../../schemas/keys.ts'

/** Dotted folders are passed over when routes are loaded. */
export const autoPrefix = '/.well-known'

const wellKnown: FastifyPluginAsyncTypebox = async (app) => {
  app.get('/jwks.json', {
    config: { permission: 'public' },
    schema: {
      operationId: 'getJwks',
      tags: ['Keys'],
      summary: 'The public keys of tokens',
      description:
        'Of ES256 and EdDSA keys whose tokens are still good. May be kept for a minute: ask again for a `kid` that ' +
          'is not in it.',
      response: { 200: ref(Jwks, 'A JSON Web Key Set (RFC 7517).'), ...refusals() }
    }
  }, async (_request, reply) => {
    reply.header('cache-control', 'public, max-age=60')
    return app.auth.keys.jwks()
  })
}
export default wellKnown
