import type { FastifyInstance, InjectOptions } from 'fastify'
import type { Environment } from '../../schemas/scope.ts'
import { randomId } from '../../src/foundation/ids.ts'

type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'

/** Creates an application with tokens for it, and sends requests with one of them. */
export async function tenant (
  app: FastifyInstance,
  { permissions = ['admin'], environment }: { permissions?: string[], environment?: Environment } = {}
) {
  const applicationId = randomId('app')
  await app.db.insertInto('applications')
    .values({ id: applicationId, name: 'Test', description: '', created_at: Date.now(), updated_at: Date.now() })
    .execute()

  function token (granted = permissions, options: { subject?: string, expiresInS?: number } = {}): string {
    return app.tokens.mint({
      subject: options.subject ?? 'tester',
      applicationId,
      permissions: granted,
      environment,
      expiresInS: options.expiresInS
    }).token
  }
  const request = requester(app, token())

  return {
    applicationId,
    scope: { applicationId, environment: environment ?? 'development' as const },
    token,
    request,
    async topic (name: string): Promise<string> {
      const { status, text } = await request('POST', '/api/topics', { name, description: 'A test', owner: 'tests' })
      if (status !== 201) throw new Error(text)
      return name
    },
    /** In batches of the maximum size of a request. */
    async publish (topic: string, ...payloads: unknown[]) {
      const published: { id: string, offset: number, epoch: string }[] = []
      for (let i = 0; i < payloads.length; i += 1000) {
        const events = payloads.slice(i, i + 1000).map(payload => ({ payload }))
        const { status, body, text } = await request('POST', `/api/topics/${topic}/events`, { events })
        if (status !== 201) throw new Error(text)
        published.push(...body as typeof published)
      }
      return published
    }
  }
}

/** Returns a function that sends requests with a token. */
export function requester (app: FastifyInstance, token: string) {
  return async function request (method: Method, url: string, body?: unknown, headers: Record<string, string> = {}) {
    const options: InjectOptions = { method, url, headers: { authorization: `Bearer ${token}`, ...headers } }
    if (body !== undefined) {
      options.payload = typeof body === 'string' ? body : JSON.stringify(body)
      options.headers = { 'content-type': 'application/json', ...options.headers }
    }
    const response = await app.inject(options)
    const text = response.body
    return {
      status: response.statusCode, headers: response.headers, text,
      body: text === '' || !String(response.headers['content-type']).includes('json') ? undefined : JSON.parse(text)
    }
  }
}

export type Tenant = Awaited<ReturnType<typeof tenant>>
