import { Type } from '@sinclair/typebox'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { AsyncApiDocument } from '../../../schemas/asyncapi.ts'
import { IfNoneMatch, refusals } from '../../../schemas/common.ts'

const asyncApi: FastifyPluginAsyncTypebox = async (app) => {
  app.get('/', {
    config: { permission: 'schemas:read' },
    schema: {
      operationId: 'getScopeAsyncApiDocument',
      tags: ['Schemas'],
      summary: 'Get the AsyncAPI document of an environment',
      description:
        'Returns the document of the socket protocol with a channel for each registered topic. The active schemas of ' +
          'the topics are components, translated to draft-07. At most 10,000 topics.',
      headers: IfNoneMatch,
      response: {
        200: {
          description: 'The document.',
          headers: { ETag: Type.String({ description: 'Changes with the topics and their active versions.' }) },
          content: { 'application/json': { schema: AsyncApiDocument } }
        },
        304: Type.Null({ description: 'The document still has the entity tag.' }),
        ...refusals(400, 401, 403, 409)
      }
    }
  }, async (request, reply) => reply.sendGenerated(await app.asyncApiOf(request.scope)))
}
export default asyncApi
