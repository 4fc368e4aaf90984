import t from 'tap'
import { sourceProblems } from '../../src/cdc/source/source.ts'
import { errorCodes } from '../../src/errors.ts'
import { labelValues } from '../../src/foundation/observability/metric-labels.ts'
import { createMetrics } from '../../src/foundation/observability/metrics.ts'
import { closeCodes } from '../../src/identity/auth/close-codes.ts'
import { sources } from '../support/repository.ts'
import { generatedPart, table } from './generated.ts'
import { labelNamesOf } from './label-names.ts'

t.test('docs/METRICS.md has every metric of the registry, with its type, labels and help', async t => {
  const { registry } = createMetrics()
  const rows = registry.getMetricsAsArray().map(({ name, type, help }) => [
    `\`${name}\``, String(type), labelNamesOf(registry, name).map(label => `\`${label}\``).join(' ') || '–', help
  ])
  t.ok(rows.length > 0)
  const { found, wanted } = generatedPart(
    'docs/METRICS.md', 'metrics', table(['name', 'type', 'labels', 'meaning'], rows)
  )
  t.equal(found, wanted, 'run the test with UPDATE_DOCS=1 to update it')
})

const declared = Object.entries(labelValues as Record<string, Record<string, readonly string[] | { open: string }>>)

t.test('docs/METRICS.md names every value of every label', async t => {
  const rows = declared.flatMap(([name, labels]) => Object.entries(labels).map(([label, values]) =>
    [`\`${name}\``, `\`${label}\``, 'open' in values ? values.open : values.map(value => `\`${value}\``).join(' ')]))
  const { found, wanted } = generatedPart('docs/METRICS.md', 'labels', table(['metric', 'label', 'values'], rows))
  t.equal(found, wanted, 'run the test with UPDATE_DOCS=1 to update it')
})

t.test('the declared label values are those that the code can emit', async t => {
  // The types of the metrics exclude other values: `inc` accepts declared ones only.
  const registry = createMetrics().registry
  const labelled = registry.getMetricsAsArray().map(({ name }) => [name, labelNamesOf(registry, name)] as const)
    .filter(([, labelNames]) => labelNames.length > 0)
  t.same(
    Object.fromEntries(labelled),
    Object.fromEntries(declared.map(([name, labels]) => [name, Object.keys(labels)]))
  )
  t.same(labelValues.realtime_cdc_reader_failures_total.code, Object.keys(sourceProblems))
  t.same(labelValues.realtime_sockets_closed_total.code, [
    ...Object.values(closeCodes).map(({ reason }) => reason),
    'PEER_VANISHED'
  ])
  t.same(labelValues.realtime_events_rejected_total.code, Object.keys(errorCodes))
  // Every other value occurs in the code outside of the declaration.
  const texts = [...sources('src', 'plugins', 'schemas')].filter(([file]) =>
    file !== 'src/foundation/observability/metric-labels.ts'
  ).map(([, text]) => text).join('\n')
  for (const [name, labels] of declared) {
    for (const values of Object.values(labels)) {
      for (const value of 'open' in values ? [] : values) {
        t.ok(texts.includes(`'${value}'`) || texts.includes(`${value}:`), `${name}: ${value}`)
      }
    }
  }
})

t.test('counters with few label values start at 0 for each', async t => {
  const text = await createMetrics().registry.metrics()
  for (
    const series of [
      'realtime_webhook_deliveries_total{status="dead"} 0', 'realtime_mails_total{kind="reset",outcome="failed"} 0',
      'realtime_queue_depth{queue="webhooks"} 0'
    ]
  ) t.ok(text.includes(`${series}\n`), series)
})
