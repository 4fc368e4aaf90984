import t from 'tap'
import { createMetrics } from '../../src/metrics.ts'
import { generatedPart, table } from './generated.ts'

/** What prom-client knows of a metric beside its public type. */
interface Described { name: string, help: string, labelNames: string[], get (): Promise<{ type: string }> }

t.test('docs/METRICS.md has every metric of the registry, with its type, labels and help', async t => {
  const { registry } = createMetrics()
  const metrics = registry.getMetricsAsArray().map(metric => registry.getSingleMetric(metric.name) as unknown as Described)
  const rows = await Promise.all(metrics.map(async metric => {
    const { type } = await metric.get()
    return [`\`${metric.name}\``, type, metric.labelNames.map(label => `\`${label}\``).join(' ') || '–', metric.help]
  }))
  t.ok(rows.length > 0)
  const { found, wanted } = generatedPart('docs/METRICS.md', 'metrics', table(['name', 'type', 'labels', 'meaning'], rows))
  t.equal(found, wanted, 'bring it into line with UPDATE_DOCS=1')
})
