import fp from 'fastify-plugin'
import { LiveStats } from '../src/foundation/observability/live-stats.ts'
import { Collector } from '../src/debugger/series/collector.ts'
import { SeriesRecorder } from '../src/debugger/series/recorder.ts'
import { SeriesStore } from '../src/debugger/series/series-store.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** Recent rates and latencies of this node. */
    liveStats: LiveStats
    metricSeries: {
      collector: Collector
      recorder: SeriesRecorder
    }
  }
}

/**
 * Counts what happens on this node, and stores the counts of each minute in the background. The plugin `dashboard`
 * reads both.
 */
export default fp(async (app) => {
  const { pool, instruments: metrics, node, log } = app
  const liveStats = new LiveStats()
  const collector = new Collector(liveStats)
  const store = new SeriesStore({ pool, metrics, log })
  const recorder = new SeriesRecorder({ pool, collector, store, node, now: app.clock.now, log })
  app.decorate('liveStats', liveStats)
  app.decorate('metricSeries', { collector, recorder })
  app.addHook('onReady', async () => recorder.start())
  // Everything that counts depends on this plugin, and so has stopped before.
  app.addHook('onClose', async () => recorder.close())
}, { name: 'metric-series', dependencies: ['database', 'metrics', 'node'] })
