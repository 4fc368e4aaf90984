import t from 'tap'
import type { Row, Subject } from '../../../src/debugger/series/row.ts'
import { rollUp } from '../../../src/debugger/series/roll-up.ts'
import { SeriesStore } from '../../../src/debugger/series/series-store.ts'
import { build } from '../../support/build.ts'
import { watched } from '../../support/database.ts'
import { person } from '../../support/people.ts'
import { tenant } from '../../support/tenant.ts'
import { floorTo, hourMs, minuteMs, quarterMs, rowOf, seriesOf, sumOf, valuesOf } from '../../support/series.ts'

/* The series from stored rows: of past minutes, of nodes that are gone, of quarter-hours. */

const { app } = await build(t)
const { pool, instruments: metrics } = app
const log = { warn: () => {}, error: () => {} }
const store = new SeriesStore({ pool, metrics, log })
t.teardown(() => store.close())

let batch = 0
/** Stores rows as a node does, with the totals, which show that it was alive. */
async function storeRows (
  at: number, rows: Row[], { node = 'node_a', totals = {} }: { node?: string, totals?: Partial<Row> } = {}
): Promise<void> {
  store.add([rowOf(undefined, 'scope', '', totals), ...rows], { at, node, batch: batch++ })
  await store.flush()
}
const received = (subject: Subject, count: number, isCut = false) =>
  rowOf(subject, 'scope', '', { received: count, is_cut: isCut })

/** A past hour in which no node has run. */
const past = (hours: number) => floorTo(Date.now(), hourMs) - hours * hourMs
const range = (from: number, minutes: number, step?: number) =>
  `&from=${from}&to=${from + minutes * minuteMs}${step === undefined ? '' : `&step=${step}`}`
const always = async () => true

await t.test('a minute in which no node reported is null, one in which nothing happened is 0', async t => {
  const [shop, idle] = [await tenant(app), await tenant(app)]
  const from = past(3)
  await storeRows(from, [received(shop.scope, 5)])
  await storeRows(from, [], { node: 'node_b' })
  await storeRows(from + 2 * minuteMs, [])
  for (const [metric, active] of [
    ['eventsIn', 5], ['eventsInPerSec', 0.083], ['activeConnections', 0], ['fanoutLatencyP95', 0]
  ] as const) {
    const query = `metric=${metric}${range(from, 4)}`
    t.same(valuesOf(await seriesOf(shop, query)), [active, null, 0, null], metric)
    t.same(valuesOf(await seriesOf(idle, query)), [0, null, 0, null], metric)
  }
  t.same(valuesOf(await seriesOf(shop, `metric=webhookSuccessRate${range(from, 2)}`)), [1, null])
  t.same(valuesOf(await seriesOf(shop, `metric=queueDepth${range(from, 2)}`)), [null, null], 'no node has sampled it')
  t.same(
    (await seriesOf(shop, `metric=eventsIn${range(from, 2)}`)).points,
    [[from, 5], [from + minuteMs, null]]
  )
})

await t.test('percentiles are those of all nodes together', async t => {
  const shop = await tenant(app)
  const from = past(4)
  // 96 durations of 1 ms at one node, and 4 of 1 s at another: p95 is low, although one node has only slow ones.
  const [fast, slow] = [Array.from({ length: 96 }, () => 1), Array.from({ length: 4 }, () => 1000)]
  await storeRows(from, [rowOf(shop.scope, 'scope', '', {}, fast)])
  await storeRows(from, [rowOf(shop.scope, 'scope', '', {}, slow)], { node: 'node_b' })
  const value = async (metric: string, step: number) =>
    valuesOf(await seriesOf(shop, `metric=${metric}${range(from, step / 60, step)}`))[0] ?? NaN
  for (const step of [60, 900]) {
    for (const metric of ['fanoutLatencyP50', 'fanoutLatencyP95']) {
      const latency = await value(metric, step)
      t.ok(latency >= 1 && latency < 1.25, `${metric} ${latency}`)
    }
    const p99 = await value('fanoutLatencyP99', step)
    t.ok(p99 >= 1000 && p99 < 1250, `${p99}`)
  }
})

await t.test('a topic that had no row among the busiest is null, not 0', async t => {
  const shop = await tenant(app)
  const [kept, cut] = [await shop.topic('kept.events'), await shop.topic('cut.events')]
  const from = past(5)
  await storeRows(from, [received(shop.scope, 9, true), rowOf(shop.scope, 'topic', kept, { received: 8 })])
  await storeRows(from + minuteMs, [received(shop.scope, 9)])
  await storeRows(from + 2 * minuteMs, [], { totals: { is_cut: true } })
  const values = async (more: string) => valuesOf(await seriesOf(shop, `metric=eventsIn${more}${range(from, 3)}`))
  t.same(await values(`&topic=${kept}`), [8, 0, null])
  t.same(await values(`&topic=${cut}`), [null, 0, null])
  t.same(await values(''), [9, 9, null])
})

await t.test('waiting items have the largest value of a period, after all nodes are added up', async t => {
  const shop = await tenant(app)
  const from = past(6)
  const waiting = (writes: number, fields: Partial<Row> = {}) =>
    rowOf(shop.scope, 'scope', '', { writes_waiting: writes, ...fields })
  await storeRows(from, [waiting(1)], { totals: { is_sampled: true } })
  await storeRows(from, [waiting(2)], { node: 'node_b' })
  await storeRows(from, [waiting(0, { webhooks_waiting: 4, cdc_lag_ms: 10 })], { node: '' })
  await storeRows(from + minuteMs, [waiting(5, { cdc_lag_ms: 30 })], { totals: { is_sampled: true } })
  const values = async (metric: string, step: number) =>
    valuesOf(await seriesOf(shop, `metric=${metric}${range(from, 15, step)}`)).slice(0, 2)
  t.same(await values('queueDepth', 60), [7, 5])
  t.same(await values('queueDepth', 900), [7])
  t.same(await values('cdcLag', 900), [30])
})

await t.test('minutes become quarter-hours after a day, and each is counted once', async t => {
  const shop = await tenant(app)
  const topic = await shop.topic('old.events')
  const from = floorTo(Date.now(), quarterMs) - 50 * hourMs
  for (let minute = 0; minute < 30; minute++) {
    for (const node of ['node_a', 'node_b']) {
      await storeRows(from + minute * minuteMs, [
        rowOf(shop.scope, 'scope', '', { received: 10, connection_ms: 3 * minuteMs, writes_waiting: minute }, [1, 100]),
        rowOf(shop.scope, 'topic', topic, { received: 7 }, [1]),
        rowOf(shop.scope, 'webhook', 'wh_one', { succeeded: 2, failed: 1 })
      ], { node, totals: { received: 10, is_sampled: true } })
    }
  }
  const query = (metric: string, more = '') => `metric=${metric}${range(from, 30, 900)}${more}`
  const queries = [
    query('eventsIn'), query('eventsIn', `&topic=${topic}`), query('activeConnections'), query('fanoutLatencyP50'),
    query('fanoutLatencyP99'), query('fanoutLatencyP95', `&topic=${topic}`), query('queueDepth')
  ]
  const all = async () => await Promise.all(queries.map(async one => valuesOf(await seriesOf(shop, one))))
  const before = await all()
  t.same(before[0], [300, 300])
  t.same(before[1], [210, 210])
  t.same(before[2], [6, 6])
  t.same(before[6], [28, 58])
  const recent = Date.now() - 2 * hourMs
  await storeRows(floorTo(recent, minuteMs), [received(shop.scope, 1)])

  // It is interrupted before any of its queries, again and again, and runs on two nodes at once.
  let queries_ = 0
  for (let failAt = 1; failAt < 12; failAt++) {
    queries_ = 0
    const breaking = watched(pool, () => {
      if (++queries_ === failAt) throw new Error('interrupted')
    })
    await Promise.allSettled([breaking, pool].map(one => rollUp(Date.now(), { pool: one, mayContinue: always })))
    t.same(await all(), before, `${failAt}`)
  }
  const { rows: [counts] } = await pool.query<{ minutes: number, recent: number, quarters: number }>(
    `select count(*) filter (where at < $2) as minutes, count(*) filter (where at >= $2) as recent,
      (select count(*) from metric_quarters where application_id = $1 and kind = 'scope') as quarters
    from metric_minutes where application_id = $1`,
    [shop.applicationId, recent - minuteMs]
  )
  t.same(counts, { minutes: 0, recent: 1, quarters: 2 })

  // A node whose database was unavailable for a day stores its minutes late.
  await storeRows(from + minuteMs, [
    rowOf(shop.scope, 'scope', '', { received: 1 }, [1000]), rowOf(shop.scope, 'topic', 'new.events', { received: 1 })
  ], { node: 'node_c' })
  t.same(valuesOf(await seriesOf(shop, query('eventsIn'))), [301, 300])
  await rollUp(Date.now(), { pool, mayContinue: always })
  t.same(valuesOf(await seriesOf(shop, query('eventsIn'))), [301, 300])
  t.ok((valuesOf(await seriesOf(shop, query('fanoutLatencyP99')))[0] ?? 0) >= 1000)
})

await t.test('a quarter-hour keeps the busiest 200 topics, and what it lacks is null', async t => {
  const shop = await tenant(app)
  const [rare, busy] = [await shop.topic('rare.events'), await shop.topic('busy.events')]
  const from = floorTo(Date.now(), quarterMs) - 40 * hourMs
  for (let minute = 0; minute < 3; minute++) {
    await storeRows(from + minute * minuteMs, [
      received(shop.scope, 1000),
      rowOf(shop.scope, 'topic', busy, { received: 50 }),
      ...Array.from({ length: 150 }, (_, i) => rowOf(shop.scope, 'topic', `t${minute}.n${i}`, { received: 5 })),
      ...minute === 0 ? [rowOf(shop.scope, 'topic', rare, { received: 1 })] : []
    ])
  }
  await rollUp(Date.now(), { pool, mayContinue: always })
  const { rows: [counts] } = await pool.query<{ count: number }>(
    "select count(*) as count from metric_quarters where application_id = $1 and kind = 'topic'", [shop.applicationId]
  )
  t.equal(counts?.count, 200)
  const value = async (topic: string) =>
    valuesOf(await seriesOf(shop, `metric=eventsIn&topic=${topic}${range(from, 15, 900)}`))
  t.same(await value(busy), [150])
  t.same(await value(rare), [null])
})

await t.test('quarter-hours are kept for 30 days', async t => {
  const shop = await tenant(app)
  const [old, older] = [29, 31].map(days => floorTo(Date.now(), quarterMs) - days * 24 * hourMs) as [number, number]
  for (const at of [old, older]) await storeRows(at, [received(shop.scope, 1)])
  await rollUp(Date.now(), { pool, mayContinue: always })
  const values = async (at: number) => valuesOf(await seriesOf(shop, `metric=eventsIn${range(at, 15)}`))
  t.same(await values(old), [1])
  t.same(await values(older), [null])
})

await t.test('the step is larger where only larger ones are kept, and the default one gives few points', async t => {
  const shop = await tenant(app)
  const now = Date.now()
  const stepOf = async (query: string) => (await seriesOf(shop, `metric=eventsIn&${query}`)).step
  t.equal(await stepOf(''), 60)
  t.equal(await stepOf(`from=${now - 24 * hourMs}&step=60`), 60, 'minutes are kept for a whole day')
  t.equal(await stepOf(`from=${now - 25 * hourMs}&step=300`), 900)
  t.equal(await stepOf(`from=${now - 25 * hourMs}&step=960`), 1800)
  t.equal(await stepOf(`from=${now - 24 * hourMs}`), 300)
  t.equal(await stepOf(`from=${now - 7 * 24 * hourMs}`), 3600)
  t.equal(await stepOf(`from=${now - 30 * 24 * hourMs}`), 10_800)
  for (const query of ['', `from=${now - 7 * 24 * hourMs}`, 'from=0', `from=${now - 3 * hourMs}&step=1800`]) {
    const { points, step } = await seriesOf(shop, `metric=eventsIn&${query}`)
    t.ok(points.length > 0 && points.length <= 301, `${points.length}`)
    const times = points.map(([at]) => at as number)
    t.ok(times.every((at, i) => at === (times[0] as number) + i * step * 1000), 'without gaps')
    t.ok(times.every(at => at % (step * 1000) === 0), 'at multiples of the step')
    t.ok((times.at(-1) ?? 0) < now - now % minuteMs, 'and without the current minute')
  }
  t.same((await seriesOf(shop, `metric=eventsIn&from=${now + hourMs}&to=${now + 2 * hourMs}`)).points, [])
})

await t.test('an invalid request is refused with the reason', async t => {
  const shop = await tenant(app)
  const topic = await shop.topic('some.events')
  const now = Date.now()
  const refusal = async (query: string) => {
    const { status, body } = await shop.request('GET', `/api/metrics/series?${query}`)
    return { status, ...body as { code: string, message: string, details?: { path: string, minimum?: number }[] } }
  }
  for (const query of [
    '', 'metric=', 'metric=nothing', 'metric=eventsIn&metric=eventsOut', 'metric=eventsIn&step=0',
    'metric=eventsIn&step=61', 'metric=eventsIn&step=-60', 'metric=eventsIn&step=1e99', 'metric=eventsIn&step=x',
    'metric=eventsIn&step=2592060', 'metric=eventsIn&from=-1', 'metric=eventsIn&from=1.5',
    'metric=eventsIn&from=x', 'metric=eventsIn&to=', 'metric=eventsIn&to=0',
    `metric=eventsIn&from=${now}&to=${now}`, `metric=eventsIn&from=${now + hourMs}`, 'metric=eventsIn&more=1',
    'metric=eventsIn&topic=', 'metric=eventsIn&topic=%00', "metric=eventsIn&topic=a'b", 'metric=eventsIn&topic=**',
    `metric=activeConnections&topic=${topic}`, 'metric=eventsIn&webhookId=wh_1', 'metric=deliveries&webhookId=%00',
    `metric=deliveries&topic=${topic}`, `metric=deliveries&webhookId=wh_1&topic=${topic}`
  ]) {
    const { status, code } = await refusal(query)
    t.same([status, code], [400, 'VALIDATION_FAILED'], query)
  }
  t.match(await refusal('metric=eventsIn&topic=no.such'), { status: 404, code: 'TOPIC_NOT_FOUND' })
  t.match(await refusal('metric=deliveries&webhookId=wh_none'), { status: 404, code: 'WEBHOOK_NOT_FOUND' })
  for (const [from, step] of [[now - 29 * 24 * hourMs, 60], [now - 30 * 24 * hourMs, 900], [0, 86_400]] as const) {
    const long = await refusal(`metric=eventsIn&from=${from}&step=${step}`)
    t.match(long, { status: 400, code: 'SERIES_TOO_LONG' })
    const enough = long.details?.[0]?.minimum ?? NaN
    t.ok(long.message.includes(`at least ${enough}`))
    const { points } = await seriesOf(shop, `metric=eventsIn&from=${from}&step=${enough}`)
    t.ok(points.length > 700 && points.length <= 1500, `${points.length} points with the suggested step`)
  }
})

await t.test('a caller sees its scope only, and its topics and webhooks only', async t => {
  const [shop, other] = [await tenant(app), await tenant(app)]
  const [open, secret] = [await shop.topic('open.events'), await shop.topic('secret.events')]
  const from = past(8)
  await storeRows(from, [
    received(shop.scope, 3), received({ ...shop.scope, environment: 'production' }, 4),
    rowOf(shop.scope, 'topic', open, { received: 1 }), rowOf(shop.scope, 'topic', secret, { received: 2 })
  ], { totals: { received: 107 } })
  await storeRows(from, [received(other.scope, 100)])
  const query = `/api/metrics/series?metric=eventsIn${range(from, 1)}`
  const asked = async (token: string, more = '', headers: Record<string, string> = {}) => {
    const { status, body } = await shop.request('GET', query + more, undefined, {
      authorization: `Bearer ${token}`, ...headers
    })
    const { points, code } = body as { points?: unknown[], code?: string }
    return points === undefined ? [status, code] : points
  }
  t.same(await asked(shop.token()), [[from, 3]])
  t.same(await asked(shop.token(), '', { 'x-environment': 'production' }), [[from, 4]])
  t.same(await asked(shop.token(), '', { 'x-application-id': other.applicationId }), [403, 'APPLICATION_FORBIDDEN'])
  t.same(await asked(other.token(), `&topic=${secret}`), [404, 'TOPIC_NOT_FOUND'])
  t.same(await asked(shop.token(['events:read'])), [403, 'PERMISSION_DENIED'])
  const limited = shop.token(['metrics:read', 'subscribe:open.*'])
  t.same(await asked(limited, `&topic=${open}`), [[from, 1]])
  t.same(await asked(limited, `&topic=${secret}`), [403, 'PERMISSION_DENIED'])
  t.same(await asked(limited, '&topic=secret.none'), [403, 'PERMISSION_DENIED'], 'nor whether it exists')
  t.same(await asked(limited, '&topic=socket.message'), [403, 'PERMISSION_DENIED'])
  const ofWebhook = '/api/metrics/series?metric=deliveries&webhookId=wh_1'
  const { status, body } = await shop.request('GET', ofWebhook, undefined, { authorization: `Bearer ${limited}` })
  t.same([status, body.code], [403, 'PERMISSION_DENIED'])

  const pinned = app.tokens.mint({
    subject: 'tester', applicationId: shop.applicationId, permissions: ['metrics:read', 'subscribe:**'],
    environment: 'production', expiresInS: undefined
  }).token
  t.same(await asked(pinned), [[from, 4]])
  t.same(await asked(pinned, '', { 'x-environment': 'development' }), [403, 'ENVIRONMENT_FORBIDDEN'])
  t.same(await asked(pinned, `&topic=${open}`), [404, 'TOPIC_NOT_FOUND'])

  const [everything, one, both] = [
    await person(app, 'viewer'), await person(app, ['viewer', shop.applicationId]),
    await person(app, ['viewer', shop.applicationId], ['viewer', other.applicationId])
  ]
  const sum = async (who: typeof one) => {
    const { body } = await who.get(query)
    return sumOf(body)
  }
  t.equal(await sum(one), 7, 'a session without a scope covers every environment of its applications')
  t.equal(await sum(both), 107)
  t.equal(await sum(everything), 107)
  t.match((await one.get(`${query}&topic=${open}`)).body, { code: 'APPLICATION_REQUIRED' })
  t.match((await app.inject({ method: 'GET', url: query })).statusCode, 401)
})
