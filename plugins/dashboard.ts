import fp from 'fastify-plugin'
import { createDashboard, createPipelineLoad, type DashboardReader } from '../src/debugger/dashboard.ts'
import { ownedSeries } from '../src/debugger/series/owned-series.ts'
import { createSeriesPart } from '../src/debugger/series/series-part.ts'
import { createSeriesReader, type SeriesReader } from '../src/debugger/series/series-reader.ts'

declare module 'fastify' {
  interface FastifyInstance {
    dashboard: DashboardReader
    /** The history of the dashboard's figures. */
    series: SeriesReader
  }
}

/** Adds the figures of the dashboard, from the memory of this node, and their history, from the database. */
export default fp(async (app) => {
  const { db, pool, eventWriter, hub, liveStats, topics, webhooks: { endpoints } } = app
  app.decorate('dashboard', createDashboard({
    liveStats, hub, writesWaiting: () => eventWriter.health().depth, load: createPipelineLoad({ db })
  }))
  const partOf = createSeriesPart({
    requireTopic: topics.requireTopic, requireWebhook: (scope, id, within) => endpoints.get(scope, id, within)
  })
  app.decorate('series', createSeriesReader({ pool, partOf, now: app.clock.now }))
  app.metricSeries.collector.writesWaiting = () => eventWriter.waiting()
  app.applications.registerData(ownedSeries)
}, {
  name: 'dashboard',
  dependencies: ['database', 'domain', 'events', 'hub', 'metric-series', 'tenancy', 'tracing', 'webhooks']
})
