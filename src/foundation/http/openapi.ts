import type { FastifyContextConfig } from 'fastify'
import type { SwaggerTransform } from '@fastify/swagger'
import { EnvironmentName, refusalComponents, refusals } from '../../../schemas/common.ts'
import { version } from '../version.ts'

export const openapiInfo = {
  openapi: '3.1.0',
  info: {
    title: 'Realtime Platform',
    description: [
      'A self-hosted server that writes events, shared documents and row changes of PostgreSQL databases into one',
      'durable, ordered log per topic and delivers them over Socket.IO, plain WebSocket and webhooks.',
      '',
      'Request bodies are JSON in UTF-8 and may be compressed (`Content-Encoding: gzip` or `deflate`); limits count ' +
        'the decoded bytes.',
      'HEAD works wherever GET does.',
      '',
      'Numbers keep their value, or the request is refused with 400 `NUMBER_INEXACT`, which names the path: ' +
        'integers beyond 2^53 that a double',
      'cannot hold (1524831183200260097), numbers out of range (1e400), fractions with more digits than a double ' +
        'has. Send such numbers as strings.',
      '',
      'OpenAPI does not cover sockets: see the [socket protocol](/docs/PROTOCOL.md), and its AsyncAPI document ' +
        '`/asyncapi.json`. All codes of refusals are in [Errors](/docs/ERRORS.md).'
    ].join('\n'),
    version,
    license: { name: 'Proprietary', identifier: 'LicenseRef-Proprietary' }
  },
  servers: [{ url: '/', description: 'This server' }],
  tags: [
    { name: 'Health', description: 'Liveness and readiness.' },
    { name: 'Metrics', description: 'Numbers about the server.' },
    { name: 'Auth', description: 'Setup, login, sessions and tokens.' },
    { name: 'Users', description: 'Users, invites and password resets.' },
    { name: 'Roles', description: 'Roles: named sets of permissions.' },
    { name: 'Keys', description: 'Keys that sign tokens.' },
    { name: 'API keys', description: 'Long-lived credentials of an application, each revocable by itself.' },
    { name: 'Audit', description: 'The audit log.' },
    { name: 'Applications', description: 'Applications, the tenants of the platform.' },
    { name: 'Topics', description: 'Named, ordered, durable logs of events.' },
    { name: 'Schemas', description: 'Versioned JSON Schemas for the payloads of topics.' },
    {
      name: 'Database',
      description: 'Connected PostgreSQL databases, and the mappings that turn row changes into events.'
    },
    {
      name: 'Deployments',
      description: 'Changes of topics, schemas and mappings that go from one environment to the next together.'
    },
    { name: 'Services', description: 'Namespaces of documents.' },
    { name: 'Sync', description: 'Shared documents: every write is an event.' },
    { name: 'Socket', description: 'Open sockets, their channels, and messages to them.' },
    { name: 'Webhooks', description: 'Signed HTTP requests to your endpoints, one for each event.' },
    { name: 'Alerts', description: 'Conditions of a scope that need attention, and the rules that find them.' },
    { name: 'Debugger', description: 'The path of an event, the reason why it did not arrive, and replays.' }
  ],
  components: {
    securitySchemes: {
      token: {
        type: 'http' as const,
        scheme: 'bearer',
        bearerFormat: 'JWT',
        description: 'A token from `POST /auth/token`, or an API key from `POST /api/api-keys`.'
      },
      session: {
        type: 'apiKey' as const,
        in: 'header' as const,
        name: 'X-Session-Token',
        description:
          'The session token from a login. You can also send it as `Authorization: <session token>`, without `Bearer`.'
      }
    },
    responses: refusalComponents
  }
}

const scopeHeaders = {
  'x-application-id': {
    type: 'string', description: 'The application. Required with a session; a token belongs to one.'
  },
  'x-environment': { ...EnvironmentName, default: 'development', description: 'The environment.' }
}

type NamedPermission = Exclude<FastifyContextConfig['permission'], 'public' | 'authenticated' | undefined>

/**
 * Adds to each route what its declared permission implies: the credential, the scope headers, and the errors of scope
 * checks. Also adds the errors of a request body, which is parsed, and may be omitted, on every route that is no GET or
 * HEAD.
 */
export const withScopeAndSecurity =
  (isEntityOwning: (permission: NamedPermission) => boolean): SwaggerTransform =>
    ({ schema, url: registered, route }) => {
    // The root route of a section serves both forms of its path. The document has the one without the slash.
      const url = registered.length > 1 ? registered.replace(/\/$/, '') : registered
      const permission = route.config?.permission
      if (permission === undefined || schema?.hide === true) return { schema, url }
      const isScoped = route.config?.scope !== undefined ||
        (permission !== 'public' && permission !== 'authenticated' && isEntityOwning(permission))
      const headers = schema.headers as { properties?: object } | undefined
      const takesBody = [route.method].flat().some(method => !['GET', 'HEAD'].includes(method))
      return {
        url,
        schema: {
          ...schema,
          'x-permission': permission,
          response: {
            ...(takesBody && refusals(400, 413, 415)),
            ...(isScoped && refusals(400, 403, 404)),
            ...(schema.response as object | undefined)
          },
          security: permission === 'public' ? [] : [{ token: [] }, { session: [] }],
          ...((isScoped || headers !== undefined) && {
            headers: { type: 'object', properties: { ...(isScoped && scopeHeaders), ...headers?.properties } }
          })
        }
      }
    }

/**
 * Headers for responses that are data, never a page: browsers must not run, frame, sniff or cache them. The pages at
 * `/docs` set their own.
 */
export const securityHeaders: Readonly<Record<string, string>> = {
  'x-content-type-options': 'nosniff', 'x-frame-options': 'DENY',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'", 'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-site', 'cache-control': 'no-store'
}
