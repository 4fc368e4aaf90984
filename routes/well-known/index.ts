import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { ref, refusals } from '../../schemas/common.ts'
import { Jwks } from '../../schemas/keys.ts'

/** Folders that start with a dot are skipped when routes are loaded. */
export const autoPrefix = '/.well-known'

const wellKnown: FastifyPluginAsyncTypebox = async (app) => {
  app.get('/jwks.json', {
    config: { permission: 'public' },
    schema: {
      operationId: 'getJwks',
      tags: ['Keys'],
      summary: 'Get the public keys',
      description:
        'Returns the public ES256 and EdDSA keys that are not revoked. Cache them for up to a minute, and fetch ' +
          'them again for an unknown `kid`.',
      response: { 200: ref(Jwks, 'A JSON Web Key Set (RFC 7517).'), ...refusals() }
    }
  }, async (_request, reply) => {
    reply.header('cache-control', 'public, max-age=60')
    return app.signingKeys.jwks()
  })
}
export default wellKnown
