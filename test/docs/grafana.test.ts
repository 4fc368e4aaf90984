import t from 'tap'
import { parse } from 'yaml'
import { build } from '../build.ts'
import { read } from './generated.ts'

/* The dashboard and the alert rules name what is exported, and nothing else. */

const { app } = await build(t)
const exported = await app.instruments.registry.metrics()
// A histogram has three names. Of a metric that nothing has happened to yet, help and type are there all the same.
const names = new Set([...exported.matchAll(/^# TYPE (\S+) (\S+)$/gm)].flatMap(([, name = '', type]) =>
  type === 'histogram' ? [name, `${name}_bucket`, `${name}_sum`, `${name}_count`] : [name]))
const named = (expression: string) => expression.match(/\b(?:realtime|http|process|nodejs)_[a-z0-9_]+/g) ?? []
const labelsOf = (name: string): Set<string> => {
  const metric = app.instruments.registry.getSingleMetric(name.replace(/_(?:bucket|sum|count)$/, '')) ?? app.instruments.registry.getSingleMetric(name)
  return new Set([...(metric as unknown as { labelNames?: string[] } | undefined)?.labelNames ?? [], 'le', 'job', 'instance'])
}

t.test('every metric of the dashboard is exported, with its labels', async t => {
  const dashboard = JSON.parse(read('docs/grafana/dashboard.json')) as { panels: { id: number, type: string, title: string, targets?: { expr: string }[] }[], templating: { list: { query: unknown }[] } }
  const panels = dashboard.panels.filter(({ type }) => type !== 'row')
  t.ok(panels.length > 15)
  t.equal(new Set(dashboard.panels.map(({ id }) => id)).size, dashboard.panels.length)
  for (const { title, targets = [] } of panels) {
    t.ok(targets.length > 0, title)
    for (const { expr } of targets) {
      t.ok(named(expr).length > 0, expr)
      for (const name of named(expr)) t.ok(names.has(name), `${title}: ${name}`)
      const [name = ''] = named(expr)
      for (const [, label = ''] of expr.matchAll(/by \(([\w, ]+)\)/g)) for (const one of label.split(/,\s*/)) t.ok(labelsOf(name).has(one), `${title}: ${name} has no label ${one}`)
    }
  }
  for (const name of named(JSON.stringify(dashboard.templating))) t.ok(names.has(name), name)
})

t.test('and every metric of the alert rules', async t => {
  const { groups } = parse(read('docs/grafana/alerts.yaml')) as { groups: { name: string, rules: { alert: string, expr: string, labels: { severity: string }, annotations: { summary: string, description: string } }[] }[] }
  const rules = groups.flatMap(({ rules }) => rules)
  t.ok(rules.length > 8)
  t.equal(new Set(rules.map(({ alert }) => alert)).size, rules.length)
  for (const { alert, expr, labels, annotations } of rules) {
    t.ok(named(expr).length > 0, expr)
    for (const name of named(expr)) t.ok(names.has(name), `${alert}: ${name}`)
    const known = new Set([...named(expr).flatMap(name => [...labelsOf(name)]), 'value'])
    for (const [, label = ''] of JSON.stringify(annotations).matchAll(/\$labels\.(\w+)/g)) t.ok(known.has(label), `${alert}: no label ${label}`)
    // A scrape without a credential has `topic="all"` only.
    t.notMatch(expr, /topic\s*(=|!)/, alert)
    t.match(labels.severity, /^(info|warning|critical)$/)
    t.ok(annotations.summary !== '' && annotations.description !== '', alert)
  }
})
