import { Type } from '@sinclair/typebox'

export const AsyncApiDocument = Type.Object({
  asyncapi: Type.String({ description: 'The version of AsyncAPI.', examples: ['3.0.0'] }),
  info: Type.Object({
    title: Type.String({ examples: ['Realtime Platform: sockets'] }), version: Type.String({ examples: ['0.1.0'] })
  }, { additionalProperties: true })
}, { additionalProperties: true, description: 'An AsyncAPI 3 document.' })
