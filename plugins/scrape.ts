import fp from 'fastify-plugin'
import { UnauthorizedError } from '../src/errors.ts'
import { createScrape } from '../src/foundation/observability/scrape.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /**
     * Returns the metrics as text, with the labels that the `Authorization` header allows. A wrong token counts against
     * `address`.
     */
    scrape (authorization: string | undefined, address: string): Promise<string>
  }
}

/**
 * Adds the text of the metrics, with the names of topics only for a request with the METRICS_TOKEN. If no token is
 * configured, everyone gets them outside production, and nobody in production.
 */
export default fp(async (app) => {
  const { config: { metrics: { token }, isProduction }, instruments: { registry }, refusalLimit } = app
  const scrape = createScrape({ registry, token, isOpen: !isProduction })
  app.decorate('scrape', async (authorization, address) => {
    try {
      return await scrape(authorization)
    } catch (error) {
      throw error instanceof UnauthorizedError ? refusalLimit.weigh(address, error) : error
    }
  })
}, { name: 'scrape', dependencies: ['config', 'credentials', 'metrics'] })
