import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { pageOf, ref, refusals } from '../../../../schemas/common.ts'
import {
  EnvironmentBody, Mapping, MappingPath, MappingVersion, MappingVersionQuery, PromoteBody, PromoteQuery, Promotion,
  RollbackBody
} from '../../../../schemas/database.ts'

/** These routes belong under `/api/database/mappings`, not under the path of their folder. */
export const prefixOverride = '/api/database/mappings'

const versions: FastifyPluginAsyncTypebox = async (app) => {
  const { promotion } = app.databaseSources

  app.get('/:id/versions', {
    config: { permission: 'mappings:read' },
    schema: {
      operationId: 'listMappingVersions',
      tags: ['Database'],
      summary: 'List versions of a mapping',
      description:
        'Returns the snapshots of a mapping; each mapping numbers its own. Outside the home ' +
          'environment, returns only versions that have run there.',
      params: MappingPath,
      querystring: MappingVersionQuery,
      response: {
        200: pageOf(MappingVersion, 'A page of versions.'),
        ...refusals(400, 401, 403, 404)
      }
    }
  }, async (request, reply) => {
    const { items, nextCursor } = await promotion.versions(request.scope, request.params.id, request.query)
    if (nextCursor !== undefined) reply.header('x-next-cursor', nextCursor)
    return items
  })

  app.post('/:id/versions', {
    config: { permission: 'mappings:create' },
    schema: {
      operationId: 'createMappingVersion',
      tags: ['Database'],
      summary: 'Take a snapshot of a mapping',
      description: 'Stores what the environment runs as a new version; at home, that is the working copy.',
      params: MappingPath,
      body: ref(EnvironmentBody),
      response: { 201: ref(MappingVersion, 'The version.'), ...refusals(400, 401, 403, 404, 413, 415) }
    }
  }, async (request, reply) => {
    reply.code(201)
    return promotion.snapshot(
      request.principal, request.scope, request.params.id, request.body.environment, request.origin
    )
  })

  app.post(
    '/:id/promote',
    {
      config: { permission: 'mappings:update' },
      schema: {
        operationId: 'promoteMapping',
        tags: ['Database'],
        summary: 'Promote a mapping',
        description:
          'Copies the latest version of `environment` to the next environment, which then runs exactly that version. ' +
            'At home, the latest version is the latest snapshot; one is taken if none exists. With `dryRun`, returns ' +
            'the differences and the checks, and changes nothing.',
        params: MappingPath,
        querystring: PromoteQuery,
        body: ref(PromoteBody),
        response: {
          200: ref(Promotion, 'The promotion, or its preview with `dryRun`.'),
          ...refusals(400, 401, 403, 404, 409, 413, 415)
        }
      }
    },
    async (request) =>
      promotion.promote(
        request.principal, request.scope, request.params.id, request.body, request.query, request.origin
      )
  )

  app.post(
    '/:id/rollback',
    {
      config: { permission: 'mappings:update' },
      schema: {
        operationId: 'rollbackMapping',
        tags: ['Database'],
        summary: 'Roll back a mapping',
        description:
          'The environment runs the given version from then on. At home, the version becomes the working copy. ' +
            'Elsewhere, it must be one that has run in the environment; use promote for others.',
        params: MappingPath,
        body: ref(RollbackBody),
        response: {
          200: ref(Mapping, 'The mapping as that environment has it.'),
          ...refusals(400, 401, 403, 404, 409, 413, 415)
        }
      }
    },
    async (request) =>
      promotion.rollback(request.principal, request.scope, request.params.id, request.body, request.origin)
  )
}
export default versions
