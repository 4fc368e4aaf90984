import type { FastifyInstance } from 'fastify'
import t from 'tap'
import { createApiKey } from '../../support/api-keys.ts'
import { build } from '../../support/build.ts'
import { dereferenced } from '../../support/dereferenced.ts'
import { person } from '../../support/people.ts'
import { tenant } from '../../support/tenant.ts'

/*
 * Calls every route of the OpenAPI document with every kind of principal, and expects admission or refusal as the
 * route's permission (`x-permission`) requires. New routes are covered automatically. The permissions of each role,
 * level and verb are repeated here from the contract, so that the test does not depend on the code under test.
 */

t.setTimeout(600_000)

interface Operation {
  'x-permission'?: string
  parameters?: { in: string, name: string, example?: unknown }[]
  responses: Record<string, { content?: Record<string, unknown> }>
}

const { app } = await build(t)
const { paths } = dereferenced<{ paths: Record<string, Record<string, Operation>> }>(app.swagger())
const operations = Object.entries(paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({
    name: `${method.toUpperCase()} ${path}`,
    method: method.toUpperCase() as 'GET',
    // Names nothing that exists, so an admitted request finds and changes nothing.
    url: path.replaceAll(
      /\{(\w+)\}/g,
      (_, name: string) =>
        encodeURIComponent(String(operation.parameters?.find(parameter => parameter.name === name)?.example ?? 'x'))
    ),
    permission: operation['x-permission'] ?? '',
    /** A stream that does not end by itself. */
    isStream: Object.values(operation.responses).some(({ content = {} }) => 'text/event-stream' in content)
  }))
)

const entities = [
  'topics', 'schemas', 'mappings', 'documents', 'services', 'socket', 'webhooks', 'debugger', 'events', 'alerts',
  'metrics', 'consumers', 'access'
]
const platform = ['applications', 'deployments', 'api-keys', 'users', 'roles', 'invites', 'keys', 'tokens', 'audit']
const actions = ['create', 'read', 'update', 'delete']
const every = (resources: string[], of = actions) =>
  resources.flatMap(resource => of.map(action => `${resource}:${action}`))
const everything = every([...entities, ...platform])
const reading = every([...entities, 'deployments', 'users', 'applications'], ['read'])
const editing = [
  ...reading,
  ...every(['topics', 'schemas', 'mappings', 'webhooks', 'documents', 'services', 'consumers']),
  'events:create',
  ...every(['deployments'], ['create', 'update'])
]
const administering = [
  ...every([...entities, 'deployments', 'api-keys', 'users', 'roles', 'invites', 'tokens']),
  ...every(['applications'], ['create', 'read', 'update']),
  'keys:read',
  'audit:read'
]
/** A role for one application grants nothing outside it. */
const within = (held: string[]) =>
  held.filter(name =>
    !every(['keys']).includes(name) &&
    !['applications:create', 'roles:create', 'roles:update', 'roles:delete'].includes(name)
  )
/** An API key changes no accounts. */
const ofApiKey = everything.filter(name => !/^(users|roles|invites):(create|update|delete)$/.test(name))
const serving = [
  'topics:read',
  'schemas:read',
  'services:read',
  'events:read',
  'events:create',
  ...every(['documents']),
  'socket:read',
  'socket:create',
  'tokens:create'
]

const own = await tenant(app)
const asksAs: { who: string, held: string[], headers: Record<string, string> }[] = []
const roles = { super_admin: everything, admin: administering, editor: editing, viewer: reading }
for (const [role, held] of Object.entries(roles)) {
  for (const applicationId of [null, own.applicationId]) {
    const session = await sessionOf(app, role, applicationId)
    asksAs.push({
      who: `${role} ${applicationId === null ? 'everywhere' : 'of one application'}`,
      held: applicationId === null ? held : within(held),
      headers: { authorization: session, 'x-application-id': own.applicationId }
    })
  }
}
asksAs.push({
  who: 'somebody without a role', held: [],
  headers: { authorization: await sessionOf(app, undefined, null), 'x-application-id': own.applicationId }
})
const tokens: Record<string, string[]> = {
  admin: everything,
  service: serving,
  client: ['events:read', 'documents:read'],
  subscribe: ['events:read'],
  publish: ['events:create'],
  'subscribe:order.*': ['events:read'],
  'publish:chat.**': ['events:create']
}
for (const [level, held] of Object.entries(tokens)) {
  asksAs.push({ who: `a token of ${level}`, held, headers: { authorization: `Bearer ${own.token([level])}` } })
}

const keyMaker = await person(app, 'super_admin')
const formerMaker = await person(app, 'super_admin')
for (
  const { who, creator, level, held } of [
    { who: 'an API key of admin', creator: keyMaker, level: 'admin', held: ofApiKey },
    { who: 'an API key of client', creator: keyMaker, level: 'client', held: ['events:read', 'documents:read'] },
    { who: 'an API key of admin whose creator is a viewer', creator: formerMaker, level: 'admin', held: reading }
  ]
) {
  const { key } = await createApiKey(creator, own.applicationId, { permissions: [level] })
  asksAs.push({ who, held, headers: { authorization: `Bearer ${key}` } })
}
await keyMaker.post(`/api/users/${formerMaker.id}/roles`, { roleId: 'role_viewer' })
await keyMaker.remove(`/api/users/${formerMaker.id}/roles/role_super_admin`)

async function sessionOf (
  app: FastifyInstance, role: string | undefined, applicationId: string | null
): Promise<string> {
  const id = `usr_${role ?? 'nobody'}_${applicationId === null ? 'all' : 'one'}`
  await app.db.insertInto('users').values({
    id,
    name: id,
    email: `${id}@example.com`,
    password_hash: 'x',
    created_at: 0,
    updated_at: 0
  }).execute()
  if (role !== undefined) {
    await app.db.insertInto('role_assignments').values({
      user_id: id,
      role_id: `role_${role}`,
      application_id: applicationId
    }).execute()
  }
  return (await app.sessions.create(id, { address: undefined, userAgent: undefined })).token
}

async function ask ({ method, url, isStream }: typeof operations[number], headers: Record<string, string>) {
  if (!isStream) {
    const { statusCode, body } = await app.inject({ method, url, headers })
    return { status: statusCode, body }
  }
  const answer = await app.inject({ method, url, headers, payloadAsStream: true })
  if (answer.statusCode >= 400) {
    let body = ''
    for await (const chunk of answer.stream()) body += String(chunk)
    return { status: answer.statusCode, body }
  }
  answer.stream().destroy()
  return { status: answer.statusCode, body: '' }
}

await t.test('the document states the permission of every route', async t => {
  const known = new Set(['public', 'authenticated', ...everything])
  t.same(operations.filter(({ permission }) => !known.has(permission)).map(({ name }) => name), [])
  t.ok(operations.length > 50)
})

await t.test('every route except public ones refuses requests without a credential', async t => {
  const wrong: string[] = []
  for (const operation of operations) {
    const { status, body } = await ask(operation, {})
    const isRefused = status === 401 && body.includes('CREDENTIAL_MISSING')
    if (isRefused !== (operation.permission !== 'public')) wrong.push(`${operation.name}: ${status}`)
  }
  t.same(wrong, [])
})

await t.test("roles, levels, verbs and permissions are admitted only with the route's permission", async t => {
  const wrong: string[] = []
  let refused = 0
  for (const operation of operations) {
    if (operation.permission === 'public' || operation.name === 'POST /api/auth/logout') continue
    // Also tries the exact permission, and all others together.
    const others = everything.filter(name => name !== operation.permission)
    const exact = [[operation.permission], others].filter(names =>
      operation.permission !== 'authenticated' || names === others
    )
      .map(names => ({
        who: `a token of ${names.length} permissions`,
        held: names,
        headers: { authorization: `Bearer ${own.token(names)}` }
      }))
    for (const { who, held, headers } of [...asksAs, ...exact]) {
      const { status, body } = await ask(operation, headers)
      const isRefused = status === 403 && body.includes('"PERMISSION_DENIED"') &&
        body.includes(`Permission required: ${operation.permission}"`)
      const mayEnter = operation.permission === 'authenticated' || held.includes(operation.permission)
      // A principal without a role in the application is refused before the permission is checked.
      const isKeptOut = isRefused || (held.length === 0 && status === 403 && body.includes('APPLICATION_FORBIDDEN'))
      if (isKeptOut) refused++
      if (isKeptOut === mayEnter || status === 401 || status >= 500) {
        wrong.push(`${operation.name} (${operation.permission}) by ${who}: ${status} ${body.slice(0, 150)}`)
      }
    }
  }
  t.same(wrong, [])
  t.ok(refused > operations.length * 5, `${refused} refusals`)
})
