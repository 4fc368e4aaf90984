import { Readable } from 'node:stream'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { matchesTag } from './assets.ts'

/** A text that is generated while it is sent. */
export interface GeneratedText {
  /** A value that changes with the text. */
  digest: string
  type: string
  chunks: AsyncGenerator<string, void>
}

/**
 * Sends a generated text, or 304 if the client already has it. A failure before the first chunk is a refusal; a later
 * one ends the connection before the response is complete.
 */
export async function sendGenerated (
  { headers, method }: FastifyRequest, reply: FastifyReply, { digest, type, chunks }: GeneratedText
) {
  const etag = `"${digest}"`
  reply.headers({ etag, 'cache-control': 'private, no-cache' })
  if (matchesTag(headers['if-none-match'], etag)) return reply.code(304).send()
  reply.type(type)
  if (method === 'HEAD') return reply.send('')
  const first = await chunks.next()
  return reply.send(Readable.from(first.done === true ? [] : continued(first.value, chunks), { objectMode: false }))
}

async function * continued (first: string, rest: AsyncGenerator<string, void>): AsyncGenerator<string, void> {
  yield first
  yield * rest
}
