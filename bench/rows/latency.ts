import type { LatenciesLoad, Timing } from '../load/latencies.ts'
import type { PacerLoad } from '../load/pacer.ts'
import type { TransportName } from '../load/subscriber.ts'
import { median, type Measurement } from '../measure.ts'
import { withCast, type Row } from '../row.ts'

const clients = 100
const perSecond = 1000
const secondsARound = 3
const rounds = 5
const topic = 'bench.latency'

/** Measures the time from an event's due time until each of 100 subscribers has it: REST, commit and fan-out. */
export const latency: Row = {
  name: 'latency',
  run: async context => {
    const measured: Measurement[] = []
    for (const transport of ['socket.io', '/ws'] as const) {
      measured.push(...await withCast(context, async cast => {
        const platform = await cast.platform()
        await platform.child.call('registerTopic', topic)
        const subscribers = await cast.load<LatenciesLoad>('load/latencies')
        const pacer = await cast.load<PacerLoad>('load/pacer')
        const where = { url: platform.url, token: platform.token, topic }
        await subscribers.call('gather', { ...where, transport, clients })

        async function round (): Promise<Timing> {
          const published = await pacer.call('publish', { ...where, perSecond, seconds: secondsARound })
          return await subscribers.call('timing', published * clients)
        }
        await round()
        const timings: Timing[] = []
        for (let i = 0; i < rounds; i++) timings.push(await round())
        return [toMeasurement(transport, timings)]
      }))
    }
    return measured
  }
}

function toMeasurement (transport: TransportName, timings: Timing[]): Measurement {
  const of = (name: 'p50' | 'p99' | 'max') => median(timings.map(timing => timing[name]))
  return {
    row: 'latency',
    what: `publish to delivery at ${perSecond.toLocaleString('en')} events/s, ${clients} ${transport} clients: p99`,
    unit: 'ms',
    platform: of('p99'),
    bare: undefined,
    ratio: undefined,
    goal: { most: 20 },
    note: `p50 ${of('p50').toFixed(1)}, max ${of('max').toFixed(1)}`
  }
}
