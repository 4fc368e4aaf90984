import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { pageOf, ref, refusals } from '../../../../schemas/common.ts'
import { KeyCreate, KeyCreated, KeyPath, KeyQuery, SigningKeyInfo } from '../../../../schemas/keys.ts'

const keys: FastifyPluginAsyncTypebox = async (app) => {
  app.get('/', {
    config: { permission: 'keys:read' },
    schema: {
      operationId: 'listKeys',
      tags: ['Keys'],
      summary: 'List signing keys',
      description:
        'Returns the keys that are not revoked. The newest active key signs. All requests for keys ' +
          'require a session: a token is refused with 403 `SESSION_REQUIRED`.',
      querystring: KeyQuery,
      response: {
        200: pageOf(SigningKeyInfo, 'A page of keys, without their secrets.'),
        ...refusals(400, 401, 403)
      }
    }
  }, async (request, reply) => {
    const { items, nextCursor } = await app.keyAdmin.list(request.principal, request.query)
    if (nextCursor !== undefined) reply.header('x-next-cursor', nextCursor)
    return items
  })

  app.post('/', {
    config: { permission: 'keys:create' },
    // The body is optional: HS256 is the default.
    preValidation: async request => { if (request.headers['content-type'] === undefined) request.body = {} },
    schema: {
      operationId: 'createKey',
      tags: ['Keys'],
      summary: 'Create a signing key',
      description:
        'Creates a key, which signs all new tokens from then on. At most 50 keys can exist (409). The ' +
          'secret of an HS256 key is returned only here, and only to a session that holds all permissions ' +
          'everywhere, because it can sign tokens of every application.',
      body: ref(KeyCreate),
      response: { 201: ref(KeyCreated, 'The key.'), ...refusals(400, 401, 403, 409, 413, 415) }
    }
  }, async (request, reply) => {
    reply.code(201)
    return app.keyAdmin.create(request.principal, request.body, request.origin)
  })

  app.post('/:id/deactivate', {
    config: { permission: 'keys:update' },
    schema: {
      operationId: 'deactivateKey',
      tags: ['Keys'],
      summary: 'Deactivate a signing key',
      description:
        'Stops signing with the key. Its tokens stay valid until they expire. The last active key cannot be ' +
          'deactivated (409).',
      params: KeyPath,
      response: { 200: ref(SigningKeyInfo, 'The key.'), ...refusals(400, 401, 403, 404, 409) }
    }
  }, async (request) => app.keyAdmin.deactivate(request.principal, request.params.id, request.origin))

  app.post('/:id/rotate', {
    config: { permission: 'keys:update' },
    schema: {
      operationId: 'rotateKey',
      tags: ['Keys'],
      summary: 'Rotate a signing key',
      description: 'Creates a key of the same algorithm and deactivates this one, in one transaction.',
      params: KeyPath,
      response: { 201: ref(KeyCreated, 'The new key.'), ...refusals(400, 401, 403, 404, 409) }
    }
  }, async (request, reply) => {
    reply.code(201)
    return app.keyAdmin.rotate(request.principal, request.params.id, request.origin)
  })

  app.post('/:id/revoke', {
    config: { permission: 'keys:delete' },
    schema: {
      operationId: 'revokeKey',
      tags: ['Keys'],
      summary: 'Revoke a signing key',
      description:
        'Invalidates the tokens of the key at once and closes their sockets, on other nodes within two seconds. ' +
          'Revoking the last active key creates a replacement.',
      params: KeyPath,
      response: {
        200: ref(SigningKeyInfo, 'The revoked key. It is no longer listed.'), ...refusals(400, 401, 403, 404)
      }
    }
  }, async (request) => app.keyAdmin.revoke(request.principal, request.params.id, request.origin))
}
export default keys
