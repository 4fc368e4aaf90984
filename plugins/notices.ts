import fp from 'fastify-plugin'
import { createNotices, type Notices } from '../src/cluster/invalidations.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** What is changed here and followed elsewhere at once. With one node, nobody hears it. */
    notices: Notices
  }
}

export default fp(async (app) => {
  app.decorate('notices', createNotices(app.cluster?.peers, app.log))
}, { name: 'notices', dependencies: ['bus'] })
