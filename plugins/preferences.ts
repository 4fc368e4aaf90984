import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { prefersMinimal } from '../src/foundation/http/prefer.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** Whether the client asks for a short response with `Prefer: return=minimal`. */
    readonly prefersMinimal: boolean
  }
}

/** Reads the `Prefer` header of requests (RFC 7240). */
export default fp(async (app) => {
  app.decorateRequest('prefersMinimal', {
    getter (this: FastifyRequest) { return prefersMinimal(this.headers.prefer) }
  })
}, { name: 'preferences' })
