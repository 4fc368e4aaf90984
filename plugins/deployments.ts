import fp from 'fastify-plugin'
import { createDeployments, type Deployments } from '../src/deployments/deployments.ts'
import { createListenerCount } from '../src/deployments/listener-count.ts'

declare module 'fastify' {
  interface FastifyInstance {
    deployments: Deployments
  }
}

/**
 * Manages the deployments of topics, schemas and mappings from one environment to the next. A foreign key deletes them
 * with their application.
 */
export default fp(async (app) => {
  const { cluster, databaseSources: { changes, sources }, db, hub, schemas } = app
  const countListeners = createListenerCount({ db, hub, peers: cluster.peers })
  app.decorate('deployments', createDeployments({ db, changes, sources, schemas, countListeners }))
}, { name: 'deployments', dependencies: ['cluster', 'database', 'database-sources', 'domain', 'hub'] })
