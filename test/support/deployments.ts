import type { FastifyInstance } from 'fastify'
import type { Deployment, DeploymentCreate } from '../../schemas/deployments.ts'
import type { Environment } from '../../schemas/scope.ts'
import { person, type Person, type RoleOf } from './people.ts'
import { tenant } from './tenant.ts'

type Method = 'GET' | 'POST' | 'PATCH' | 'PUT' | 'DELETE'

/** Sends the requests of one person to one application. */
export function member (who: Pick<Person, 'request'>, applicationId: string) {
  const request = async (method: Method, url: string, body?: unknown, environment: Environment = 'development') =>
    await who.request(method, url, body, {
      headers: { 'x-application-id': applicationId, 'x-environment': environment }
    })
  return {
    request,
    create: async (
      items: DeploymentCreate['items'], source: DeploymentCreate['source'] = 'development', title = 'A change'
    ) => await request('POST', '/api/deployments', { title, source, items }),
    get: async (id: string) => (await request('GET', `/api/deployments/${id}`)).body as Deployment,
    /** Calls `approve`, `reject`, `apply`, `rollback` or `comments`. */
    act: async (id: string, action: string, body?: unknown) =>
      await request('POST', `/api/deployments/${id}/${action}`, body)
  }
}
export type Member = ReturnType<typeof member>

/** An application, and people with roles in it. */
export async function team (app: FastifyInstance) {
  const { applicationId } = await tenant(app)
  const join = async (...roles: RoleOf[]) => {
    const who = await person(app, ...roles.length > 0 ? roles : [['editor', applicationId] as RoleOf])
    return { ...who, ...member(who, applicationId) }
  }
  const author = await join()
  const made = async (method: Method, url: string, body?: unknown, environment?: Environment) => {
    const { status, text, body: answer } = await author.request(method, url, body, environment)
    if (status >= 300) throw new Error(`${method} ${url}: ${text}`)
    return answer
  }
  return {
    applicationId,
    author,
    join,
    made,
    topic: async (name: string, environment?: Environment, description = 'A topic') =>
      await made('POST', '/api/topics', { name, description, owner: 'tests' }, environment),
    schema: async (topic: string, schema: unknown, environment?: Environment, more: object = {}) =>
      await made('POST', `/api/schemas/${topic}`, { schema, activate: true, ...more }, environment),
    /** Everything that a deployment may change in an application, as text, to compare it before and after. */
    async everything (): Promise<string> {
      const tables = [
        'topics', 'schemas', 'mappings', 'mapping_subscriptions', 'deployments', 'topic_logs', 'audit_log'
      ] as const
      const parts: unknown[] = []
      for (const table of tables) {
        parts.push(await app.db.selectFrom(table).selectAll().where('application_id', '=', applicationId).execute())
      }
      for (const table of ['mapping_environments', 'mapping_versions'] as const) {
        parts.push(await app.db.selectFrom(table).selectAll().where('mapping_id', 'in', eb =>
          eb.selectFrom('mappings').select('id').where('application_id', '=', applicationId)).execute())
      }
      for (const table of ['deployment_items', 'deployment_approvals', 'deployment_comments'] as const) {
        parts.push(await app.db.selectFrom(table).selectAll().where('deployment_id', 'in', eb =>
          eb.selectFrom('deployments').select('id').where('application_id', '=', applicationId)).execute())
      }
      return JSON.stringify(parts, (_key, value: unknown) =>
        Array.isArray(value) ? value.map(one => JSON.stringify(one)).sort() : value)
    }
  }
}
export type Team = Awaited<ReturnType<typeof team>>

/** A schema of an object with these required text properties. */
export const objectWith = (...names: string[]) => ({
  type: 'object', properties: Object.fromEntries(names.map(name => [name, { type: 'string' }])), required: names
})
