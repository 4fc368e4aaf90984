import fp from 'fastify-plugin'
import { createAlerts, type Alerts } from '../src/alerts/alerts.ts'
import { AlertEvaluator } from '../src/alerts/evaluator.ts'
import { ownedAlerts } from '../src/alerts/owned-alerts.ts'
import { createRuleSettings, type RuleSettings } from '../src/alerts/rule-settings.ts'

declare module 'fastify' {
  interface FastifyInstance {
    alerts: Alerts
    alertRules: RuleSettings
    alertEvaluator: AlertEvaluator
  }
}

/** Evaluates the rules of alerts, lists and acknowledges alerts, and changes the rules of a scope. */
export default fp(async (app) => {
  const { db, pool, eventWriter: writer, instruments: metrics, log, config: { alerts: settings } } = app
  const evaluator = new AlertEvaluator({
    pool, writer, metrics, node: app.node.id, now: app.clock.now, settings, log
  })
  // Quotas cover all environments. Their alerts belong to production.
  evaluator.readQuotasWith(async () =>
    (await app.quotas.use()).map(({ applicationId, quota, fraction }) => ({
      applicationId, environment: 'production', quota, percent: fraction * 100
    })))
  app.decorate('alerts', createAlerts({ db }))
  app.decorate('alertRules', createRuleSettings({ db }))
  app.decorate('alertEvaluator', evaluator)
  app.applications.registerData(ownedAlerts)
  app.addHook('onReady', async () => evaluator.start())
  app.addHook('preClose', async () => evaluator.close())
}, { name: 'alerts', dependencies: ['config', 'database', 'events', 'metrics', 'node', 'quotas', 'tenancy'] })
