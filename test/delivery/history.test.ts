import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import t from 'tap'
import type { HistoryQuery, RealtimeEvent } from '../../schemas/events.ts'
import { historyScanMax } from '../../schemas/events.ts'
import type { Scope } from '../../schemas/scope.ts'
import { dropExpiredPartitions, ensurePartitions, partitionMs } from '../../src/events/partitions.ts'
import type { EventFact } from '../../src/identity/access/reading.ts'
import { system } from '../../src/identity/audit/origin.ts'
import { createDomain } from '../support/domain.ts'

t.setTimeout(120_000)

const domain = await createDomain(t)
const { topics, history, publisher } = domain.node()
/** The start of a partition, some partitions ago. */
const origin = (Math.floor(Date.now() / partitionMs) - 3) * partitionMs
for (let i = 0; i < 4; i++) await ensurePartitions(domain.pool, origin + i * partitionMs)

async function createTopic (): Promise<Scope> {
  const scope = await domain.createScope()
  await topics.create(scope, { name: 'order', description: 'A test', owner: 'tests' }, system)
  return scope
}

interface Row { time: number, key?: string, payload?: unknown }

/** Writes a log with these events directly, from an offset on. */
async function fill (scope: Scope, rows: readonly Row[], from = 1): Promise<void> {
  await domain.pool.query(
    `
    with log as (
      insert into topic_logs (application_id, environment, topic, epoch, head_offset, head_at)
      values ($1, $2, 'order', 'e', $3, $4) returning *)
    insert into events (
      log_id, "offset", application_id, environment, topic, id, type, source, key, payload, created_at)
    select l.id, $5::bigint + n - 1, $1, $2, 'order', l.id || '-' || n, 'topic.event', 'api', r.key, r.payload, r.time
    from log l, unnest($6::bigint[], $7::text[], $8::json[]) with ordinality as r(time, key, payload, n)`,
    [
      scope.applicationId, scope.environment, from + rows.length - 1, rows.at(-1)?.time ?? 0, from,
      rows.map(({ time }) => time), rows.map(({ key }) => key ?? null),
      rows.map(({ payload = null }) => JSON.stringify(payload))
    ]
  )
}

async function read (scope: Scope, query: HistoryQuery, isSeen?: (event: EventFact) => boolean) {
  const { json, nextCursor } = await history.read(scope, 'order', query, isSeen && { isSeen })
  const events = JSON.parse(json) as RealtimeEvent[]
  return { events, offsets: events.map(({ offset }) => offset), nextCursor }
}

/** Reads all pages. */
async function readAll (scope: Scope, query: HistoryQuery, isSeen?: (event: EventFact) => boolean) {
  const offsets: number[] = []
  let pages = 0
  let next: HistoryQuery = query
  for (;;) {
    const page = await read(scope, next, isSeen)
    offsets.push(...page.offsets)
    pages++
    if (page.nextCursor === undefined) return { offsets, pages }
    next = { ...query, [query.order === 'desc' ? 'before' : 'after']: Number(page.nextCursor) }
  }
}

const upTo = (count: number, from = 1) => Array.from({ length: count }, (_, i) => from + i)

await t.test('pages run in both directions, between bounds, and the last one has no cursor', async t => {
  const scope = await createTopic()
  await publisher.publish(scope, 'order', { events: upTo(7).map(payload => ({ payload })) })
  const cases: [HistoryQuery, number[], string | undefined][] = [
    [{ limit: 3 }, [1, 2, 3], '3'],
    [{ limit: 3, after: 3 }, [4, 5, 6], '6'],
    [{ limit: 3, after: 4 }, [5, 6, 7], undefined],
    [{ limit: 3, after: 6 }, [7], undefined],
    [{ limit: 3, after: 7 }, [], undefined],
    [{ order: 'desc', limit: 3 }, [7, 6, 5], '5'],
    [{ order: 'desc', limit: 3, before: 5 }, [4, 3, 2], '2'],
    [{ order: 'desc', limit: 3, before: 4 }, [3, 2, 1], undefined],
    [{ order: 'desc', limit: 3, before: 1 }, [], undefined],
    [{ after: 2, before: 6 }, [3, 4, 5], undefined],
    [{ after: 2, before: 6, limit: 2 }, [3, 4], '4'],
    [{ order: 'desc', after: 2, before: 6, limit: 2 }, [5, 4], '4'],
    [{ order: 'desc', after: 2, before: 4 }, [3], undefined],
    [{ after: 3, before: 4 }, [], undefined],
    [{ after: Number.MAX_SAFE_INTEGER }, [], undefined],
    [{ before: Number.MAX_SAFE_INTEGER, to: Number.MAX_SAFE_INTEGER, from: 0, limit: 7 }, upTo(7), undefined]
  ]
  for (const [query, offsets, nextCursor] of cases) {
    const page = await read(scope, query)
    t.strictSame([page.offsets, page.nextCursor], [offsets, nextCursor], JSON.stringify(query))
  }
})

await t.test('bounds that exclude each other and invalid filters are refused by name', async t => {
  const scope = await createTopic()
  const cases: [HistoryQuery, string][] = [
    [{ after: 5, before: 5 }, '/before'],
    [{ after: 5, before: 4 }, '/before'],
    [{ from: 2, to: 1 }, '/from'],
    [{ filter: '{' }, '/filter'],
    [{ filter: 'NaN' }, '/filter'],
    [{ filter: '[]' }, '/filter'],
    [{ filter: 'null' }, '/filter'],
    [{ filter: '{"a":{"like":"x"}}' }, '/filter/a/like'],
    [{ filter: '{"a":[1]}' }, '/filter/a'],
    [{ filter: '{"__proto__":1}' }, '/filter/__proto__'],
    [{ filter: `{"a":"${'x'.repeat(9000)}"}` }, '/filter'],
    [{ filter: JSON.stringify(Object.fromEntries(upTo(33).map(n => [n, n]))) }, '/filter']
  ]
  for (const [query, path] of cases) {
    await t.rejects(read(scope, query), { status: 400, code: 'VALIDATION_FAILED', details: [{ path }] }, path)
  }
  await t.rejects(read(scope, { filter: '{"a":{"gt":9007199254740993}}' }), {
    status: 400, code: 'NUMBER_INEXACT', details: [{ path: '/filter/a/gt' }]
  })
})

await t.test('key and filter select events in either direction, and pages follow each other without a gap', async t => {
  const scope = await createTopic()
  await fill(scope, upTo(2000).map(n => ({
    time: origin + n, key: `k${n % 7}`, payload: { n, even: n % 2 === 0 }
  })))
  const select = (test: (n: number) => boolean) => upTo(2000).filter(test)
  const cases: [HistoryQuery, number[]][] = [
    [{ key: 'k3', limit: 10 }, select(n => n % 7 === 3)],
    [{ key: 'none' }, []],
    [{ filter: '{"even":true}', limit: 300 }, select(n => n % 2 === 0)],
    [{ filter: '{"n":{"gt":1990}}' }, select(n => n > 1990)],
    [{ filter: '{"n":{"lt":3}}', limit: 1 }, [1, 2]],
    [{ filter: '{}', limit: 1000 }, upTo(2000)],
    [{ key: 'k3', filter: '{"even":true}', limit: 7 }, select(n => n % 14 === 10)],
    [{ key: 'k3', after: 100, before: 200, limit: 3 }, select(n => n % 7 === 3 && n > 100 && n < 200)],
    [{ key: 'k3', from: origin + 500, to: origin + 600, limit: 4 }, select(n => n % 7 === 3 && n >= 500 && n <= 600)]
  ]
  for (const [query, offsets] of cases) {
    t.strictSame((await readAll(scope, query)).offsets, offsets, JSON.stringify(query))
    t.strictSame(
      (await readAll(scope, { ...query, order: 'desc' })).offsets, offsets.toReversed(), `desc ${JSON.stringify(query)}`
    )
  }
  const isSeen = ({ key }: EventFact) => key !== 'k3'
  t.strictSame((await readAll(scope, { key: 'k3' }, isSeen)).offsets, [], 'a key reveals nothing of hidden events')
  t.strictSame((await readAll(scope, { filter: '{"n":3}' }, isSeen)).offsets, [], 'and neither does a filter')
})

await t.test('one request examines a limited number of events, and returns where to continue', async t => {
  const scope = await createTopic()
  const count = historyScanMax * 2 + 10
  await fill(scope, upTo(count).map(n => ({
    time: origin, key: n === 3 || n === count - 2 ? 'rare' : 'often', payload: { n }
  })))
  for (const query of [{ key: 'rare' }, { filter: JSON.stringify({ n: { in: [3, count - 2] } }) }]) {
    const first = await read(scope, query)
    t.strictSame([first.offsets, first.nextCursor], [[3], String(historyScanMax)])
    const second = await read(scope, { ...query, after: historyScanMax })
    t.strictSame([second.offsets, second.nextCursor], [[], String(historyScanMax * 2)], 'a page may be empty')
    t.strictSame(await readAll(scope, query), { offsets: [3, count - 2], pages: 3 })
    t.strictSame(await readAll(scope, { ...query, order: 'desc' }), { offsets: [count - 2, 3], pages: 3 })
  }
  const large = await createTopic()
  await fill(large, upTo(60).map(() => ({ time: origin, payload: 'x'.repeat(256 * 1024 - 2) })))
  const { offsets, pages } = await readAll(large, { filter: '{"a":1}' })
  t.strictSame(offsets, [])
  t.ok(pages > 1, `${pages} pages, because payloads are large`)
  t.strictSame((await readAll(large, { order: 'desc' })).offsets, upTo(60).toReversed())
})

await t.test('pages of events of any sizes have the documented limits, and none is lost', async t => {
  const pageBytesMax = 4 * 1024 * 1024
  const noise = randomBytes(256 * 1024).toString('base64')
  const size = fc.oneof(
    { weight: 3, arbitrary: fc.integer({ min: 0, max: 300 }) }, fc.integer({ min: 0, max: 250_000 })
  )
  const run = fc.record({
    count: fc.integer({ min: 1, max: 130 }), size, text: fc.constantFrom('x', 'é', noise), isWanted: fc.boolean()
  })
  await fc.assert(
    fc.asyncProperty(
      fc.array(run, { minLength: 1, maxLength: 4 }), fc.integer({ min: 1, max: 300 }), fc.boolean(),
      async (runs, limit, isDescending) => {
        const scope = await createTopic()
        const payloads = runs.flatMap(({ count, size, text, isWanted }) => upTo(count).map(() =>
          ({ isWanted, text: text === noise ? noise.slice(0, size) : text.repeat(size / Buffer.byteLength(text)) })
        ))
        await fill(scope, payloads.map(payload => ({ time: origin, key: String(payload.isWanted), payload })))
        const order = isDescending ? 'desc' : 'asc'
        const offsets = isDescending ? upTo(payloads.length).toReversed() : upTo(payloads.length)
        const sizes = offsets.map(offset => Buffer.byteLength(JSON.stringify(payloads[offset - 1])))
        for (const bytesMax of [1, 1000, 100_000, pageBytesMax]) {
          const { events } = await domain.log.slice(scope, 'order', {
            first: 1, last: payloads.length, order, limit, bytesMax
          })
          t.equal(events.length, fittingCount(sizes, limit, bytesMax), `a slice of ${bytesMax} bytes`)
          if (isDescending) continue
          const page = await domain.log.page(scope, 'order', { limit, bytesMax })
          t.equal(page.length, fittingCount(sizes, limit, bytesMax), `a page of ${bytesMax} bytes`)
        }
        const first = await read(scope, { order, limit })
        const count = fittingCount(sizes, limit, pageBytesMax)
        t.strictSame(first.offsets, offsets.slice(0, count))
        t.equal(first.nextCursor, count < offsets.length ? String(offsets[count - 1]) : undefined)
        t.strictSame((await readAll(scope, { order, limit })).offsets, offsets)
        const wanted = offsets.filter(offset => payloads[offset - 1]?.isWanted)
        for (const query of [{ key: 'true' }, { filter: '{"isWanted":true}' }]) {
          t.strictSame((await readAll(scope, { ...query, order, limit })).offsets, wanted, JSON.stringify(query))
        }
      }
    ),
    { numRuns: 15 }
  )
})

/** Returns how many events a page has: it ends with the event that exceeds the bytes. */
function fittingCount (sizes: readonly number[], limit: number, bytesMax: number): number {
  let before = 0
  let count = 0
  for (const size of sizes.slice(0, limit)) {
    if (before >= bytesMax) break
    before += size
    count++
  }
  return count
}

await t.test('a page by time has exactly the events of that time, across partitions', async t => {
  const gap = fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 3 }), fc.integer({ min: 0, max: partitionMs * 2 }))
  const event = fc.record({ gap })
  await fc.assert(
    fc.asyncProperty(
      fc.array(event, { maxLength: 40 }), fc.integer({ min: 1, max: 50 }),
      fc.array(
        fc.tuple(fc.nat(), fc.integer({ min: -1, max: 1 }), fc.nat(), fc.boolean()), { minLength: 3, maxLength: 6 }
      ),
      async (gaps, from, ranges) => {
        const scope = await createTopic()
        let time = origin
        const rows = gaps.map(({ gap }) => {
          time = Math.min(time + gap, origin + partitionMs * 4 - 1)
          return { time }
        })
        if (rows.length > 0) await fill(scope, rows, from)
        const times = [origin, origin + partitionMs, ...rows.map(({ time }) => time)]
        for (const [one, shift, other, isDescending] of ranges) {
          const bounds = [one, other].map(n => (times[n % times.length] as number) + shift).sort((a, b) => a - b)
          const [since, until] = bounds as [number, number]
          const expected = rows.flatMap(({ time }, i) => time >= since && time <= until ? [from + i] : [])
          const query = { from: since, to: until, order: isDescending ? 'desc' : 'asc', limit: 7 } as const
          t.strictSame(
            (await readAll(scope, query)).offsets, isDescending ? expected.toReversed() : expected,
            JSON.stringify({ since, until })
          )
          const { count, first, last } = await domain.log.span(scope, 'order', { from: since, to: until })
          t.strictSame([count, first, last], [expected.length, expected[0] ?? 0, expected.at(-1) ?? 0])
        }
      }
    ),
    { numRuns: 40 }
  )
})

await t.test('times never decrease along a log, although the clocks of nodes differ', async t => {
  const scope = await createTopic()
  const clock = { ahead: 0 }
  const [right, slow] = [domain.node(), domain.node({ now: () => Date.now() - clock.ahead })]
  const written: RealtimeEvent[] = []
  for (let n = 0; n < 20; n++) {
    clock.ahead = n * 500
    for (const { publisher } of [right, slow]) {
      written.push(JSON.parse(await publisher.publish(scope, 'order', { payload: n })) as RealtimeEvent)
    }
  }
  const times = written.map(({ timestamp }) => timestamp)
  t.strictSame(times, [...times].sort((a, b) => a - b))
  t.strictSame((await read(scope, {})).events, written, 'a publish returns the stored time')
  for (const time of times) {
    t.strictSame((await readAll(scope, { from: time })).offsets, upTo(40).filter(n => (times[n - 1] ?? 0) >= time))
    t.strictSame((await readAll(scope, { to: time })).offsets, upTo(40).filter(n => (times[n - 1] ?? 0) <= time))
  }
  const { rows } = await domain.pool.query<{ head_at: number }>(
    'select head_at from topic_logs where application_id = $1', [scope.applicationId]
  )
  t.equal(rows[0]?.head_at, times.at(-1))
})

await t.test('history begins with the oldest retained event', async t => {
  const scope = await createTopic()
  const rows = upTo(40).map(n => ({ time: origin + Math.floor(n / 10) * partitionMs, key: 'k', payload: { n } }))
  await fill(scope, rows)
  const whole = { fromOffset: 1, from: 0, to: origin + partitionMs * 2 }
  t.strictSame(await domain.log.span(scope, 'order', whole), { count: 29, first: 1, last: 29 })
  await dropExpiredPartitions(domain.pool, origin + partitionMs * 2, partitionMs)
  const retained = upTo(31, 10)
  for (const query of [{}, { from: 0 }, { from: origin, key: 'k' }, { filter: '{"n":{"gt":0}}' }, { after: 3 }]) {
    t.strictSame((await readAll(scope, { ...query, limit: 9 })).offsets, retained, JSON.stringify(query))
    const descending = await readAll(scope, { ...query, limit: 9, order: 'desc' })
    t.strictSame(descending.offsets, retained.toReversed(), JSON.stringify(query))
  }
  t.strictSame((await read(scope, { to: origin })).offsets, [])
  t.strictSame((await read(scope, { before: 5 })).offsets, [])
  t.strictSame(await domain.log.span(scope, 'order', whole), { count: 20, first: 10, last: 29 })
  await domain.pool.query('delete from events where application_id = $1', [scope.applicationId])
  for (const query of [{}, { from: 0 }, { key: 'k' }, { to: Date.now() }]) {
    t.strictSame(await readAll(scope, query), { offsets: [], pages: 1 }, 'a log without retained events')
  }
})
