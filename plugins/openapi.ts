import swagger from '@fastify/swagger'
import type { TSchema } from '@sinclair/typebox'
import fp from 'fastify-plugin'
import * as alerts from '../schemas/alerts.ts'
import * as apiKeys from '../schemas/api-keys.ts'
import * as applications from '../schemas/applications.ts'
import * as audit from '../schemas/audit.ts'
import * as auth from '../schemas/auth.ts'
import * as channels from '../schemas/channels.ts'
import * as common from '../schemas/common.ts'
import * as database from '../schemas/database.ts'
import * as debuggerSchemas from '../schemas/debugger.ts'
import * as deployments from '../schemas/deployments.ts'
import * as documents from '../schemas/documents.ts'
import * as events from '../schemas/events.ts'
import * as health from '../schemas/health.ts'
import * as keys from '../schemas/keys.ts'
import * as metricSeries from '../schemas/metric-series.ts'
import * as metrics from '../schemas/metrics.ts'
import * as oidc from '../schemas/oidc.ts'
import * as people from '../schemas/people.ts'
import * as quotas from '../schemas/quotas.ts'
import * as schemaRegistry from '../schemas/schema-registry.ts'
import * as services from '../schemas/services.ts'
import * as sockets from '../schemas/sockets.ts'
import * as topics from '../schemas/topics.ts'
import * as webhooks from '../schemas/webhooks.ts'
import { Asset, sendAsset } from '../src/foundation/http/assets.ts'
import { openapiInfo, withScopeAndSecurity } from '../src/foundation/http/openapi.ts'
import { isEntityOwning } from '../src/identity/access/permissions.ts'
import { shareComponents } from '../src/foundation/http/openapi-components.ts'

const modules = [
  common,
  alerts,
  apiKeys,
  applications,
  audit,
  auth,
  channels,
  database,
  debuggerSchemas,
  deployments,
  documents,
  events,
  health,
  keys,
  metrics,
  metricSeries,
  oidc,
  people,
  quotas,
  schemaRegistry,
  services,
  sockets,
  topics,
  webhooks
]

/**
 * Serves the OpenAPI document at `/openapi.json`, and registers the shared schemas. The whole document is generated
 * from the schemas of the routes.
 */
export default fp(async (app) => {
  for (const schema of modules.flatMap(module => Object.values<unknown>(module)).filter(isShared)) app.addSchema(schema)
  await app.register(swagger, {
    openapi: openapiInfo,
    refResolver: {
      buildLocalReference: (json, _base, _fragment, i) => typeof json['$id'] === 'string' ? json['$id'] : `def-${i}`
    },
    transform: withScopeAndSecurity(isEntityOwning),
    transformObject: documentObject =>
      'openapiObject' in documentObject ? shareComponents(documentObject.openapiObject, common.refusalNames) : {}
  })
  let document: Asset | undefined
  app.get('/openapi.json', { config: { permission: 'public' }, schema: { hide: true } }, async (request, reply) => {
    // Serialised once: the document does not change while the server runs.
    document ??= new Asset(JSON.stringify(app.swagger()), 'application/json; charset=utf-8')
    return sendAsset(request, reply, document)
  })
}, { name: 'openapi', dependencies: ['auth', 'security'] })

const isShared = (schema: unknown): schema is TSchema =>
  typeof schema === 'object' && schema !== null && '$id' in schema
