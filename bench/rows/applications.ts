import type { LatenciesLoad } from '../load/latencies.ts'
import type { NoiseLoad, NoiseTotals } from '../load/noise.ts'
import type { PacerLoad } from '../load/pacer.ts'
import { alternate, spread, type Measurement } from '../measure.ts'
import { withCast, type Row } from '../row.ts'

const rounds = 5
const secondsARound = 3
const perSecond = 100
const subscribers = 10
const quietTopic = 'bench.quiet'
const noisyTopic = 'bench.noisy'
const quotaPerSecond = 500
const noise = { connections: 8, batch: 100 }

/** Measures what an application that publishes as fast as it can does to the latency of another one. */
export const applications: Row = {
  name: 'applications',
  run: async context => {
    const measured: Measurement[] = []
    for (const quota of [null, quotaPerSecond]) {
      measured.push(...await withCast(context, async cast => {
        const platform = await cast.platform()
        await platform.child.call('registerTopic', quietTopic)
        const neighbour = await platform.child.call('makeNeighbour', noisyTopic, quota)
        const [quiet, crowd] = await Promise.all([
          cast.load<LatenciesLoad>('load/latencies'), cast.load<LatenciesLoad>('load/latencies')
        ])
        const pacer = await cast.load<PacerLoad>('load/pacer')
        const loud = await cast.load<NoiseLoad>('load/noise')
        const where = { url: platform.url, token: platform.token, topic: quietTopic }
        await quiet.call('gather', { ...where, transport: '/ws', clients: subscribers })
        // The noisy application has subscribers of its own. They only receive.
        await crowd.call('gather', {
          url: platform.url, token: neighbour, topic: noisyTopic, transport: '/ws', clients: 1
        })

        const p99 = async () => {
          const published = await pacer.call('publish', { ...where, perSecond, seconds: secondsARound })
          return (await quiet.call('timing', published * subscribers)).p99
        }
        const totals: NoiseTotals = { published: 0, refused: 0, seconds: 0 }
        const beside = async () => {
          await loud.call('start', { url: platform.url, token: neighbour, topic: noisyTopic, ...noise })
          const found = await p99()
          const { published, refused, seconds } = await loud.call('end')
          totals.published += published
          totals.refused += refused
          totals.seconds += seconds
          return found
        }
        const pair = await alternate(rounds, beside, p99)
        const rate = Math.round(totals.published / totals.seconds).toLocaleString('en')
        return [{
          row: 'applications',
          what: `publish to delivery, p99, beside an application that publishes ${
            quota === null ? 'without a quota' : `with a quota of ${quota} events/s`
          }, against alone`,
          unit: 'ms',
          ...pair,
          goal: { ratio: 1.2, isMost: true as const },
          note: `${spread(pair)}, beside ${rate} events/s`
        }]
      }))
    }
    return measured
  }
}
