import fp from 'fastify-plugin'
import { Exchange } from '../src/quotas/exchange.ts'
import { createHousekeeping } from '../src/quotas/housekeeping.ts'
import { PublishRates } from '../src/quotas/publish-rates.ts'
import { QuotaGuard } from '../src/quotas/quota-guard.ts'
import { QuotaLimits } from '../src/quotas/quota-limits.ts'
import { QuotaNode } from '../src/quotas/quota-node.ts'
import { readQuotaUse, type QuotaUse } from '../src/quotas/quota-use.ts'
import { createQuotas, type QuotaAdministration } from '../src/quotas/quotas.ts'
import { createUsageReader, type UsageReader } from '../src/quotas/usage-reader.ts'
import { UsageRecorder } from '../src/quotas/usage-recorder.ts'

declare module 'fastify' {
  interface FastifyInstance {
    quotas: {
      administration: QuotaAdministration
      guard: QuotaGuard
      limits: QuotaLimits
      node: QuotaNode
      recorder: UsageRecorder
      usage: UsageReader
      /** Returns how much of its quotas each application uses. */
      use (): Promise<QuotaUse[]>
    }
  }
}

/** Adds the quotas of applications and their usage. The writer, the sockets and the webhooks ask the guard. */
export default fp(async (app) => {
  const { db, pool, log, invalidations, liveStats, instruments: metrics, clock: { now }, node: { id }, config } = app
  const limits = new QuotaLimits({ pool, defaults: config.quotas, log })
  const rates = new PublishRates()
  const recorder = new UsageRecorder({ pool, node: id, now })
  const guard = new QuotaGuard({ limits, rates, recorder, metrics, onPartUsed: () => node.exchangeSoon() })
  const node: QuotaNode = new QuotaNode({
    limits, rates, guard, recorder, liveStats, log, exchange: new Exchange({ pool, node: id }),
    housekeeping: createHousekeeping({ pool, now, log })
  })
  app.decorate('quotas', {
    administration: createQuotas({
      db, limits, invalidations, onChanged: applicationId => node.changed(applicationId)
    }),
    guard,
    limits,
    node,
    recorder,
    usage: createUsageReader({ db, now, flush: applicationId => node.flush(applicationId) }),
    use: () => readQuotaUse(pool, config.quotas)
  })
  invalidations.on('quotas', async applicationId => {
    await limits.refresh()
    node.changedElsewhere(applicationId)
  })
  app.applications.onDeleted(applicationId => {
    for (const part of [limits, rates, guard, recorder]) part.forget(applicationId)
  })
  await limits.start()
  app.addHook('onReady', async () => node.start())
  // The writer has closed before: it depends on this plugin.
  app.addHook('onClose', async () => {
    limits.stop()
    await node.stop()
  })
}, {
  name: 'quotas',
  dependencies: ['config', 'database', 'invalidations', 'metrics', 'node', 'tenancy', 'tracing']
})
