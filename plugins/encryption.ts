import fp from 'fastify-plugin'
import { createEncryption, type Encryption } from '../src/foundation/encryption/encryption.ts'

declare module 'fastify' {
  interface FastifyInstance { encryption: Encryption }
}

/** Encrypts secrets before they are stored. */
export default fp(async (app) => {
  app.decorate('encryption', createEncryption(app.config.encryptionKeys))
}, { name: 'encryption', dependencies: ['config'] })
