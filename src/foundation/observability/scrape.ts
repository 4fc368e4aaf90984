import { createHash, timingSafeEqual } from 'node:crypto'
import { AggregatorRegistry, type Metric, type Registry } from 'prom-client'
import { UnauthorizedError } from '../../errors.ts'

/** Labels whose values tenants choose. */
const tenantLabels = ['topic']
const everything = 'all'

export interface ScrapeOptions {
  registry: Registry
  /** Undefined if no token is configured. */
  token: string | undefined
  /** Whether scrapes get full labels when no token is configured. */
  isOpen: boolean
}

/**
 * Returns the metrics in Prometheus' text format. A scrape with the token has every label; without it, the same series
 * have `topic="all"`, with the values of all topics combined. Throws UnauthorizedError for a wrong token.
 */
export function createScrape ({ registry, token, isOpen }: ScrapeOptions) {
  return async function scrape (authorization: string | undefined): Promise<string> {
    if (token === undefined) return isOpen ? await registry.metrics() : await anonymousMetrics(registry)
    if (authorization === undefined) return await anonymousMetrics(registry)
    const [, given] = /^Bearer +(\S+) *$/i.exec(authorization) ?? []
    if (given === undefined || !isSame(given, token)) {
      throw new UnauthorizedError('CREDENTIAL_INVALID', 'The bearer token is not the METRICS_TOKEN of the server')
    }
    return await registry.metrics()
  }
}
export type Scrape = ReturnType<typeof createScrape>

/** Compares in constant time. */
function isSame (given: string, wanted: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest()
  return timingSafeEqual(digest(given), digest(wanted))
}

async function anonymousMetrics (registry: Registry): Promise<string> {
  const metrics = registry.getMetricsAsArray().flatMap(({ name }) => {
    const metric = registry.getSingleMetric(name)
    return metric === undefined ? [] : { name, metric, isNamed: hasTenants(metric) }
  })
  // Counters and histograms are summed; gauges are combined by their aggregator.
  const merged = AggregatorRegistry.aggregate([
    await Promise.all(
      metrics.filter(({ isNamed }) => isNamed).map(async ({ metric }) => withoutTenants(await metric.get()))
    )
  ])
  const texts = metrics.map(({ name, isNamed }) => (isNamed ? merged : registry).getSingleMetricAsString(name))
  return `${(await Promise.all(texts)).join('\n\n')}\n`
}

/** The types of prom-client omit `labelNames`. */
const hasTenants = ({ labelNames = [] }: Metric & { labelNames?: readonly string[] }): boolean =>
  tenantLabels.some(label => labelNames.includes(label))

interface Values { values: { labels: Partial<Record<string, string | number>> }[] }

function withoutTenants (metric: Values): Values {
  const values = metric.values.map(value => {
    const labels = Object.entries(value.labels).map(([name, label]) => [
      name, tenantLabels.includes(name) ? everything : label
    ])
    return { ...value, labels: Object.fromEntries(labels) as Record<string, string | number> }
  })
  return { ...metric, values }
}
