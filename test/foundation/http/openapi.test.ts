import { execFile } from 'node:child_process'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { gunzipSync } from 'node:zlib'
import addFormats from 'ajv-formats'
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'
import type { FastifyInstance, RouteOptions } from 'fastify'
import t from 'tap'
import { isEntityOwning, isPermissionName } from '../../../src/identity/access/permissions.ts'
import { build } from '../../support/build.ts'
import { dereferenced, documentOf, type Schema } from '../../support/dereferenced.ts'
import { root } from '../../support/repository.ts'
import { tenant } from '../../support/tenant.ts'

/*
 * The document is complete and correct, and equals the committed one. Every route is checked.
 */

interface Parameter {
  in: string
  name: string
  description?: string
  example?: unknown
  examples?: unknown
  schema: Schema
}
interface Answer {
  description?: string
  content?: Record<string, { schema: Schema }>
}
interface Operation {
  operationId?: string
  tags?: string[]
  summary?: string
  description?: string
  parameters?: Parameter[]
  requestBody?: { required?: boolean, content: Record<string, { schema: Schema, example?: unknown }> }
  responses: Record<string, Answer>
  security?: Record<string, string[]>[]
}
interface Document {
  openapi: string
  tags: { name: string, description: string }[]
  paths: Record<string, Record<string, Operation>>
  components: {
    schemas: Record<string, Schema>
    responses: Record<string, { content: Record<string, { example: { error: string, code: string } }> }>
    securitySchemes: Record<string, unknown>
  }
}

const routes: RouteOptions[] = []
const collect = (message: unknown) => {
  (message as { fastify: FastifyInstance }).fastify.addHook('onRoute', route => { routes.push(route) })
}
subscribe('fastify.initialization', collect)
const { app } = await build(t)
unsubscribe('fastify.initialization', collect)

const generated = app.swagger()
const published = documentOf<Document>(app)
const document = dereferenced<Document>(generated)
const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({ name: `${method.toUpperCase()} ${path}`, path, operation })))
const committedFile = async (name: string) => await readFile(join(root, name), 'utf8')

const ajv = new Ajv2020({ strict: false, allErrors: true })
addFormats.default(ajv)
ajv.addSchema(document, 'openapi')
const resolve = (schema: Schema): Schema =>
  schema.$ref === undefined ? schema : document.components.schemas[schema.$ref.split('/').at(-1) as string] as Schema
const validators = new Map<Schema, ValidateFunction>()
/** Returns undefined if the value matches the schema. */
function faultOf (schema: Schema, value: unknown): string | undefined {
  let validate = validators.get(schema)
  if (validate === undefined) {
    const text = JSON.stringify(schema).replaceAll('"#/components', '"openapi#/components')
    validate = ajv.compile(JSON.parse(text))
    validators.set(schema, validate)
  }
  return validate(value) ? undefined : `${ajv.errorsText(validate.errors)} in ${JSON.stringify(value).slice(0, 300)}`
}

/** Returns the example that the document shows for a schema: its own, or one composed of the examples of its parts. */
function exampleOf (given: Schema): unknown {
  const schema = resolve(given)
  const own = [schema.examples?.[0], schema.example, schema.const, schema.default, schema.enum?.[0]].find(value =>
    value !== undefined
  )
  if (own !== undefined) return own
  if (schema.anyOf !== undefined) return exampleOf(schema.anyOf[0] as Schema)
  if (schema.type === 'array') return schema.items === undefined ? [] : [exampleOf(schema.items)]
  if (schema.type === 'object' || schema.properties !== undefined) {
    return Object.fromEntries(
      Object.entries(schema.properties ?? {}).map(([name, part]) => [name, exampleOf(part)]).filter(([, value]) =>
        value !== undefined
      )
    )
  }
  if (schema.type === 'boolean') return true
  if (schema.type === 'null') return null
  return undefined
}

await t.test('the document is OpenAPI 3.1 and has every route', async t => {
  t.match(document.openapi, /^3\.1\./)
  t.same(Object.keys(document.components.securitySchemes).sort(), ['session', 'token'])
  const unlisted = new Set<string>()
  const listed = new Set<string>()
  for (const route of routes) {
    // HEAD works on every GET route; the document does not repeat it.
    for (const method of [route.method].flat().filter(method => method !== 'HEAD')) {
      const path = (route.url.replace(/\/$/, '') || '/').replaceAll(/:(\w+)/g, '{$1}')
      const isHidden = route.schema?.hide === true || (route as { websocket?: boolean }).websocket === true
      if (isHidden) unlisted.add(path)
      else listed.add(`${method} ${path}`)
    }
  }
  t.same(operations.map(({ name }) => name).sort(), [...listed].sort())
  t.same(
    [...unlisted].filter(path =>
      !/^\/(docs|assets)(\/|$)/.test(path) &&
      ![
        '/', '*', '/favicon.svg', '/accept-invite', '/reset-password', '/login', '/openapi.json', '/ws',
        '/.well-known/jwks.json', '/api/database/mappings/topic/{topic}'
      ].includes(path)
    ),
    [],
    'only pages and non-REST routes are hidden'
  )
  t.ok(operations.length > 25)
})

await t.test('every operation has an id, a summary, a description and a tag', async t => {
  const ids = operations.map(({ operation }) => operation.operationId)
  t.equal(new Set(ids).size, ids.length, 'operation ids are unique')
  const tags = new Map(document.tags.map(tag => [tag.name, tag.description]))
  const problems = operations.flatMap((
    { name, operation: { operationId, summary, description, tags: own, responses } }
  ) => [
    ...(/^[a-z][A-Za-z]+$/.test(operationId ?? '') ? [] : [`${name} has no operationId`]),
    ...((summary ?? '').length > 3 ? [] : [`${name} has no summary`]),
    ...((description ?? '').length > 10 ? [] : [`${name} has no description`]),
    ...(own?.length === 1 && (tags.get(own[0] as string) ?? '') !== ''
      ? []
      : [`${name} lacks a tag with a description`]),
    ...Object.entries(responses).filter(([, answer]) =>
      (answer.description ?? '') === '' || answer.description === 'Default Response'
    ).map(([status]) => `${name} ${status} has no description`)
  ])
  t.same(problems, [])
  const used = new Set(operations.flatMap(({ operation }) => operation.tags))
  t.same([...tags.keys()].filter(tag => !used.has(tag)), [], 'no tag is without operations')
})

await t.test('every parameter and body has a description and a valid example', async t => {
  const problems = operations.flatMap(({ name, operation }) => {
    const parameters = (operation.parameters ?? []).flatMap(parameter => {
      const label = `${name} ${parameter.in} ${parameter.name}`
      const example = parameter.example ?? exampleOf(parameter.schema)
      if ((parameter.description ?? '') === '') return [`${label} has no description`]
      // An example would make the page send a useless value: another application's id gets 403, a cursor belongs to its
      // query, and a series is that of a topic or that of a webhook.
      if (
        ['x-application-id', 'cursor', 'last-event-id'].includes(parameter.name) ||
        label === 'GET /api/metrics/series query webhookId'
      ) {
        return example === undefined
          ? []
          : [`${label} has an example`]
      }
      if (example === undefined) return [`${label} has no example`]
      const fault = faultOf(parameter.schema, example)
      return fault === undefined ? [] : [`${label}: ${fault}`]
    })
    const body = operation.requestBody?.content['application/json']?.schema
    if (operation.requestBody !== undefined && body === undefined) {
      parameters.push(`${name} takes a body that is not JSON`)
    }
    if (body === undefined) return parameters
    const unexplained = Object.entries(resolve(body).properties ?? {}).filter(([field, part]) =>
      exampleOf(part) === undefined && resolve(body).examples === undefined &&
      (resolve(body).required ?? []).includes(field)
    )
    const fault = faultOf(body, operation.requestBody?.content['application/json']?.example)
    return [
      ...parameters,
      ...unexplained.map(([field]) => `${name} body.${field} has no example`),
      ...(fault === undefined ? [] : [`${name} body: ${fault}`])
    ]
  })
  t.same(problems, [])
})

await t.test('every intended response is documented, with an example that matches its schema', async t => {
  const problems: string[] = []
  for (const { name, path, operation } of operations) {
    const route = routes.find(one =>
      [one.method].flat().some(method => name === `${method} ${path}`) &&
      (one.url.replace(/\/$/, '') || '/').replaceAll(/:(\w+)/g, '{$1}') === path
    )
    const permission = route?.config?.permission as string
    const isPublic = permission === 'public'
    const statuses = Object.keys(operation.responses)
    const expected = [
      '429',
      '500',
      '503',
      ...(isPublic ? [] : ['401']),
      ...(isPermissionName(permission) ? ['403'] : [])
    ]
    // Unexpected bodies are parsed as well.
    if (!name.startsWith('GET ')) expected.push('400', '413', '415')
    if (isPermissionName(permission) && isEntityOwning(permission)) expected.push('404')
    if (operation.parameters?.some(parameter => parameter.in === 'query' || parameter.in === 'path') === true) {
      expected.push('400')
    }
    if (path.includes('{id}') && !isPublic) expected.push('404')
    problems.push(
      ...expected.filter(status => !statuses.includes(status)).map(status => `${name} does not document ${status}`)
    )
    if (!statuses.some(status => /^[23]/.test(status))) problems.push(`${name} never succeeds`)
    if (isPublic !== (operation.security?.length === 0)) {
      problems.push(`${name} is ${permission}, but its security is ${JSON.stringify(operation.security)}`)
    }
    const headers = (operation.parameters ?? []).filter(parameter => parameter.in === 'header').map(parameter =>
      parameter.name.toLowerCase()
    )
    // Routes that cover everything the caller has access to can be limited to a scope.
    const isScoped = (isPermissionName(permission) && isEntityOwning(permission)) ||
      route?.config?.scope === 'required' ||
      ['/api/metrics/dashboard', '/api/metrics/hot-topics'].includes(path)
    for (const header of ['x-application-id', 'x-environment']) {
      if (headers.includes(header) !== isScoped) {
        problems.push(`${name} ${isScoped ? 'lacks' : 'has no use for'} ${header}`)
      }
    }
    for (const [status, answer] of Object.entries(operation.responses)) {
      for (const [type, { schema }] of Object.entries(answer.content ?? {})) {
        const example = exampleOf(schema)
        const fault = example === undefined ? 'has no example' : faultOf(schema, example)
        if (fault !== undefined && status < '400') problems.push(`${name} ${status} ${type}: ${fault}`)
        if (status >= '400' && status !== '503' && resolve(schema) !== document.components.schemas['Error']) {
          problems.push(`${name} ${status} is not an Error`)
        }
      }
    }
  }
  t.same(problems, [])
})

await t.test('error responses are shared components, each with an example from the table of codes', async t => {
  const inline = Object.values(published.paths).flatMap(methods => Object.values(methods))
    .flatMap(({ responses }) => Object.entries(responses)).filter(([status, answer]) =>
      status >= '400' && !('$ref' in answer) && status !== '503'
    )
  t.same(inline, [])
  const table = await committedFile('docs/ERRORS.md')
  const examples = Object.entries(document.components.responses).map(([name, { content }]) => ({
    name, example: content['application/json']?.example
  }))
  t.equal(new Set(examples.map(({ example }) => example?.code)).size, 11)
  for (const { name, example } of examples) {
    t.equal(faultOf({ $ref: '#/components/schemas/Error' }, example), undefined, name)
    t.match(table, new RegExp(`^\\| \`${example?.code}\` \\| [^|]* \\| [^|]*${example?.error}`, 'm'), name)
  }
})

await t.test('common parameters are shared components', async t => {
  const all = Object.values(published.paths).flatMap(methods => Object.values(methods))
    .flatMap(({ parameters = [] }) => parameters)
  const inline = all.filter(parameter => !('$ref' in parameter)).map(parameter => JSON.stringify(parameter))
  t.equal(new Set(inline).size, inline.length)
  t.ok(all.length - inline.length > 200)
})

await t.test('enums are named components, not unions of constants', async t => {
  const { components: { schemas }, paths } = published
  for (
    const name of [
      'Environment', 'EventType', 'EventSource', 'CompatibilityMode', 'PermissionResource', 'MutationOp',
      'WebhookEventType'
    ]
  ) {
    t.match(schemas[name], { type: 'string', enum: Array }, name)
  }
  const problems: string[] = []
  const look = (value: unknown, place: string): void => {
    if (typeof value !== 'object' || value === null) return
    // The fields that one list can be sorted by.
    if ('name' in value && value.name === 'sort' && 'in' in value) return
    const { enum: values, anyOf, default: byDefault } = value as Schema
    if (Array.isArray(values) && values.length > 1 && !/^\/schemas\/\w+$/.test(place)) {
      problems.push(`${place} has no name`)
    }
    if (Array.isArray(anyOf) && anyOf.some(one => one.const !== undefined || one.enum?.length === 1)) {
      problems.push(`${place} is a union of constants`)
    }
    // Generators would make such a field required.
    if (byDefault !== undefined && place.startsWith('/schemas')) problems.push(`${place} has a default`)
    for (const [key, part] of Object.entries(value)) if (!key.startsWith('example')) look(part, `${place}/${key}`)
  }
  look({ schemas, paths }, '')
  t.same(problems, [])
})

await t.test('responses of the server match the document', async t => {
  const { request, applicationId } = await tenant(app)
  const problems: string[] = []
  const statuses = new Set<string>()
  /** Finds the operation of a request in the document. */
  async function answers (
    status: number, method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE', path: string,
    parts: Record<string, string | number>,
    { query = '', body, headers }: { query?: string, body?: unknown, headers?: Record<string, string> } = {}
  ) {
    const url = path.replaceAll(/\{(\w+)\}/g, (_, name: string) => String(parts[name])) + query
    const answer = await request(method, url, body, headers)
    const described = document.paths[path]?.[method.toLowerCase()]?.responses[answer.status]
    statuses.add(`${method} ${path}`)
    if (answer.status !== status) problems.push(`${method} ${url}: ${answer.text}`)
    if (described === undefined) problems.push(`${method} ${path} does not document ${answer.status}`)
    const type = String(answer.headers['content-type']).split(';')[0] ?? ''
    const schema = described?.content?.[type]?.schema
    if (answer.text !== '' && schema === undefined) {
      problems.push(`${method} ${path} ${answer.status} does not document ${type}`)
    }
    const fault = schema === undefined ? undefined : faultOf(schema, answer.body ?? answer.text)
    if (fault !== undefined) problems.push(`${method} ${path} ${answer.status}: ${fault}`)
    return answer
  }
  const name = 'order.placed'
  await answers(201, 'POST', '/api/topics', {}, { body: { name, description: 'd', owner: 'o' } })
  await answers(409, 'POST', '/api/topics', {}, { body: { name, description: 'd', owner: 'o' } })
  await answers(400, 'POST', '/api/topics', {}, { body: { name } })
  await answers(200, 'GET', '/api/topics', {})
  await answers(200, 'GET', '/api/topics/{name}', { name })
  await answers(404, 'GET', '/api/topics/{name}', { name: 'no.such' })
  await answers(200, 'PATCH', '/api/topics/{name}', { name }, { body: { owner: 'p' } })
  await answers(201, 'POST', '/api/topics/{name}/events', { name }, { body: { payload: { a: 1 }, key: 'k' } })
  await answers(201, 'POST', '/api/topics/{name}/events', { name }, {
    body: { events: [{ payload: null }, { payload: [1] }] }
  })
  await answers(200, 'GET', '/api/topics/{name}/events', { name })
  await answers(201, 'POST', '/api/schemas/{topic}', { topic: name }, {
    body: { schema: { type: 'object', properties: { a: { type: 'integer' } } } }
  })
  await answers(409, 'POST', '/api/schemas/{topic}', { topic: name }, { body: { schema: { type: 'string' } } })
  await answers(200, 'GET', '/api/schemas/{topic}/versions', { topic: name })
  await answers(200, 'GET', '/api/schemas/{topic}/versions/{version}', { topic: name, version: 1 })
  await answers(200, 'GET', '/api/schemas/{topic}/latest', { topic: name })
  await answers(200, 'POST', '/api/schemas/{topic}/validate', { topic: name }, { body: { payload: { a: 'x' } } })
  await answers(200, 'POST', '/api/schemas/{topic}/compatibility', { topic: name }, {
    body: { schema: { type: 'string' } }
  })
  await answers(400, 'POST', '/api/topics/{name}/events', { name }, { body: { payload: { a: 'x' } } })
  const [service, id] = ['cart', 'one']
  await answers(201, 'POST', '/api/sync/{service}/documents', { service }, { body: { id, data: { n: 1 } } })
  await answers(200, 'GET', '/api/sync/{service}/documents', { service }, { query: '?includeDeleted=true' })
  const { headers: { etag } } = await answers(200, 'GET', '/api/sync/{service}/documents/{id}', { service, id })
  await answers(304, 'GET', '/api/sync/{service}/documents/{id}', { service, id }, {
    headers: { 'if-none-match': String(etag) }
  })
  await answers(200, 'PUT', '/api/sync/{service}/documents/{id}', { service, id }, { body: { data: { n: 2 } } })
  await answers(412, 'PUT', '/api/sync/{service}/documents/{id}', { service, id }, {
    body: { data: {} }, headers: { 'if-match': '"99"' }
  })
  await answers(200, 'PATCH', '/api/sync/{service}/documents/{id}/merge', { service, id }, { body: { data: { m: 2 } } })
  await answers(200, 'POST', '/api/sync/{service}/documents/{id}/mutate', { service, id }, {
    body: { mutations: [{ op: 'increment', path: '/n' }] }
  })
  await answers(409, 'POST', '/api/sync/{service}/documents/{id}/mutate', { service, id }, {
    body: { mutations: [{ op: 'test', path: '/n', value: 99 }] }
  })
  await answers(200, 'DELETE', '/api/sync/{service}/documents/{id}', { service, id })
  const { body: created } = await answers(201, 'POST', '/api/services', {}, { body: { name: 'parcel' } })
  await answers(200, 'GET', '/api/services', {})
  await answers(200, 'GET', '/api/services/{id}', { id: created.id })
  await answers(200, 'PATCH', '/api/services/{id}', { id: created.id }, { body: { description: null } })
  await answers(204, 'DELETE', '/api/services/{id}', { id: created.id })
  await answers(200, 'GET', '/api/applications', {})
  await answers(200, 'GET', '/api/applications/{id}', { id: applicationId })
  await answers(200, 'PATCH', '/api/applications/{id}', { id: applicationId }, { body: { name: 'n' } })
  const target = { url: 'https://hooks.example.test/', events: ['topic.event'] }
  const { body: { id: hook } } = await answers(201, 'POST', '/api/webhooks', {}, { body: target })
  await answers(400, 'POST', '/api/webhooks', {}, { body: { ...target, url: 'https://127.0.0.1/' } })
  await answers(200, 'GET', '/api/webhooks', {})
  await answers(200, 'GET', '/api/webhooks/{id}', { id: hook })
  await answers(404, 'GET', '/api/webhooks/{id}', { id: 'wh_nobody' })
  await answers(200, 'PATCH', '/api/webhooks/{id}', { id: hook }, {
    body: {
      topics: ['order.*'], filter: { a: 1 }, environments: ['production'], ordering: 'key', rateLimit: 5,
      description: 'd'
    }
  })
  await answers(200, 'PATCH', '/api/webhooks/{id}', { id: hook }, {
    body: { topics: null, filter: null, environments: null, rateLimit: null, description: null }
  })
  await answers(200, 'POST', '/api/webhooks/{id}/rotate-secret', { id: hook }, { body: {} })
  await answers(200, 'POST', '/api/webhooks/{id}/test', { id: hook })
  await answers(201, 'POST', '/api/topics/{name}/events', { name }, { body: { payload: { a: 2 } } })
  const { body: [owed] } = await answers(200, 'GET', '/api/webhooks/deliveries', {}, { query: '?state=pending' })
  await answers(200, 'POST', '/api/webhooks/deliveries/{id}/retry', { id: owed.id })
  await answers(404, 'POST', '/api/webhooks/deliveries/{id}/retry', { id: `dlv_${'0'.repeat(32)}` })
  await answers(200, 'GET', '/api/webhooks/logs', {}, { query: '?success=false' })
  await answers(200, 'POST', '/api/webhooks/redrive', {}, { body: { dryRun: true } })
  await answers(200, 'POST', '/api/webhooks/{id}/deactivate', { id: hook })
  await answers(409, 'POST', '/api/webhooks/redrive', {}, { body: { webhookId: hook } })
  await answers(200, 'POST', '/api/webhooks/{id}/activate', { id: hook })
  await answers(204, 'DELETE', '/api/webhooks/{id}', { id: hook })
  await answers(200, 'GET', '/api/auth/me', {})
  const { body: { token } } = await answers(200, 'POST', '/auth/token', {}, {
    body: { applicationId, permissions: ['subscribe'] }
  })
  await answers(200, 'POST', '/auth/verify', {}, { body: { token } })
  await answers(401, 'POST', '/auth/verify', {}, { body: { token: `${token}x` } })
  await answers(403, 'POST', '/api/auth/logout', {})
  await answers(200, 'GET', '/api/auth/setup-status', {})
  const [session] = [
    await answers(201, 'POST', '/api/auth/setup', {}, {
      body: { name: 'Ada', email: 'ada@example.com', password: 'correct horse battery' }, headers: { host: 'localhost' }
    })
  ]
  t.match(session.body.sessionToken, /^sess_/)
  await answers(200, 'POST', '/api/auth/login', {}, {
    body: { email: 'ada@example.com', password: 'correct horse battery' }
  })
  await answers(401, 'POST', '/api/auth/login', {}, { body: { email: 'ada@example.com', password: 'no' } })
  await answers(200, 'GET', '/api/auth/me', {}, { headers: { authorization: session.body.sessionToken } })
  await answers(200, 'DELETE', '/api/topics/{name}', { name })
  await answers(200, 'GET', '/health', {})
  await answers(200, 'GET', '/health/ready', {})
  await answers(200, 'GET', '/asyncapi.json', {})
  await answers(200, 'GET', '/api/metrics/prometheus', {})
  await answers(409, 'DELETE', '/api/applications/{id}', { id: applicationId })
  await answers(204, 'DELETE', '/api/applications/{id}', { id: applicationId }, { query: '?force=true' })
  t.same(problems, [])
  t.ok(statuses.size > 30)
})

await t.test('the committed document is up to date: `npm run openapi` writes it', async t => {
  const committed = await committedFile('openapi.json').catch(() => '')
  t.ok(committed === `${JSON.stringify(generated, null, 2)}\n`, 'openapi.json is up to date')
})

await t.test('it passes Redocly\'s rules', async t => {
  const folder = await mkdtemp(join(tmpdir(), 'realtime-openapi-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  await writeFile(join(folder, 'openapi.json'), JSON.stringify(generated))
  await writeFile(join(folder, 'redocly.yaml'), await committedFile('redocly.yaml'))
  const cli = join(root, 'node_modules/@redocly/cli/bin/cli.js')
  const { stdout, stderr } = await promisify(execFile)(process.execPath, [
    cli, 'lint', 'openapi.json', '--format=stylish'
  ], {
    cwd: folder,
    env: { ...process.env, REDOCLY_TELEMETRY: 'off', REDOCLY_SUPPRESS_UPDATE_NOTICE: 'true', NO_COLOR: '1' }
  }).catch((error: { stdout: string, stderr: string }) => error)
  t.match(stderr + stdout, /Your API description is valid/)
  t.notMatch(stderr + stdout, /\b(?:error|warning) /)
})

t.test('the AsyncAPI document that is served is the committed one', async t => {
  t.strictSame((await app.inject('/asyncapi.json')).json(), JSON.parse(await committedFile('docs/asyncapi.json')))
})

t.test('the OpenAPI and AsyncAPI documents are serialised once and have entity tags', async t => {
  const { app } = await build(t)
  for (const url of ['/openapi.json', '/asyncapi.json']) {
    const first = await app.inject(url)
    const { etag } = first.headers
    t.match(etag, /^"[\w-]{20,}"$/)
    t.equal((await app.inject(url)).headers.etag, etag)
    for (const tag of [String(etag), `W/${String(etag)}`, `"other", ${String(etag)}`, '*']) {
      const again = await app.inject({ url, headers: { 'if-none-match': tag } })
      t.match([again.statusCode, again.body, again.headers.etag], [304, '', etag], tag)
    }
    t.equal((await app.inject({ url, headers: { 'if-none-match': '"other"' } })).statusCode, 200)
  }
})

t.test('the images of the guides are served', async t => {
  const { app } = await build(t)
  for (const [page, type] of [['CONSOLE.md', 'image/png'], ['PERFORMANCE.md', 'image/svg+xml']] as const) {
    const { body } = await app.inject(`/docs/${page}`)
    const images = [...body.matchAll(/<img src="([^"]+)" alt="[^"]+">/g)].map(([, src]) => `/docs/${src}`)
    t.ok(images.length > 0)
    for (const url of images) {
      const { statusCode, headers } = await app.inject(url)
      t.match([statusCode, headers['content-type']], [200, type], url)
    }
  }
})

t.test('the pages have entity tags, and are compressed if the client accepts it', async t => {
  const { app } = await build(t)
  for (
    const url of ['/docs', '/docs/', '/docs/reference.js', '/docs/start.js', '/docs/docs.css', '/docs/PROTOCOL.md']
  ) {
    const first = await app.inject(url)
    t.equal(first.statusCode, 200, url)
    t.ok(first.headers.etag, url)
    const again = await app.inject({ url, headers: { 'if-none-match': String(first.headers.etag) } })
    t.match([again.statusCode, again.body], [304, ''], url)
  }
  const script = '/docs/reference.js'
  const zipped = await app.inject({ url: script, headers: { 'accept-encoding': 'gzip, br' } })
  t.match(zipped.headers, { 'content-encoding': 'gzip', vary: 'accept-encoding' })
  const plain = await app.inject({ url: script, headers: { 'accept-encoding': 'gzip;q=0' } })
  t.notOk('content-encoding' in plain.headers)
  t.ok(gunzipSync(zipped.rawPayload).equals(plain.rawPayload))
  t.ok(zipped.rawPayload.length < plain.rawPayload.length / 2)
})
