import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { TokenAnswer, TokenRequest, TokenVerdict, TokenVerify } from '../../schemas/auth.ts'
import { ref, refusals } from '../../schemas/common.ts'

const auth: FastifyPluginAsyncTypebox = async (app) => {
  app.post('/token', {
    config: { permission: 'tokens:create' },
    schema: {
      operationId: 'createToken',
      tags: ['Auth'],
      summary: 'Issue a token',
      description:
        'Issues a token. Requires a session, an `admin` token, or a `service` token of the application, which can ' +
          'grant the permissions of a `client`. You cannot grant permissions that you do not hold. A token that is ' +
          'issued with a token expires no later than that token. An API key with `tokens:create` can grant those ' +
          'permissions of a `client` that it holds, for at most a day.',
      body: ref(TokenRequest),
      response: {
        200: ref(TokenAnswer, 'The token. The server does not store it.'),
        ...refusals(400, 401, 403, 404, 413, 415)
      }
    }
  }, async (request) => app.issueToken(request.principal, request.body, request.origin))

  app.post('/verify', {
    config: { permission: 'public' },
    schema: {
      operationId: 'verifyToken',
      tags: ['Auth'],
      summary: 'Verify a token',
      description: 'Checks the token in the body and returns its claims. An invalid token is refused with 401.',
      body: ref(TokenVerify),
      response: { 200: ref(TokenVerdict, 'The claims of the token.'), ...refusals(400, 401, 413, 415) }
    }
  }, async (request) => {
    const { claims } = await app.tokens.verify(request.body.token)
    return { valid: true as const, claims }
  })
}
export default auth
