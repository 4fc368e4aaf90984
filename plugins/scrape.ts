import fp from 'fastify-plugin'
import { UnauthorizedError } from '../src/errors.ts'
import { createScrape } from '../src/foundation/observability/scrape.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /**
     * The metrics as text, for whoever has that `Authorization` header. `address`: where a refused token is counted.
     */
    scrape (authorization: string | undefined, address: string): Promise<string>
  }
}

/** Who reads which labels of the metrics. */
export default fp(async (app) => {
  const { config: { metrics: { token }, isProduction }, instruments: { registry }, auth: { refusals } } = app
  const scrape = createScrape({ registry, token, isOpen: !isProduction })
  app.decorate('scrape', async (authorization, address) => {
    try {
      return await scrape(authorization)
    } catch (error) {
      throw error instanceof UnauthorizedError ? refusals.weigh(address, error) : error
    }
  })
}, { name: 'scrape', dependencies: ['auth', 'config', 'metrics'] })
