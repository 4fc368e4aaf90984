import fp from 'fastify-plugin'
import { AlertCounters } from '../src/alerts/counters.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** Counts what only this node observes, for the rules of alerts. */
    alertCounters: AlertCounters
  }
}

/** Stores what this node counts for the rules of alerts, which the plugin `alerts` evaluates. */
export default fp(async (app) => {
  const { pool, log, config: { alerts: { countedPerMs, countsStoredEveryMs } } } = app
  const counters = new AlertCounters({
    pool, now: app.clock.now, countedPerMs, storedEveryMs: countsStoredEveryMs, log
  })
  app.decorate('alertCounters', counters)
  app.addHook('onReady', async () => counters.start())
  app.addHook('onClose', async () => counters.close())
}, { name: 'alert-counters', dependencies: ['config', 'database'] })
