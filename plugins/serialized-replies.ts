import type { Readable } from 'node:stream'
import fp from 'fastify-plugin'

declare module 'fastify' {
  interface FastifyReply {
    /** Sends a body that is already serialised: the schema of the response documents it, and does not change it. */
    sendSerialized (body: string | Readable, contentType?: string): this
  }
}

/** Lets routes send stored JSON, and texts and streams of other types, as they are. */
export default fp(async (app) => {
  app.decorateReply('sendSerialized', function (body, contentType = 'application/json; charset=utf-8') {
    return this.type(contentType).send(body)
  })
}, { name: 'serialized-replies' })
