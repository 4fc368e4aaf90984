import type { FastifyReply } from 'fastify'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { nodesMissing, pageOf, ref, refusals } from '../../../schemas/common.ts'
import {
  CommentCreate, Deployment, DeploymentCreate, DeploymentPath, DeploymentQuery, DeploymentReject, DeploymentSummary,
  DigestQuery
} from '../../../schemas/deployments.ts'

const tags = ['Deployments']
const deploymentAnswer = (description: string) =>
  ({ description, headers: nodesMissing, content: { 'application/json': { schema: ref(Deployment) } } })

/** Deployments belong to an application as a whole, which a request names as it names a scope. */
const deployments: FastifyPluginAsyncTypebox = async (app) => {
  app.get('/', {
    config: { permission: 'deployments:read', scope: 'required' },
    schema: {
      operationId: 'listDeployments',
      tags,
      summary: 'List deployments',
      description:
        'Returns the deployments of the application, without diffs and checks. Closed ones are kept until there are ' +
          '1,000 newer ones.',
      querystring: DeploymentQuery,
      response: { 200: pageOf(DeploymentSummary, 'A page of deployments.'), ...refusals(400, 401, 403, 404) }
    }
  }, async (request, reply) => {
    const { items, nextCursor } = await app.deployments.list(request.scope, request.query)
    if (nextCursor !== undefined) reply.header('x-next-cursor', nextCursor)
    return items
  })

  app.post('/', {
    config: { permission: 'deployments:create', scope: 'required' },
    schema: {
      operationId: 'createDeployment',
      tags,
      summary: 'Create a deployment',
      description:
        'Collects topics, schema versions and mappings that are to go from one environment to the next together, and ' +
          'fixes their contents: later changes of the source are not part of it. Nothing is changed in the target ' +
          'yet. Requires the permissions to read the items in both environments. At most 100 deployments of an ' +
          'application can be open (409).',
      body: ref(DeploymentCreate),
      response: {
        201: deploymentAnswer('The deployment, with diffs and checks.'), ...refusals(400, 401, 403, 404, 409, 413, 415)
      }
    }
  }, async (request, reply) => {
    reply.code(201)
    return answer(reply, await app.deployments.create(request.principal, request.scope, request.body, request.origin))
  })

  app.get('/:id', {
    config: { permission: 'deployments:read', scope: 'required' },
    schema: {
      operationId: 'getDeployment',
      tags,
      summary: 'Get a deployment',
      description:
        'Returns a deployment with its diffs and checks against the present state of the target, and the number of ' +
          'those who listen to its topics there.',
      params: DeploymentPath,
      response: { 200: deploymentAnswer('The deployment.'), ...refusals(400, 401, 403, 404) }
    }
  }, async (request, reply) =>
    answer(reply, await app.deployments.get(request.principal, request.scope, request.params.id)))

  app.post('/:id/comments', {
    config: { permission: 'deployments:update', scope: 'required' },
    schema: {
      operationId: 'commentDeployment',
      tags,
      summary: 'Comment on a deployment',
      description: 'Adds a comment. Deployments of every status accept up to 200 comments; more get 409.',
      params: DeploymentPath,
      body: ref(CommentCreate),
      response: { 201: deploymentAnswer('The deployment.'), ...refusals(400, 401, 403, 404, 409, 413, 415) }
    }
  }, async (request, reply) => {
    reply.code(201)
    const { principal, scope, params: { id }, body: { text } } = request
    return answer(reply, await app.deployments.comment(principal, scope, id, text, request.origin))
  })

  app.post('/:id/approve', {
    config: { permission: 'deployments:update', scope: 'required' },
    schema: {
      operationId: 'approveDeployment',
      tags,
      summary: 'Approve a deployment',
      description:
        'Approves what applying the deployment would do now. Refused with 403 to its author, also with an API key, ' +
          'and to tokens. The approval lapses when the target changes. The application setting `requireApproval` ' +
          'lists the environments to which only approved deployments can be applied.',
      params: DeploymentPath,
      querystring: DigestQuery,
      response: { 200: deploymentAnswer('The deployment.'), ...refusals(400, 401, 403, 404, 409) }
    }
  }, async (request, reply) => {
    const { principal, scope, params: { id }, query: { digest } } = request
    return answer(reply, await app.deployments.approve(principal, scope, id, digest, request.origin))
  })

  app.post('/:id/reject', {
    config: { permission: 'deployments:update', scope: 'required' },
    schema: {
      operationId: 'rejectDeployment',
      tags,
      summary: 'Reject a deployment',
      description: 'Closes a deployment that was not applied. Its author can withdraw it in the same way.',
      params: DeploymentPath,
      body: ref(DeploymentReject),
      response: { 200: deploymentAnswer('The deployment.'), ...refusals(400, 401, 403, 404, 409, 413, 415) }
    }
  }, async (request, reply) => {
    const { principal, scope, params: { id }, body: { reason } } = request
    return answer(reply, await app.deployments.reject(principal, scope, id, reason, request.origin))
  })

  app.post('/:id/apply', {
    config: { permission: 'deployments:update', scope: 'required' },
    schema: {
      operationId: 'applyDeployment',
      tags,
      summary: 'Apply a deployment',
      description:
        'Changes the target in one transaction: all of the items, or none. The checks are made again; if one fails, ' +
          'the answer is 409 `DEPLOYMENT_NOT_READY` with the failing ones in `details`. Also requires the ' +
          'permissions for the changes themselves, such as `topics:create`, in the target. A deployment that was ' +
          'applied already is 409 `DEPLOYMENT_STATUS`: after a lost response, get it to learn its status. A mapping ' +
          'is not enabled by this; one that is enabled in the target runs the new version.',
      params: DeploymentPath,
      querystring: DigestQuery,
      response: { 200: deploymentAnswer('The applied deployment.'), ...refusals(400, 401, 403, 404, 409) }
    }
  }, async (request, reply) => {
    const { principal, scope, params: { id }, query: { digest } } = request
    return answer(reply, await app.deployments.apply(principal, scope, id, digest, request.origin))
  })

  app.post('/:id/rollback', {
    config: { permission: 'deployments:update', scope: 'required' },
    schema: {
      operationId: 'rollbackDeployment',
      tags,
      summary: 'Roll back a deployment',
      description:
        'Returns the target in one transaction to what it had before: mappings to their earlier version, the schema ' +
          'version that was active, the description and owner of topics. A topic that the deployment registered is ' +
          'deleted if nothing uses it. Refused with 409 `DEPLOYMENT_NOT_READY` if somebody has changed one of these ' +
          'in the target since. Requires no approval.',
      params: DeploymentPath,
      response: { 200: deploymentAnswer('The deployment.'), ...refusals(400, 401, 403, 404, 409) }
    }
  }, async (request, reply) => {
    const { principal, scope, params: { id } } = request
    return answer(reply, await app.deployments.rollback(principal, scope, id, request.origin))
  })
}
export default deployments

function answer (reply: FastifyReply, { deployment, missing }: { deployment: Deployment, missing: number }) {
  if (missing > 0) reply.header('x-nodes-missing', missing)
  return deployment
}
