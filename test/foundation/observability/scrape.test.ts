import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import t from 'tap'
import { createScrape } from '../../../src/foundation/observability/scrape.ts'
import { build } from '../../support/build.ts'
import { tenant } from '../../support/tenant.ts'

/* Labels of metrics: with METRICS_TOKEN all of them, without it none whose values tenants choose. */

const token = 'a-token-of-the-operator'

interface Series { name: string, labels: string, value: number }

/** Throws for a duplicate series, which Prometheus rejects. */
function parse (text: string): Map<string, Series> {
  const series = new Map<string, Series>()
  for (const line of text.split('\n')) {
    if (line === '' || line.startsWith('#')) continue
    const [, name = '', labels = '', value = ''] = /^([a-zA-Z_:]\w*)(?:\{(.*)\})? (\S+)$/.exec(line) ?? []
    const key = `${name}{${labels}}`
    if (name === '' || series.has(key)) throw new Error(`duplicate or malformed series: ${line}`)
    series.set(key, { name, labels, value: Number(value) })
  }
  return series
}

const sum = (series: Map<string, Series>, name: string) =>
  [...series.values()].filter(one => one.name === name).reduce((all, { value }) => all + value, 0)
const topicsOf = (series: Map<string, Series>) =>
  new Set(
    [...series.values()].flatMap(({ labels }) => [...labels.matchAll(/topic="([^"]*)"/g)].map(([, topic]) => topic))
  )

await t.test('with METRICS_TOKEN', async t => {
  const { app } = await build(t, { variables: { METRICS_TOKEN: token } })
  const shop = await tenant(app)
  for (const name of ['merger.acme', 'merger.other']) {
    await shop.topic(name)
    await shop.publish(name, 1, 2, 3)
    await shop.request('POST', `/api/schemas/${name}`, { schema: { type: 'number' } })
    await shop.request('POST', `/api/topics/${name}/events`, { payload: 'text' })
  }
  await shop.request('POST', '/api/sync/secretplans/documents', { id: 'd', data: {} })
  const scrape = (authorization?: string) =>
    app.inject({ url: '/api/metrics/prometheus', headers: authorization === undefined ? {} : { authorization } })

  await t.test('a scrape with the token has every label', async t => {
    for (const scheme of ['Bearer', 'bearer']) {
      const { statusCode, body } = await scrape(`${scheme} ${token}`)
      t.equal(statusCode, 200)
      t.match(parse(body).get('realtime_events_received_total{source="api",topic="merger.acme"}'), { value: 3 })
    }
  })

  await t.test('a scrape without the token has the same series, summed under topic="all"', async t => {
    const [full, anonymous] = [parse((await scrape(`Bearer ${token}`)).body), parse((await scrape()).body)]
    t.same(topicsOf(anonymous), new Set(['all']))
    t.match(anonymous.get('realtime_events_received_total{source="api",topic="all"}'), { value: 6 })
    t.match(anonymous.get('realtime_schema_violations_total{topic="all"}'), { value: 2 })
    const shapes = (series: Map<string, Series>) =>
      new Set(
        [...series.keys()].map(key => key.replace(/topic="[^"]*"/, 'topic')).filter(key =>
          !key.startsWith('nodejs_') && !key.startsWith('http_')
        )
      )
    t.same(shapes(anonymous), shapes(full))
    for (const name of ['realtime_events_received_total', 'realtime_schema_violations_total']) {
      t.equal(sum(anonymous, name), sum(full, name), name)
    }
    t.notMatch((await scrape()).body, /merger|acme/)
  })

  await t.test('no label names a service, an application or a connection', async t => {
    for (const authorization of [undefined, `Bearer ${token}`]) {
      const { body } = await scrape(authorization)
      t.notMatch(body, /secretplans|"app_|"cdc_|connection=|service=/)
    }
    t.match(
      parse((await scrape(`Bearer ${token}`)).body).get(
        'realtime_events_received_total{source="sync",topic="sync.*.created"}'
      ),
      { value: 1 }
    )
  })

  await t.test('any other credential gets 401', async t => {
    const wrong = [
      `Bearer ${token}x`,
      `Bearer ${token.slice(1)}`,
      'Bearer',
      'Bearer ',
      token,
      `Basic ${Buffer.from(`a:${token}`).toString('base64')}`,
      `Bearer ${shop.token()}`,
      `Bearer ${token} ${token}`,
      ''
    ]
    for (const authorization of wrong) {
      const { statusCode, headers, body } = await scrape(authorization)
      t.equal(statusCode, 401, authorization)
      t.match(JSON.parse(body), { code: 'CREDENTIAL_INVALID' })
      t.equal(headers['www-authenticate'], 'Bearer')
      t.notMatch(body, token)
    }
  })
})

await t.test('without METRICS_TOKEN, topic names are exported in development only, with any credential', async t => {
  for (const NODE_ENV of ['development', 'production']) {
    const { app } = await build(t, { variables: { NODE_ENV } })
    const shop = await tenant(app)
    await shop.topic('merger.acme')
    await shop.publish('merger.acme', 1)
    const { body } = await app.inject({ url: '/api/metrics/prometheus', headers: { authorization: 'Bearer whatever' } })
    t.same(topicsOf(parse(body)), new Set([NODE_ENV === 'production' ? 'all' : 'merger.acme']), NODE_ENV)
  }
})

t.test('wrong tokens count against the address', async t => {
  const { app } = await build(t, { variables: { METRICS_TOKEN: token, RATE_LIMIT_UNAUTHORIZED_MAX: '3' } })
  const statuses: number[] = []
  for (let i = 0; i < 5; i++) {
    statuses.push(
      (await app.inject({ url: '/api/metrics/prometheus', headers: { authorization: 'Bearer no' } })).statusCode
    )
  }
  t.same(statuses, [401, 401, 401, 429, 429])
  t.equal(
    (await app.inject({ url: '/api/metrics/prometheus', headers: { authorization: `Bearer ${token}` } })).statusCode,
    200
  )
})

t.test('merged series are combined by their type', async t => {
  const registry = new Registry()
  const registers = [registry]
  const labelNames = ['topic', 'kind']
  const counter = new Counter({ name: 'c', help: 'h', labelNames, registers })
  const histogram = new Histogram({ name: 'd', help: 'h', labelNames, buckets: [1, 10], registers })
  const gauges = (['sum', 'max', 'min', 'average', 'first'] as const).map(aggregator =>
    new Gauge({ name: `g_${aggregator}`, help: 'h', labelNames, registers, aggregator })
  )
  for (const [topic, value] of [['a', 1], ['b', 5], ['c"\n\\', 9]] as const) {
    counter.inc({ topic, kind: 'x' }, value)
    histogram.observe({ topic, kind: 'x' }, value)
    for (const gauge of gauges) gauge.set({ topic, kind: 'x' }, value)
  }
  counter.inc({ topic: 'a', kind: 'y' })
  const text = await createScrape({ registry, token, isOpen: false })(undefined)
  const found = Object.fromEntries(
    [...parse(text)].map(([key, { value }]) => [key.replace(/topic="all",kind="x"/, ''), value])
  )
  t.same(found, {
    'c{}': 15,
    'c{topic="all",kind="y"}': 1,
    'd_bucket{le="1",}': 1,
    'd_bucket{le="10",}': 3,
    'd_bucket{le="+Inf",}': 3,
    'd_sum{}': 15,
    'd_count{}': 3,
    'g_sum{}': 15,
    'g_max{}': 9,
    'g_min{}': 1,
    'g_average{}': 5,
    'g_first{}': 1
  })
  t.equal(text.match(/^# TYPE/gm)?.length, 7)
})
