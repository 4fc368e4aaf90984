import t from 'tap'
import type * as Tap from 'tap'
import { parse } from 'yaml'
import { createParentMetrics } from '../../src/foundation/observability/parent-metrics.ts'
import { build, listen } from '../support/build.ts'
import { read } from '../support/repository.ts'
import { tenant } from '../support/tenant.ts'
import { labelNamesOf } from './label-names.ts'

/* The dashboard and the alert rules only name exported metrics. */

const token = 'a-token-of-the-operator'
const { app } = await build(t, { variables: { METRICS_TOKEN: token } })
const url = await listen(app)
const shop = await tenant(app)
await shop.topic('order.placed')
await shop.publish('order.placed', 1)
await shop.request('POST', '/api/schemas/order.placed', { schema: { type: 'number' } })
await shop.request('POST', '/api/topics/order.placed/events', { payload: 'text' })

/** Returns the label names of every series of a scrape, by name. A metric without series has its declared labels. */
async function scrape (headers: Record<string, string>): Promise<Map<string, Set<string>>> {
  const own = await (await fetch(`${url}/api/metrics/prometheus`, { headers })).text()
  // With workers, a scrape has those of the parent as well.
  const text = `${own}\n${await createParentMetrics().registry.metrics()}`
  const found = new Map<string, Set<string>>()
  for (const [, name = '', type] of text.matchAll(/^# TYPE (\S+) (\S+)$/gm)) {
    const labelNames = labelNamesOf(app.instruments.registry, name)
    for (const suffix of type === 'histogram' ? ['_bucket', '_sum', '_count'] : ['']) {
      found.set(name + suffix, new Set([...labelNames, ...(suffix === '_bucket' ? ['le'] : [])]))
    }
  }
  for (const [, name = '', labels = ''] of text.matchAll(/^([a-z]\w*)(?:\{(.*)\})? \S+$/gm)) {
    for (const [, label = ''] of labels.matchAll(/(\w+)="/g)) found.get(name)?.add(label)
  }
  return found
}
const scrapes = {
  anonymous: await scrape({}),
  'with METRICS_TOKEN': await scrape({ authorization: `Bearer ${token}` })
}
/** Labels that Prometheus adds. */
const added = ['job', 'instance']

const named = (expression: string) => expression.match(/\b(?:realtime|http|process|nodejs)_[a-z0-9_]+/g) ?? []
const labelsOf = (name: string): Set<string> =>
  new Set([...[...Object.values(scrapes)].flatMap(found => [...found.get(name) ?? []]), ...added])

/** Checks that each selector of an expression names a metric of both scrapes and labels that it has. */
function check (t: Tap.Test, what: string, expression: string): void {
  for (const [form, found] of Object.entries(scrapes)) {
    for (
      const [, name = '', matchers = ''] of expression.matchAll(
        /\b((?:realtime|http|process|nodejs)_[a-z0-9_]+)(?:\{([^}]*)\})?/g
      )
    ) {
      const labels = found.get(name)
      t.ok(labels !== undefined, `${what}: ${name} is scraped ${form}`)
      for (const [, label = ''] of matchers.matchAll(/(\w+)\s*(?:=~|!~|!=|=)/g)) {
        t.ok(labels?.has(label) === true || added.includes(label), `${what}: ${name} has the label ${label}`)
      }
    }
  }
}

t.test('every metric of the dashboard is exported, with its labels', async t => {
  const dashboard = JSON.parse(read('docs/grafana/dashboard.json')) as {
    panels: { id: number, type: string, title: string, targets?: { expr: string }[] }[]
    templating: { list: { query: unknown }[] }
  }
  const panels = dashboard.panels.filter(({ type }) => type !== 'row')
  t.ok(panels.length > 15)
  t.equal(new Set(dashboard.panels.map(({ id }) => id)).size, dashboard.panels.length)
  for (const { title, targets = [] } of panels) {
    t.ok(targets.length > 0, title)
    for (const { expr } of targets) {
      t.ok(named(expr).length > 0, expr)
      check(t, title, expr)
      const [name = ''] = named(expr)
      for (const [, label = ''] of expr.matchAll(/by \(([\w, ]+)\)/g)) {
        for (const one of label.split(/,\s*/)) t.ok(labelsOf(name).has(one), `${title}: ${name} has no label ${one}`)
      }
    }
  }
  for (const name of named(JSON.stringify(dashboard.templating))) check(t, 'a variable', name)
})

t.test('every metric of the alert rules is exported, with its labels', async t => {
  const { groups } = parse(read('docs/grafana/alerts.yaml')) as {
    groups: {
      name: string
      rules: {
        alert: string
        expr: string
        labels: { severity: string }
        annotations: { summary: string, description: string }
      }[]
    }[]
  }
  const rules = groups.flatMap(({ rules }) => rules)
  t.ok(rules.length > 8)
  t.equal(new Set(rules.map(({ alert }) => alert)).size, rules.length)
  for (const { alert, expr, labels, annotations } of rules) {
    t.ok(named(expr).length > 0 || expr.startsWith('up{'), expr)
    check(t, alert, expr)
    for (const [, label = ''] of expr.matchAll(/by \(([\w, ]+)\)/g)) {
      for (const one of label.split(/,\s*/)) t.ok(labelsOf(named(expr)[0] ?? '').has(one), `${alert}: no label ${one}`)
    }
    const known = new Set([...named(expr).flatMap(name => [...labelsOf(name)]), ...added, 'value'])
    for (const [, label = ''] of JSON.stringify(annotations).matchAll(/\$labels\.(\w+)/g)) {
      t.ok(known.has(label), `${alert}: no label ${label}`)
    }
    // A scrape without a credential has `topic="all"` only.
    t.notMatch(expr, /topic\s*(=|!)/, alert)
    t.match(labels.severity, /^(info|warning|critical)$/)
    t.ok(annotations.summary !== '' && annotations.description !== '', alert)
  }
})
