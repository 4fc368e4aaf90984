import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type { OwnKey } from '../src/events/intent.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** The request's `Idempotency-Key`, bound to its principal. Undefined if it has none. */
    readonly idempotencyKey: OwnKey | undefined
  }
}

/** Reads the `Idempotency-Key` of requests. */
export default fp(async (app) => {
  app.decorateRequest('idempotencyKey', {
    getter (this: FastifyRequest) {
      const { 'idempotency-key': key } = this.headers
      return typeof key === 'string' ? { owner: this.principal.id, key } : undefined
    }
  })
}, { name: 'idempotency', dependencies: ['admission'] })
