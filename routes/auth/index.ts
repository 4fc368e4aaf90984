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
        'For a session, an `admin` token, or a `service` token of the application, which may issue what a `client` ' +
          'may do. Nobody may grant more than they hold, and what a token issues does not outlive it.',
      body: ref(TokenRequest),
      response: {
        200: ref(TokenAnswer, 'The token, which is stored nowhere.'),
        ...refusals(400, 401, 403, 404, 413, 415)
      }
    }
  }, async (request) => app.auth.issueToken(request.principal, request.body, request.origin))

  app.post('/verify', {
    config: { permission: 'public' },
    schema: {
      operationId: 'verifyToken',
      tags: ['Auth'],
      summary: 'Verify a token',
      description: 'The token in the body is the credential: one that is not valid answers 401, as it would anywhere.',
      body: ref(TokenVerify),
      response: { 200: ref(TokenVerdict, 'What the token says.'), ...refusals(400, 401, 413, 415) }
    }
  }, async (request) => {
    const { claims } = await app.auth.tokens.verify(request.body.token)
    return { valid: true as const, claims }
  })
}
export default auth
