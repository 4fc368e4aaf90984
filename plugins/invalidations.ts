import fp from 'fastify-plugin'
import { createInvalidations, type Invalidations } from '../src/cluster/invalidations.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** Notifies other nodes of changes that they apply at once. With a single node, it does nothing. */
    invalidations: Invalidations
  }
}

/** Notifies the other nodes of changes that they would otherwise find by their periodic queries. */
export default fp(async (app) => {
  app.decorate('invalidations', createInvalidations(app.cluster.peers, app.log))
}, { name: 'invalidations', dependencies: ['cluster'] })
