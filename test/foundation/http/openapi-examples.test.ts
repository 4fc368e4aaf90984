import t from 'tap'
import { build } from '../../support/build.ts'
import { dereferenced } from '../../support/dereferenced.ts'
import { inject } from '../../support/inject.ts'
import { tenant } from '../../support/tenant.ts'

/*
 * Sends every request of the document as the page at /docs fills it in: with the example or default of each parameter,
 * including optional ones, and the example of the body. It succeeds, or a resource named in an example does not exist.
 */

interface Parameter {
  in: string
  name: string
  example?: unknown
  schema: { default?: unknown }
}
interface Operation {
  operationId: string
  parameters?: Parameter[]
  requestBody?: { content: Record<string, { example?: unknown }> }
  responses: Record<string, unknown>
  security: object[]
}

/** Single-use secrets never match the examples. */
const refused: Record<string, number> = { verifyMfa: 401, verifyToken: 401, resetPassword: 403, acceptInvite: 403 }
/** Requests that need a session, where others are sent with a token. */
const sessionsOnly = new Set(['listSessions', 'endSession', 'logout', 'createKey', 'createApiKey'])

const { app } = await build(t)
const { paths } = dereferenced<{ paths: Record<string, Record<string, Operation>> }>(app.swagger())
const first = [
  'setup', 'login', 'createApplication', 'createTopic', 'createService', 'createDocument', 'registerSchema'
]
const last = ['putDatabaseConnection', 'deleteDatabaseConnection', 'logout']
const placeOf = (id: string) => {
  if (first.includes(id)) return first.indexOf(id) - first.length
  return last.includes(id) ? 2 + last.indexOf(id) : Number(id.startsWith('delete'))
}
const requests = Object.entries(paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({ path, method, operation }))
)
  .sort((a, b) => placeOf(a.operation.operationId) - placeOf(b.operation.operationId))

await t.test('every request example succeeds when it is sent', async t => {
  const { token, applicationId } = await tenant(app)
  let session = ''
  const missing: string[] = []
  for (const { path, method, operation } of requests) {
    const { operationId, parameters = [], requestBody, responses, security } = operation
    const valueOf = ({ example, schema }: Parameter) => example ?? schema.default
    const given = parameters.filter(parameter => valueOf(parameter) !== undefined)
    const partOf = (place: string) =>
      given.filter(parameter => parameter.in === place).map(parameter =>
        [parameter.name, String(valueOf(parameter))] as const
      )
    const query = new URLSearchParams(Object.fromEntries(partOf('query'))).toString()
    const inPath = new Map(partOf('path'))
    const takesApplication = parameters.some(({ name }) => name === 'x-application-id')
    const credential = security.length === 0
      ? {}
      : takesApplication && !sessionsOnly.has(operationId)
        ? { authorization: `Bearer ${token()}` }
        : { 'x-session-token': session }
    const body = requestBody?.content['application/json']?.example
    const answer = await inject(app, {
      method: method.toUpperCase() as 'GET',
      url: path.replaceAll(/\{(\w+)\}/g, (_, name: string) =>
        encodeURIComponent(inPath.get(name) ?? `no-example-of-${name}`)) + (query === '' ? '' : `?${query}`),
      headers: {
        ...credential,
        ...Object.fromEntries(partOf('header')),
        ...(takesApplication && sessionsOnly.has(operationId) && { 'x-application-id': applicationId }),
        ...(body !== undefined && { 'content-type': 'application/json' })
      },
      ...(body !== undefined && { payload: JSON.stringify(body) })
    })
    const { statusCode: status } = answer
    if (operationId === 'login' || operationId === 'setup') session = JSON.parse(answer.body).sessionToken
    if (status === 404) missing.push(operationId)
    const isExpected = status === refused[operationId] || (status >= 200 && status < 400) || status === 404
    t.ok(
      isExpected && responses[status] !== undefined,
      `${operationId}: ${status} ${isExpected ? '' : answer.body.slice(0, 300)}`
    )
  }
  t.ok(
    missing.length < requests.length / 2 && !missing.some(id =>
      ['mutateDocument', 'publishEvents', 'listEvents', 'mergeDocument'].includes(id)
    ),
    `${missing.length} of ${requests.length} name what does not exist: ${missing.join(', ')}`
  )
})
