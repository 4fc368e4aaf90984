import { createHash, timingSafeEqual } from 'node:crypto'
import { AggregatorRegistry, type Registry } from 'prom-client'
import { UnauthorizedError } from '../../errors.ts'

/** Labels whose values are names that tenants give. */
const tenantLabels = ['topic']
const everything = 'all'

export interface ScrapeOptions {
  registry: Registry
  /** Undefined: nobody is asked for one. */
  token: string | undefined
  /** Whether a scrape has full labels where no token is set. */
  isOpen: boolean
}

/**
 * The metrics in Prometheus' text format. A scrape with the token has every label; without it, the same series have
 * `topic="all"`, and what would fall together is added up. Throws UnauthorizedError for another token.
 */
export function createScrape ({ registry, token, isOpen }: ScrapeOptions) {
  return async function scrape (authorization: string | undefined): Promise<string> {
    if (token === undefined) return isOpen ? await registry.metrics() : await anonymousMetrics(registry)
    if (authorization === undefined) return await anonymousMetrics(registry)
    const [, given] = /^Bearer +(\S+) *$/i.exec(authorization) ?? []
    if (given === undefined || !isSame(given, token)) { throw new UnauthorizedError('CREDENTIAL_INVALID', 'This is not the METRICS_TOKEN of the server') }
    return await registry.metrics()
  }
}
export type Scrape = ReturnType<typeof createScrape>

/** In a time that depends on neither. */
function isSame (given: string, wanted: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest()
  return timingSafeEqual(digest(given), digest(wanted))
}

async function anonymousMetrics (registry: Registry): Promise<string> {
  const metrics = registry.getMetricsAsArray().map(({ name }) => registry.getSingleMetric(name) as unknown as Labelled)
  const named = metrics.filter(({ labelNames = [] }) => tenantLabels.some(label => labelNames.includes(label)))
  // Counters and histograms are added up; of gauges, what their aggregator says.
  const merged = AggregatorRegistry.aggregate([
    await Promise.all(named.map(async metric => withoutTenants(await metric.get())))
  ])
  const texts = metrics.map(metric => (named.includes(metric) ? merged : registry).getSingleMetricAsString(metric.name))
  return `${(await Promise.all(texts)).join('\n\n')}\n`
}

/** A metric of prom-client with what its type leaves out. */
interface Labelled { name: string, labelNames?: string[], get (): Promise<Values> }
interface Values { values: { labels: Record<string, string | number> }[] }

function withoutTenants (metric: Values): Values {
  const values = metric.values.map(value => {
    const labels = Object.entries(value.labels).map((
      [name, label]
    ) => [name, tenantLabels.includes(name) ? everything : label])
    return { ...value, labels: Object.fromEntries(labels) as Record<string, string | number> }
  })
  return { ...metric, values }
}
