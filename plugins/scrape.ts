import fp from 'fastify-plugin'
import type { ParentLink } from '../src/cluster/ipc/parent-link.ts'
import { UnauthorizedError } from '../src/errors.ts'
import { createScrape } from '../src/foundation/observability/scrape.ts'
import { joinMetrics } from '../src/foundation/observability/worker-metrics.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /**
     * Returns the metrics as text, with the labels that the `Authorization` header allows. A wrong token counts against
     * `address`. With workers, it has the metrics of all of them.
     */
    scrape (authorization: string | undefined, address: string): Promise<string>
  }
}

const parentAnswerMs = 1000

/**
 * Adds the text of the metrics, with the names of topics only for a request with the METRICS_TOKEN. If no token is
 * configured, everyone gets them outside production, and nobody in production.
 */
export default fp(async (app) => {
  const { config: { metrics: { token }, isProduction }, instruments: { registry }, refusalLimit } = app
  const scrape = createScrape({ registry, token, isOpen: !isProduction })
  const parent = app.worker?.parent
  parent?.on('metrics', async authorization => await scrape(authorization === '' ? undefined : authorization))
  app.decorate('scrape', async (authorization, address) => {
    try {
      const own = await scrape(authorization)
      return parent === undefined ? own : await ofAllWorkers(parent, authorization) ?? own
    } catch (error) {
      throw error instanceof UnauthorizedError ? refusalLimit.weigh(address, error) : error
    }
  })
}, { name: 'scrape', dependencies: ['config', 'credentials', 'metrics', 'worker'] })

/** Asks every worker, this one included, and the parent. Returns undefined if the parent does not answer. */
async function ofAllWorkers (parent: ParentLink, authorization = ''): Promise<string | undefined> {
  const [workers, own] = await Promise.all([
    parent.askWorkers('metrics', authorization), parent.ask('parentMetrics', '', parentAnswerMs)
  ])
  if (workers === undefined) return undefined
  const texts = [...workers, ['parent', own] as const].filter((text): text is [string, string] => text[1] != null)
  return joinMetrics(new Map(texts))
}
