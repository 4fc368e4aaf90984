import t from 'tap'
import { startChild } from '../../bench/children.ts'
import type { PacerLoad } from '../../bench/load/pacer.ts'
import type { RequestsLoad } from '../../bench/load/requests.ts'
import { median } from '../../bench/measure.ts'
import type { PlatformServer } from '../../bench/servers/platform.ts'
import type { Vitals } from '../../bench/servers/usage.ts'
import { createDatabase } from '../support/database.ts'
import { heapArguments } from '../support/node-arguments.ts'
import type { Guests } from './guests.ts'
import { pace } from '../support/waiting.ts'

/*
 * Puts mixed load on one server: published events, merged and read documents, subscribers and channel members that
 * connect and disconnect. Nothing may be lost, and neither memory nor handles may grow. `npm run test:soak` takes 15
 * minutes; SOAK_ROUNDS and SOAK_ROUND_SECONDS change that.
 */

const rounds = Number(process.env['SOAK_ROUNDS'] ?? 2)
const roundSeconds = Number(process.env['SOAK_ROUND_SECONDS'] ?? 2)
t.setTimeout(60_000 + (rounds + 1) * roundSeconds * 2000)

const guestsCount = 60
const eventsPerSecond = 100
const documents = 1000
/**
 * Allowed ratio of memory and handles in the second half to those in the first. In a short run, caches and pools are
 * still filling.
 */
const growthMax = rounds * roundSeconds >= 300 ? 1.1 : 1.4

const mb = (bytes: number) => (bytes / 1e6).toFixed(1)

t.test(`a server under mixed load for ${rounds * roundSeconds} s loses nothing and does not grow`, async t => {
  const databaseUrl = await createDatabase(t)
  const server = await startChild<PlatformServer>('servers/platform', { execArgv: ['--expose-gc', ...heapArguments] })
  t.teardown(() => server.stop())
  const { url, token } = await server.call('start', databaseUrl)
  const topic = await server.call('registerTopic', 'soak.events')
  await server.call('seedDocuments', documents, { status: 'active', participants: 4 })

  const load = await Promise.all([startChild<RequestsLoad>('load/requests'), startChild<RequestsLoad>('load/requests')])
  const pacer = await startChild<PacerLoad>('load/pacer')
  const guests = await startChild<Guests>('../test/soak/guests')
  for (const child of [...load, pacer, guests]) t.teardown(() => child.stop())
  const paths = (suffix: string) =>
    Array.from({ length: documents }, (_, i) => `/api/sync/bench/documents/d${i}${suffix}`)
  const common = { url, token, connections: 4, status: 200, contains: '"status":' }
  const [merging, reading] = load
  await merging.call('aim', { ...common, method: 'PATCH', paths: paths('/merge'), body: '{"data":{"status":"ended"}}' })
  await reading.call('aim', { ...common, method: 'GET', paths: paths('') })
  await guests.call('come', guestsCount, { url, token, topic, channel: 'soak' })

  const measured: Vitals[] = []
  let requests = 0
  let published = 0
  await server.call('vitals')
  // The first round fills caches and pools and does not count.
  for (let round = 0; round <= rounds; round++) {
    const end = performance.now() + roundSeconds * 1000
    const publishing = pacer.call('publish', {
      url, token, topic, perSecond: eventsPerSecond, seconds: roundSeconds - 1
    })
    while (performance.now() < end - 1000) {
      // One second of load, one of rest: a server that is never idle would hide work that it does when idle.
      for (const { requests: count } of await Promise.all(load.map(child => child.call('round', 1)))) requests += count
      await pace(1000)
    }
    published += await publishing
    const vitals = await server.call('vitals')
    if (round > 0) measured.push(vitals)
    t.comment(
      `round ${round}: live ${mb(vitals.liveBytes)} MB, resident ${
        mb(vitals.residentBytes)
      } MB, ${vitals.resources} handles, loop delay p99 ${vitals.loopDelayP99Ms.toFixed(1)} ms`
    )
  }
  const { visits, faults } = await guests.call('leave')
  const totals = await server.call('logTotals', topic)
  t.comment(`${requests} requests, ${published} events published, ${visits} visits`)
  t.same(faults, [], 'no guest missed or doubled an event')
  t.equal(totals.events, published, 'every published event is stored')
  for (const what of ['liveBytes', 'resources'] as const) {
    const middle = measured.length >> 1
    const [first, second] = [
      median(measured.slice(0, middle).map(one => one[what])), median(measured.slice(middle).map(one => one[what]))
    ]
    t.ok(
      second <= first * growthMax,
      `${what}: ${second.toFixed(0)} after ${first.toFixed(0)}, ${(second / first).toFixed(3)}×`
    )
  }
})
