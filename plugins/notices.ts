import fp from 'fastify-plugin'
import { createNotices, type Notices } from '../src/cluster/invalidations.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** Notifies other nodes of changes that they apply at once. With a single node, it does nothing. */
    notices: Notices
  }
}

/** Notifies the other nodes of changes that they would otherwise find by their periodic queries. */
export default fp(async (app) => {
  app.decorate('notices', createNotices(app.cluster?.peers, app.log))
}, { name: 'notices', dependencies: ['bus'] })
