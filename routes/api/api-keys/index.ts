import { Type } from '@sinclair/typebox'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { ApiKey, ApiKeyCreate, ApiKeyCreated, ApiKeyPath, ApiKeyQuery } from '../../../schemas/api-keys.ts'
import { pageOf, ref, refusals } from '../../../schemas/common.ts'

/** API keys belong to an application as a whole, which a request names as it names a scope. */
const apiKeys: FastifyPluginAsyncTypebox = async (app) => {
  app.get('/', {
    config: { permission: 'api-keys:read', scope: 'required' },
    schema: {
      operationId: 'listApiKeys',
      tags: ['API keys'],
      summary: 'List API keys',
      description:
        'Returns the API keys of the application, for all its environments. A key is shown by its ' +
          'first characters. Revoked keys are not listed; expired ones are, for 30 days.',
      querystring: ApiKeyQuery,
      response: { 200: pageOf(ApiKey, 'A page of API keys.'), ...refusals(400, 401, 403, 404) }
    }
  }, async (request, reply) => {
    const { items, nextCursor } = await app.apiKeyAdmin.list(request.scope, request.query)
    if (nextCursor !== undefined) reply.header('x-next-cursor', nextCursor)
    return items
  })

  app.post('/', {
    config: { permission: 'api-keys:create', scope: 'required' },
    schema: {
      operationId: 'createApiKey',
      tags: ['API keys'],
      summary: 'Create an API key',
      description:
        'Creates a key and returns it, once. Send it as `Authorization: Bearer rtk_…`, or wherever a token is ' +
          'accepted. The key acts for you: it has those of its permissions that you hold at the moment, and ends ' +
          'when you hold none of them. It cannot create, change or delete users, roles or invites. `environment` ' +
          'pins it to one environment, as it does a token. Requires a session: a token and an API key are refused ' +
          'with 403 `SESSION_REQUIRED`. At most 200 keys can exist in an application (409).',
      body: ref(ApiKeyCreate),
      response: {
        201: ref(ApiKeyCreated, 'The API key, with the key itself.'), ...refusals(400, 401, 403, 404, 409, 413, 415)
      }
    }
  }, async (request, reply) => {
    reply.code(201)
    return app.apiKeyAdmin.create(request.principal, request.scope, request.body, request.origin)
  })

  app.delete('/:id', {
    config: { permission: 'api-keys:delete', scope: 'required' },
    schema: {
      operationId: 'revokeApiKey',
      tags: ['API keys'],
      summary: 'Revoke an API key',
      description:
        'Deletes the key. It is refused at once and its sockets are closed with 4403; on other nodes within two ' +
          'seconds. Tokens that were issued with the key stay valid until they expire, at most a day later.',
      params: ApiKeyPath,
      response: { 204: Type.Null({ description: 'The key is revoked.' }), ...refusals(400, 401, 403, 404) }
    }
  }, async (request, reply) => {
    await app.apiKeyAdmin.revoke(request.scope, request.params.id, request.origin)
    return reply.code(204).send(null)
  })
}
export default apiKeys
