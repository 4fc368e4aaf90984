import fp from 'fastify-plugin'
import { createDashboard, createPipelineLoad, type DashboardReader } from '../src/debugger/dashboard.ts'

declare module 'fastify' {
  interface FastifyInstance {
    dashboard: DashboardReader
  }
}

/** Adds the figures of the dashboard, from the memory of this node. */
export default fp(async (app) => {
  const { db, eventWriter, hub, liveStats } = app
  app.decorate('dashboard', createDashboard({
    liveStats, hub, writesWaiting: () => eventWriter.health().depth, load: createPipelineLoad({ db })
  }))
}, { name: 'dashboard', dependencies: ['database', 'events', 'hub', 'tracing'] })
