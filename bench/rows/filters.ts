import type { SocketsLoad } from '../load/sockets.ts'
import { alternate, spread } from '../measure.ts'
import { withCast, type Cast, type Row } from '../row.ts'

const clients = 1000
const subscriptionsPerClient = 100
const rounds = 7
const batches = 100
const topic = 'bench.filters'
/** A topic without subscribers. */
const quietTopic = 'bench.quiet'

/**
 * Measures the cost of subscriptions that an event does not match: each client has a hundred filters, one of which
 * matches.
 */
export const filters: Row = {
  name: 'filters',
  run: context =>
    withCast(context, async cast => {
      const pair = await alternate(rounds, await side(cast, subscriptionsPerClient), await side(cast, 1))
      return [{
        row: 'filters',
        what: `single events to 1,000 of ${
          (clients * subscriptionsPerClient).toLocaleString('en')
        } subscriptions, by filter, against 1,000 of 1,000`,
        unit: 'deliveries/CPU s',
        ...pair,
        goal: { ratio: 0.8 },
        note: spread(pair)
      }]
    })
}

async function side (cast: Cast, perClient: number): Promise<() => Promise<number>> {
  const platform = await cast.platform()
  for (const name of [topic, quietTopic]) await platform.child.call('registerTopic', name)
  const load = await cast.load<SocketsLoad>('load/sockets')
  await load.call('gather', {
    url: platform.url, token: platform.token, transport: '/ws', topic, clients, subscriptionsPerClient: perClient
  })
  await load.call('warmUp', quietTopic, 2000)
  return async () => {
    const before = await platform.child.call('cpuSeconds')
    const { deliveries } = await load.call('round', batches, 1)
    return deliveries / (await platform.child.call('cpuSeconds') - before)
  }
}
