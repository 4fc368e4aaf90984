import fp from 'fastify-plugin'
import { AsyncApiDocument } from '../schemas/asyncapi.ts'
import { refusals } from '../schemas/common.ts'
import type { Scope } from '../schemas/scope.ts'
import { createAsyncApiDocument } from '../src/delivery/asyncapi/document.ts'
import { scopeDocument } from '../src/delivery/asyncapi/scope-document.ts'
import { Asset, sendAsset } from '../src/foundation/http/assets.ts'
import type { GeneratedText } from '../src/foundation/http/generated-text.ts'
import { ActiveSchemas } from '../src/registry/schemas/active-schemas.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** Returns the AsyncAPI document of a scope: its topics, their schemas and the socket protocol. */
    asyncApiOf (scope: Scope): Promise<GeneratedText>
  }
}

/**
 * Serves the AsyncAPI document of the socket protocol at `/asyncapi.json`, generated from the schemas of the protocol,
 * and generates the documents of scopes.
 */
export default fp(async (app) => {
  app.decorate('asyncApiOf', async (scope: Scope): Promise<GeneratedText> => {
    const schemas = await ActiveSchemas.read(app.db, scope)
    return {
      digest: schemas.digest('asyncapi'), type: 'application/json; charset=utf-8',
      chunks: scopeDocument(scope, schemas, app.checkerPool)
    }
  })

  let document: Asset | undefined
  app.get('/asyncapi.json', {
    config: { permission: 'public' },
    schema: {
      operationId: 'getAsyncApiDocument',
      tags: ['Socket'],
      summary: 'Get the AsyncAPI document',
      description:
        'Returns the description of the socket protocol, over Socket.IO and over `/ws`: every request with its ' +
          'answer, every message of the server, and the close codes.',
      response: { 200: AsyncApiDocument, ...refusals() }
    }
  }, async (request, reply) => {
    // Serialised once: the document does not change while the server runs.
    document ??= new Asset(JSON.stringify(createAsyncApiDocument()), 'application/json; charset=utf-8')
    return sendAsset(request, reply, document)
  })
}, { name: 'asyncapi', dependencies: ['auth', 'database', 'openapi', 'schema-registry', 'security'] })
