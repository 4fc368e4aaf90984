import { Type } from '@sinclair/typebox'
import fp from 'fastify-plugin'
import { refusals } from '../schemas/common.ts'
import { createAsyncApiDocument } from '../src/delivery/asyncapi/document.ts'
import { Asset, sendAsset } from '../src/foundation/http/assets.ts'

const AsyncApiDocument = Type.Object({
  asyncapi: Type.String({ description: 'The version of AsyncAPI.', examples: ['3.0.0'] }),
  info: Type.Object({
    title: Type.String({ examples: ['Realtime Platform: sockets'] }), version: Type.String({ examples: ['0.1.0'] })
  }, { additionalProperties: true })
}, { additionalProperties: true, description: 'An AsyncAPI 3 document.' })

/**
 * Serves the AsyncAPI document of the socket protocol at `/asyncapi.json`. The whole document is generated from the
 * schemas of the protocol.
 */
export default fp(async (app) => {
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
}, { name: 'asyncapi', dependencies: ['auth', 'openapi', 'security'] })
