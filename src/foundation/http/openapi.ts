import type { FastifyContextConfig } from 'fastify'
import type { SwaggerTransform } from '@fastify/swagger'
import { EnvironmentName, refusalComponents, refusals } from '../../../schemas/common.ts'
import { version } from '../version.ts'

export const openapiInfo = {
  openapi: '3.1.0',
  info: {
    title: 'Realtime Platform',
    description: [
      'One place where row changes, shared documents and socket messages become ordered, durable domain events,',
      'and reach browsers, services and webhooks without a loss.',
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
      'OpenAPI does not cover sockets: see the [socket protocol](/docs/PROTOCOL.md). All codes of refusals are in ' +
        '[Errors](/docs/ERRORS.md).'
    ].join('\n'),
    version,
    license: { name: 'Proprietary', identifier: 'LicenseRef-Proprietary' }
  },
  servers: [{ url: '/', description: 'This server' }],
  tags: [
    { name: 'Health', description: 'Liveness and readiness.' },
    { name: 'Metrics', description: 'What the server does, in numbers.' },
    { name: 'Auth', description: 'Setup, login, sessions and tokens.' },
    { name: 'Users', description: 'People, and how they come in.' },
    { name: 'Roles', description: 'What people may do.' },
    { name: 'Keys', description: 'What tokens are signed with.' }, { name: 'Audit', description: 'Who changed what.' },
    { name: 'Applications', description: 'The tenants.' },
    { name: 'Topics', description: 'Named, ordered, durable logs of events.' },
    { name: 'Schemas', description: 'What payloads must look like, in versions.' },
    { name: 'Database', description: 'Connected PostgreSQL databases: which row changes become events, and how.' },
    { name: 'Services', description: 'Namespaces of documents.' },
    { name: 'Sync', description: 'Shared documents: every write is an event.' },
    { name: 'Socket', description: 'Who is connected, the channels that they have joined, and messages to them.' },
    { name: 'Webhooks', description: 'Signed requests to endpoints of the application, for events as they happen.' },
    { name: 'Debugger', description: 'What happened to an event, why one did not arrive, and sending it again.' }
  ],
  components: {
    securitySchemes: {
      token: {
        type: 'http' as const,
        scheme: 'bearer',
        bearerFormat: 'JWT',
        description: 'A token of `POST /auth/token`.'
      },
      session: {
        type: 'apiKey' as const,
        in: 'header' as const,
        name: 'X-Session-Token',
        description: 'The session token of a login. `Authorization: <session token>`, without `Bearer`, works too.'
      }
    },
    responses: refusalComponents as never
  }
}

const scopeHeaders = {
  'x-application-id': { type: 'string', description: 'The application. A token has its own; a session must name one.' },
  'x-environment': { ...EnvironmentName, default: 'development', description: 'The environment.' }
}

type NamedPermission = Exclude<FastifyContextConfig['permission'], 'public' | 'authenticated' | undefined>

/**
 * Adds to each route's page what its declared permission implies: the credential, the headers of its scope, and how a
 * scope is refused. A body is read, and may be none, also where nothing is done with it.
 */
export const withScopeAndSecurity =
  (isEntityOwning: (permission: NamedPermission) => boolean): SwaggerTransform =>
    ({ schema, url: registered, route }) => {
    // A section's own route answers with and without the slash; it is known without.
      const url = registered.length > 1 ? registered.replace(/\/$/, '') : registered
      const permission = route.config?.permission
      if (permission === undefined || schema?.hide === true) return { schema, url }
      const isScoped = permission !== 'public' && permission !== 'authenticated' && isEntityOwning(permission)
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
 * For answers that are data, never a page: nothing of them is run, framed, guessed at or kept. The pages at `/docs` set
 * their own.
 */
export const securityHeaders: Readonly<Record<string, string>> = {
  'x-content-type-options': 'nosniff', 'x-frame-options': 'DENY',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'", 'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-site', 'cache-control': 'no-store'
}
