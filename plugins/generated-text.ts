import type { FastifyReply } from 'fastify'
import fp from 'fastify-plugin'
import { type GeneratedText, sendGenerated } from '../src/foundation/http/generated-text.ts'

declare module 'fastify' {
  interface FastifyReply {
    /** Sends a text while it is generated, or 304 if the client already has it. */
    sendGenerated (text: GeneratedText): Promise<FastifyReply>
  }
}

/** Adds the response of routes whose text is generated while it is sent. */
export default fp(async (app) => {
  app.decorateReply('sendGenerated', async function (this: FastifyReply, text: GeneratedText) {
    return await sendGenerated(this.request, this, text)
  })
}, { name: 'generated-text' })
