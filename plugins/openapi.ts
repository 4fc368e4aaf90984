import { createHash } from 'node:crypto'
import helmet from '@fastify/helmet'
import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { TSchema } from '@sinclair/typebox'
import fp from 'fastify-plugin'
import * as applications from '../schemas/applications.ts'
import * as audit from '../schemas/audit.ts'
import * as auth from '../schemas/auth.ts'
import * as channels from '../schemas/channels.ts'
import * as common from '../schemas/common.ts'
import * as database from '../schemas/database.ts'
import * as debuggerSchemas from '../schemas/debugger.ts'
import * as documents from '../schemas/documents.ts'
import * as events from '../schemas/events.ts'
import * as health from '../schemas/health.ts'
import * as keys from '../schemas/keys.ts'
import * as metrics from '../schemas/metrics.ts'
import * as people from '../schemas/people.ts'
import * as schemaRegistry from '../schemas/schema-registry.ts'
import * as services from '../schemas/services.ts'
import * as topics from '../schemas/topics.ts'
import * as webhooks from '../schemas/webhooks.ts'
import { openapiInfo, withScopeAndSecurity } from '../src/openapi.ts'

/** The pages run their own scripts only. The styles are inline, as Swagger UI makes them. */
const pagePolicy = [
  'default-src \'self\'', 'img-src \'self\' data:', 'style-src \'self\' \'unsafe-inline\'', 'script-src \'self\'', 'object-src \'none\'', 'base-uri \'self\'', 'form-action \'self\'', 'frame-ancestors \'none\''
].join('; ')

const modules = [
  common, applications, audit, auth, channels, database, debuggerSchemas, documents, events, health, keys, metrics, people, schemaRegistry, services,
  topics, webhooks
]

/**
 * The document at `/openapi.json`, the pages at `/docs`, and the shared schemas that routes refer to.
 * Everything in it comes from the routes' own schemas.
 */
export default fp(async (app) => {
  for (const schema of modules.flatMap(module => Object.values<unknown>(module)).filter(isShared)) app.addSchema(schema)
  await app.register(swagger, {
    openapi: openapiInfo,
    refResolver: { buildLocalReference: (json, _base, _fragment, i) => typeof json['$id'] === 'string' ? json['$id'] : `def-${i}` },
    transform: withScopeAndSecurity
  })
  await app.register(async pages => {
    await pages.register(helmet, { contentSecurityPolicy: false, strictTransportSecurity: false })
    // Not by helmet, which sets its headers below Fastify's: that of all answers would outrank it.
    pages.addHook('onRequest', async ({ url }, reply) => {
      reply.header('content-security-policy', pagePolicy)
      // Swagger UI serialises the document for each request to these; the prepared one is elsewhere.
      if (/^\/docs\/(json|yaml)([?/]|$)/.test(url)) return reply.redirect('/openapi.json', 308)
    })
    pages.addHook('onSend', async ({ headers }, reply, payload) => {
      if (typeof payload !== 'string' || reply.statusCode !== 200) return payload
      const etag = etagOf(payload)
      reply.header('etag', etag).header('cache-control', 'no-cache')
      if (!matches(headers['if-none-match'], etag)) return payload
      reply.code(304)
      return ''
    })
    app.auth.openUnder('/docs')
    await pages.register(swaggerUi, { routePrefix: '/docs', uiConfig: { deepLinking: true, displayRequestDuration: true } })
    pages.get('/', { config: { permission: 'public' }, schema: { hide: true } }, async (_request, reply) => reply.redirect('/docs'))
    let document: { text: Buffer, etag: string } | undefined
    pages.get('/openapi.json', { config: { permission: 'public' }, schema: { hide: true } }, async ({ headers }, reply) => {
      const { text, etag } = document ??= prepared(app.swagger())
      reply.header('etag', etag).header('cache-control', 'no-cache')
      if (matches(headers['if-none-match'], etag)) return reply.code(304).send()
      return reply.type('application/json; charset=utf-8').send(text)
    })
  })
}, { name: 'openapi', dependencies: ['auth', 'security'] })

/** The document does not change while the server runs: it is serialised once. */
function prepared (document: object): { text: Buffer, etag: string } {
  const text = Buffer.from(JSON.stringify(document))
  return { text, etag: etagOf(text) }
}

const etagOf = (text: string | Buffer): string => `"${createHash('sha256').update(text).digest('base64url').slice(0, 27)}"`

/** Weakly, as RFC 9110 §13.1.2 asks. */
const matches = (header: string | undefined, etag: string): boolean =>
  header !== undefined && header.split(',', 100).some(tag => ['*', etag].includes(tag.trim().replace(/^W\//, '')))

const isShared = (schema: unknown): schema is TSchema => typeof schema === 'object' && schema !== null && '$id' in schema
