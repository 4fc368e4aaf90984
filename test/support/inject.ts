import type { FastifyInstance, InjectOptions } from 'fastify'

/** Like `app.inject`, but returns the beginning of an endless response. */
export async function inject (app: FastifyInstance, options: InjectOptions) {
  const response = await app.inject({ ...options, payloadAsStream: true })
  const stream = response.stream()
  const isEndless = String(response.headers['content-type']).startsWith('text/event-stream')
  let body = ''
  for await (const part of stream) {
    body += String(part)
    if (isEndless) break
  }
  return { statusCode: response.statusCode, headers: response.headers, body }
}
