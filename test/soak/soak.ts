import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { startChild } from '../../bench/children.ts'
import type { PacerLoad } from '../../bench/load/pacer.ts'
import type { RequestsLoad } from '../../bench/load/requests.ts'
import { median } from '../../bench/measure.ts'
import type { PlatformServer } from '../../bench/servers/platform.ts'
import type { Vitals } from '../../bench/servers/usage.ts'
import { createDatabase } from '../build.ts'
import type { Guests } from './guests.ts'

/*
 * node --import tsx test/soak/soak.ts [--minutes 15]
 * Mixed load on one server: published events, merged and read documents, subscribers and channel members that come and go. Prints how
 * memory, handles and the event loop's delay were, minute by minute; ends with 1 when they grew, or when something was lost.
 */

const { values } = parseArgs({ options: { minutes: { type: 'string', default: '15' } } })
const minutes = Number(values.minutes)
const guestsCount = 60
const eventsPerSecond = 100
const documents = 1000
/** What memory and handles may be in the second half, of what they were in the first. */
const growthMax = 1.1

const teardowns: (() => Promise<void> | void)[] = []
const databaseUrl = await createDatabase({ teardown: work => { teardowns.unshift(work) } })
const server = await startChild<PlatformServer>('servers/platform', { execArgv: ['--expose-gc'] })
const { url, token } = await server.call('start', databaseUrl)
const topic = await server.call('registerTopic', 'soak.events')
await server.call('seedDocuments', documents, { status: 'active', participants: 4 })

const load = await Promise.all([startChild<RequestsLoad>('load/requests'), startChild<RequestsLoad>('load/requests')])
const pacer = await startChild<PacerLoad>('load/pacer')
const guests = await startChild<Guests>('../test/soak/guests')
const paths = (suffix: string) => Array.from({ length: documents }, (_, i) => `/api/sync/bench/documents/d${i}${suffix}`)
const common = { url, token, connections: 4, status: 200, contains: '"status":' }
const [merging, reading] = load
await merging.call('aim', { ...common, method: 'PATCH', paths: paths('/merge'), body: '{"data":{"status":"ended"}}' })
await reading.call('aim', { ...common, method: 'GET', paths: paths('') })
await guests.call('come', guestsCount, { url, token, topic, channel: 'soak' })

const measured: Vitals[] = []
let requests = 0
let published = 0
let isFailed = false
try {
  await server.call('vitals')
  // The first minute fills caches and pools, and does not count.
  for (let minute = 0; minute <= minutes; minute++) {
    const end = performance.now() + 60_000
    const publishing = pacer.call('publish', { url, token, topic, perSecond: eventsPerSecond, seconds: 58 })
    while (performance.now() < end - 1000) {
      // A second of load, a second of rest: a server that is never idle would hide what it does when it is.
      for (const round of await Promise.all(load.map(child => child.call('round', 1)))) requests += round.requests
      await sleep(1000)
    }
    published += await publishing
    const vitals = await server.call('vitals')
    if (minute > 0) measured.push(vitals)
    console.log(`minute ${minute}: live ${mb(vitals.liveBytes)} MB, resident ${mb(vitals.residentBytes)} MB, ${vitals.resources} handles, loop delay p99 ${vitals.loopDelayP99Ms.toFixed(1)} ms`)
  }
  const { visits, faults } = await guests.call('leave')
  const totals = await server.call('logTotals', topic)
  console.log(`${requests} requests, ${published} events published, ${totals.events} stored, ${visits} visits`, ...faults)
  isFailed = faults.length > 0 || totals.events !== published || hasGrown('liveBytes') || hasGrown('resources')
} finally {
  for (const child of [guests, pacer, ...load, server]) await child.stop()
  for (const teardown of teardowns) await teardown()
}
process.exitCode = isFailed ? 1 : 0

function mb (bytes: number): string {
  return (bytes / 1e6).toFixed(1)
}

function hasGrown (what: 'liveBytes' | 'resources'): boolean {
  const middle = measured.length >> 1
  const [first, second] = [median(measured.slice(0, middle).map(one => one[what])), median(measured.slice(middle).map(one => one[what]))]
  console.log(`${what}: ${second.toFixed(0)} after ${first.toFixed(0)}, ${(second / first).toFixed(3)}×`)
  return second > first * growthMax
}
