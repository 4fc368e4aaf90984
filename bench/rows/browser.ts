import { noChromium, servePages, startChromium } from '../../test/support/chromium.ts'
import type { Verdict } from '../../test/support/teardown.ts'
import { until } from '../../test/support/waiting.ts'
import type { BurstsLoad } from '../load/bursts.ts'
import { median, type Measurement } from '../measure.ts'
import { withCast, type Row } from '../row.ts'

const perSecond = 20_000
const secondsARound = 10
const rounds = 3
const topic = 'bench.browser'

/** The page's figures of one round. `p50` and `p99` are the milliseconds from publishing to the handler. */
interface Seen {
  handled: number
  elapsedMs: number
  longestTaskMs: number
  p50: number
  p99: number
  isInOrder: boolean
}

const source = `
  import { RealtimeClient } from '@realtime-platform/client'
  let last = 0, isInOrder = true, first, latest, longestTaskMs = 0, latencies = []
  const note = list => {
    for (const { duration } of list) longestTaskMs = Math.max(longestTaskMs, duration)
  }
  const observer = new PerformanceObserver(list => note(list.getEntries()))
  observer.observe({ type: 'longtask' })
  globalThis.listen = options => {
    globalThis.client = new RealtimeClient(options)
    return client.topic('${topic}').subscribe(({ offset, payload }) => {
      latest = performance.now()
      first ??= latest
      if (offset !== last + 1) isInOrder = false
      last = offset
      latencies.push(performance.timeOrigin + latest - payload.at)
    }).ready
  }
  globalThis.handled = () => latencies.length
  globalThis.seen = () => {
    note(observer.takeRecords())
    const sorted = Float64Array.from(latencies).sort()
    const at = share => sorted[Math.floor(sorted.length * share)]
    const result = {
      handled: sorted.length, elapsedMs: latest - first, longestTaskMs, p50: at(0.5), p99: at(0.99), isInOrder
    }
    longestTaskMs = 0
    latencies = []
    first = undefined
    return result
  }
`

/**
 * Measures a page that subscribes with the client library while up to 20,000 events are published per second, in
 * batches of 100: what it handles per second, and the longest task of its main thread. The browser reports tasks of
 * more than 50 ms only; 0 stands for none.
 */
export const browser: Row = {
  name: 'browser',
  run: async context => {
    if (noChromium !== false) {
      process.stderr.write(`${noChromium}\n`)
      return []
    }
    const teardowns: (() => Promise<void> | void)[] = []
    const t: Verdict = {
      teardown (work) { teardowns.unshift(work) },
      fail (message) { throw new Error(message) }
    }
    try {
      const pages = await servePages(t)
      const open = await startChromium(t)
      return await withCast(context, async cast => {
        const platform = await cast.platform([], { CORS_ORIGINS: pages.origin })
        await platform.child.call('registerTopic', topic)
        const load = await cast.load<BurstsLoad>('load/bursts')
        const where = { url: platform.url, token: platform.token }
        const tab = await open(await pages.add({ source }))
        await tab.run(`listen(${JSON.stringify(where)})`)

        async function round (): Promise<Seen> {
          const published = await load.call('publish', { ...where, topic, perSecond, seconds: secondsARound })
          await until(async () => await tab.run<number>('handled()') >= published, `${published} events in the page`)
          const seen = await tab.run<Seen>('seen()')
          if (!seen.isInOrder || seen.handled !== published) throw new Error('the page lost or doubled events')
          return seen
        }
        await round()
        const seen: Seen[] = []
        for (let i = 0; i < rounds; i++) seen.push(await round())
        return [toMeasurement(seen)]
      })
    } finally {
      for (const teardown of teardowns) await teardown()
    }
  }
}

function toMeasurement (rounds: readonly Seen[]): Measurement {
  const of = (value: (seen: Seen) => number) => median(rounds.map(value))
  const rate = Math.round(of(({ handled, elapsedMs }) => handled / elapsedMs * 1000)).toLocaleString('en')
  return {
    row: 'browser',
    what: `the longest task of a page at ${perSecond.toLocaleString('en')} events/s published in batches of 100`,
    unit: 'ms',
    platform: Math.max(...rounds.map(({ longestTaskMs }) => longestTaskMs)),
    bare: undefined,
    ratio: undefined,
    goal: { most: 50 },
    note: `${rate} events/s handled, latency p50 ${of(({ p50 }) => p50).toFixed(1)}, p99 ${
      of(({ p99 }) => p99).toFixed(1)} ms`
  }
}
