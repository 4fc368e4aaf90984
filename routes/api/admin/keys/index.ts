import { Type, type FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { ref, refusals } from '../../../../schemas/common.ts'
import { KeyCreate, KeyCreated, KeyPath, SigningKeyInfo } from '../../../../schemas/keys.ts'

const keys: FastifyPluginAsyncTypebox = async (app) => {
  app.get('/', {
    config: { permission: 'keys:read' },
    schema: {
      operationId: 'listKeys',
      tags: ['Keys'],
      summary: 'List signing keys',
      description:
        'Newest first; the newest active one signs. Revoked ones are gone. Every request for keys needs a session: ' +
          'a token is refused with 403 `SESSION_REQUIRED`.',
      response: {
        200: Type.Array(ref(SigningKeyInfo), { description: 'The keys, without their secrets.' }),
        ...refusals(401, 403)
      }
    }
  }, async (request) => app.auth.keyAdmin.list(request.principal))

  app.post('/', {
    config: { permission: 'keys:create' },
    // Nothing needs to be said: HS256 is the default.
    preValidation: async request => { if (request.headers['content-type'] === undefined) request.body = {} },
    schema: {
      operationId: 'createKey',
      tags: ['Keys'],
      summary: 'Create a signing key',
      description:
        'It signs from then on. At most 50 keys exist at a time: 409. The secret of an HS256 key is in this answer ' +
          'only, and only for a session that holds everything everywhere, as super_admin does: with it tokens of ' +
          'every application can be written.',
      body: ref(KeyCreate),
      response: { 201: ref(KeyCreated, 'The key.'), ...refusals(400, 401, 403, 409, 413, 415) }
    }
  }, async (request, reply) => {
    reply.code(201)
    return app.auth.keyAdmin.create(request.principal, request.body, request.origin)
  })

  app.post('/:id/deactivate', {
    config: { permission: 'keys:update' },
    schema: {
      operationId: 'deactivateKey',
      tags: ['Keys'],
      summary: 'Deactivate a signing key',
      description: 'It signs no more; its tokens live out their time. The last that signs stays: 409.',
      params: KeyPath,
      response: { 200: ref(SigningKeyInfo, 'The key.'), ...refusals(400, 401, 403, 404, 409) }
    }
  }, async (request) => app.auth.keyAdmin.deactivate(request.principal, request.params.id, request.origin))

  app.post('/:id/rotate', {
    config: { permission: 'keys:update' },
    schema: {
      operationId: 'rotateKey',
      tags: ['Keys'],
      summary: 'Rotate a signing key',
      description: 'Creates one of the same algorithm and deactivates this one, at once or not at all.',
      params: KeyPath,
      response: { 201: ref(KeyCreated, 'The new key.'), ...refusals(400, 401, 403, 404, 409) }
    }
  }, async (request, reply) => {
    reply.code(201)
    return app.auth.keyAdmin.rotate(request.principal, request.params.id, request.origin)
  })

  app.post('/:id/revoke', {
    config: { permission: 'keys:delete' },
    schema: {
      operationId: 'revokeKey',
      tags: ['Keys'],
      summary: 'Revoke a signing key',
      description:
        'Its tokens are dead at once, and their sockets are closed; on other nodes within two seconds. If it was ' +
          'the last that signs, another takes its place.',
      params: KeyPath,
      response: { 200: ref(SigningKeyInfo, 'The key, for the last time.'), ...refusals(400, 401, 403, 404) }
    }
  }, async (request) => app.auth.keyAdmin.revoke(request.principal, request.params.id, request.origin))
}
export default keys
