import type { Metric, Registry } from 'prom-client'

/** Returns the declared labels of a metric. The types of prom-client omit them. */
export function labelNamesOf (registry: Registry, name: string): readonly string[] {
  const metric: (Metric & { labelNames?: readonly string[] }) | undefined = registry.getSingleMetric(name)
  return metric?.labelNames ?? []
}
