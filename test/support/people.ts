import type { FastifyInstance, InjectOptions } from 'fastify'
import { randomId } from '../../src/foundation/ids.ts'
import { hashPassword } from '../../src/identity/auth/passwords.ts'

export const password = 'a long pass phrase'
let passwordHash: Promise<string> | undefined

/** Roles as `name` (everywhere) or `[name, applicationId]`. */
export type RoleOf = string | [string, string]

/** A user with a session, and requests with it. */
export async function person (app: FastifyInstance, ...roles: RoleOf[]) {
  const id = randomId('usr')
  const email = `${id}@example.com`
  passwordHash ??= hashPassword(password)
  await app.db.insertInto('users').values({
    id, name: id, email, password_hash: await passwordHash, created_at: Date.now(), updated_at: Date.now()
  }).execute()
  for (const role of roles) {
    const [name, applicationId] = typeof role === 'string' ? [role, null] : role
    await app.db.insertInto('role_assignments').values({
      user_id: id,
      role_id: name.startsWith('role_') ? name : `role_${name}`,
      application_id: applicationId
    }).execute()
  }
  const { token } = await app.sessions.create(id, { address: '127.0.0.1', userAgent: 'tests' })
  return { id, email, token, ...requests(app, token) }
}
export type Person = Awaited<ReturnType<typeof person>>

/** Sends requests with a credential, each from another address, so that limits by address do not apply. */
export function requests (app: FastifyInstance, authorization?: string) {
  async function request (
    method: 'GET' | 'POST' | 'PATCH' | 'PUT' | 'DELETE', url: string, body?: unknown,
    { headers = {}, ...more }: InjectOptions = {}
  ) {
    const response = await app.inject({
      method,
      url,
      remoteAddress: `10.${byte()}.${byte()}.${byte()}`,
      headers: {
        ...(authorization !== undefined && { authorization }),
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...headers
      },
      ...(body !== undefined && { payload: JSON.stringify(body) }),
      ...more
    })
    const text = response.body
    return {
      status: response.statusCode, headers: response.headers, text, body: text === '' ? undefined : JSON.parse(text)
    }
  }
  return {
    request,
    get: (url: string, options?: InjectOptions) => request('GET', url, undefined, options),
    post: (url: string, body?: unknown, options?: InjectOptions) => request('POST', url, body, options),
    patch: (url: string, body: unknown) => request('PATCH', url, body),
    remove: (url: string) => request('DELETE', url)
  }
}

const byte = () => Math.floor(Math.random() * 254) + 1
