import { Type } from '@sinclair/typebox'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { IfNoneMatch, pageOf, ref, refusals } from '../../../schemas/common.ts'
import {
  CompatibilityVerdict,
  PayloadValidate,
  PayloadVerdict,
  SchemaDryRun,
  SchemaListQuery,
  SchemaRegister,
  SchemaTopicPath,
  SchemaVersion,
  SchemaVersionPath,
  SchemaVersionQuery
} from '../../../schemas/schema-registry.ts'

const tags = ['Schemas']

const schemas: FastifyPluginAsyncTypebox = async (app) => {
  app.get('/', {
    config: { permission: 'schemas:read' },
    schema: {
      operationId: 'listSchemas',
      tags,
      summary: 'List schemas',
      description:
        'Returns the schema versions of all topics. Versions of deleted topics are included, ' +
          'but never active. A page of large schemas may have fewer than `limit`.',
      querystring: SchemaListQuery,
      response: { 200: pageOf(SchemaVersion, 'A page of versions.'), ...refusals(400, 401, 403) }
    }
  }, async (request, reply) => {
    const { items, nextCursor } = await app.schemas.listAll(request.scope, request.query)
    if (nextCursor !== undefined) reply.header('x-next-cursor', nextCursor)
    return items
  })

  app.get('/types.ts', {
    config: { permission: 'schemas:read' },
    schema: {
      operationId: 'getSchemaTypes',
      tags,
      summary: 'Get TypeScript types',
      description:
        'Returns a TypeScript file with the interface `TopicMap`: the type of the payloads of each topic, made from ' +
          'its active schema. Every valid payload can be assigned to its type. `unknown` is the type of a topic ' +
          'without an active schema. The text depends only on the topics and their active versions, so that CI can ' +
          'compare it with a committed file. At most 10,000 topics.',
      headers: IfNoneMatch,
      produces: ['text/plain'],
      response: {
        200: {
          description: 'The file.',
          headers: { ETag: Type.String({ description: 'Changes with the topics and their active versions.' }) },
          content: {
            'text/plain': {
              schema: Type.String({
                examples: ["export interface TopicMap {\n  'order.placed': {\n    total: number\n  }\n}\n"]
              })
            }
          }
        },
        304: Type.Null({ description: 'The file still has the entity tag.' }),
        ...refusals(400, 401, 403, 409)
      }
    }
  }, async (request, reply) => reply.sendGenerated(await app.schemas.types(request.scope)))

  app.get('/:topic/versions', {
    config: { permission: 'schemas:read' },
    schema: {
      operationId: 'listSchemaVersions',
      tags,
      summary: 'List schema versions',
      description:
        'Returns every version of a topic\'s schema. A page of large schemas may have fewer than ' +
          '`limit`.',
      params: SchemaTopicPath,
      querystring: SchemaVersionQuery,
      response: {
        200: pageOf(SchemaVersion, 'A page of versions.'),
        ...refusals(400, 401, 403, 404)
      }
    }
  }, async (request, reply) => {
    const { items, nextCursor } = await app.schemas.list(request.scope, request.params.topic, request.query)
    if (nextCursor !== undefined) reply.header('x-next-cursor', nextCursor)
    return items
  })

  app.get('/:topic/versions/:version', {
    config: { permission: 'schemas:read' },
    schema: {
      operationId: 'getSchemaVersion',
      tags,
      summary: 'Get a schema version',
      description: 'Returns one version of a topic\'s schema.',
      params: SchemaVersionPath,
      response: { 200: ref(SchemaVersion, 'The version.'), ...refusals(400, 401, 403, 404) }
    }
  }, async (request) => app.schemas.get(request.scope, request.params.topic, request.params.version))

  app.get('/:topic/latest', {
    config: { permission: 'schemas:read' },
    schema: {
      operationId: 'getLatestSchema',
      tags,
      summary: 'Get the latest schema',
      description: 'Returns the version that was registered last. It is not necessarily the active version.',
      params: SchemaTopicPath,
      response: { 200: ref(SchemaVersion, 'The version.'), ...refusals(400, 401, 403, 404) }
    }
  }, async (request) => app.schemas.latest(request.scope, request.params.topic))

  app.post(
    '/:topic',
    {
      config: { permission: 'schemas:create' },
      schema: {
        operationId: 'registerSchema',
        tags,
        summary: 'Register a schema',
        description:
          'Registers the schema as the next version if it is compatible. The first version is activated ' +
          'automatically; activate later versions with `activate`, or with `PATCH /api/topics/:name`. ' +
          'An incompatible schema is refused with 409. `details` lists every incompatible change, each with a ' +
          'witness: a document that one version accepts and the other rejects. ' +
          '503 `SCHEMA_COMPARISON_LIMIT` means that the comparison took more steps than allowed and has no verdict.',
        params: SchemaTopicPath,
        body: ref(SchemaRegister),
        response: { 201: ref(SchemaVersion, 'The new version.'), ...refusals(400, 401, 403, 404, 409, 413, 415) }
      }
    },
    async (request, reply) =>
      reply.code(201).send(
        await app.schemas.register(request.scope, request.params.topic, request.body, request.origin)
      )
  )

  app.post('/:topic/validate', {
    config: { permission: 'schemas:read' },
    schema: {
      operationId: 'validatePayload',
      tags,
      summary: 'Validate a payload',
      description:
        'Validates a payload against a version of the topic\'s schema: the latest, unless `version` is given. ' +
        'Nothing is stored.',
      params: SchemaTopicPath,
      body: ref(PayloadValidate),
      response: {
        200: ref(PayloadVerdict, 'Whether the payload is valid, and the errors.'),
        ...refusals(400, 401, 403, 404, 413, 415)
      }
    }
  }, async (request) => app.schemas.validate(request.scope, request.params.topic, request.body))

  app.post('/:topic/compatibility', {
    config: { permission: 'schemas:read' },
    schema: {
      operationId: 'checkCompatibility',
      tags,
      summary: 'Check compatibility',
      description:
        'Compares a schema with earlier versions as registering it would, without registering it. The response lists ' +
        'at most 1,000 changes, incompatible ones first. ' +
        '503 `SCHEMA_COMPARISON_LIMIT` means that the comparison took more steps than allowed and has no verdict.',
      params: SchemaTopicPath,
      body: ref(SchemaDryRun),
      response: {
        200: ref(CompatibilityVerdict, 'Whether the schema would be accepted, and the changes.'),
        ...refusals(400, 401, 403, 404, 413, 415)
      }
    }
  }, async (request) => app.schemas.compatibility(request.scope, request.params.topic, request.body))
}
export default schemas
