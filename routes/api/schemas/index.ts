import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { pageOf, PageQuery, ref, refusals } from '../../../schemas/common.ts'
import {
  CompatibilityVerdict,
  PayloadValidate,
  PayloadVerdict,
  SchemaDryRun,
  SchemaRegister,
  SchemaTopicPath,
  SchemaVersion,
  SchemaVersionPath
} from '../../../schemas/schema-registry.ts'

const tags = ['Schemas']

const schemas: FastifyPluginAsyncTypebox = async (app) => {
  app.get('/:topic/versions', {
    config: { permission: 'schemas:read' },
    schema: {
      operationId: 'listSchemaVersions',
      tags,
      summary: 'List schema versions',
      description: 'Every version of a topic\'s schema, oldest first. A page of large ones ends early.',
      params: SchemaTopicPath,
      querystring: PageQuery,
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
      description: 'One version of a topic\'s schema.',
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
      description: 'The version that was registered last, which need not be the active one.',
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
          'Becomes the next version if it is compatible. The first version becomes active by itself; later ones with `activate`, or by `PATCH /api/topics/:name`. ' +
          'A refused schema answers 409 with every offending change in `details`, each with a witness: a document that one side takes and the other refuses. ' +
          '503 `SCHEMA_COMPARISON_LIMIT` means that there is no verdict: the comparison took more steps than are ' +
            'allowed.',
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
      description: 'Against the latest version, unless one is named. Nothing is stored.',
      params: SchemaTopicPath,
      body: ref(PayloadValidate),
      response: {
        200: ref(PayloadVerdict, 'Whether it is valid, and where not.'),
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
        'What registering the schema would say, without registering it. At most 1,000 changes are listed, incompatible ones first. ' +
        '503 `SCHEMA_COMPARISON_LIMIT` means that there is no verdict.',
      params: SchemaTopicPath,
      body: ref(SchemaDryRun),
      response: {
        200: ref(CompatibilityVerdict, 'Whether it would be accepted, and why not.'),
        ...refusals(400, 401, 403, 404, 413, 415)
      }
    }
  }, async (request) => app.schemas.compatibility(request.scope, request.params.topic, request.body))
}
export default schemas
