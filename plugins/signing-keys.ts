import fp from 'fastify-plugin'
import { createKeyAdmin, type KeyAdmin } from '../src/identity/auth/key-admin.ts'
import { SigningKeys } from '../src/identity/auth/signing-keys.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** The keys that sign and verify tokens. */
    signingKeys: SigningKeys
    /** Lists and changes the signing keys. */
    keyAdmin: KeyAdmin
  }
}

/** Adds the signing keys of the platform. The first node creates the first one. */
export default fp(async (app) => {
  const { db, encryption, invalidations } = app
  const keys = new SigningKeys({ db, encryption, log: app.log })
  app.decorate('signingKeys', keys)
  app.decorate('keyAdmin', createKeyAdmin({ db, encryption, keys, onChanged: () => invalidations.announce('keys') }))
  invalidations.on('keys', () => keys.refresh())
  await keys.ensure()
  app.addHook('onReady', async () => keys.start())
  app.addHook('onClose', async () => keys.close())
}, { name: 'signing-keys', dependencies: ['database', 'encryption', 'invalidations'] })
