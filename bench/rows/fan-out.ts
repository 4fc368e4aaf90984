import type { SocketsLoad } from '../load/sockets.ts'
import type { TransportName } from '../load/subscriber.ts'
import { alternate, spread, type Measurement } from '../measure.ts'
import { withCast, type Cast, type Context, type Row } from '../row.ts'
import type { BareSockets } from '../servers/bare-sockets.ts'

const clients = 1000
const rounds = 7
const topic = 'bench.fanout'
/** A topic without subscribers. */
const quietTopic = 'bench.quiet'

interface Shape {
  row: string
  what: string
  goal: number
  /** Events per request. */
  batch: number
  /** Requests per round. */
  batches: number
  /** With one publisher, the next request waits until every client has the last event. */
  publishers: number
}

export const fanOut: Row = {
  name: 'fanout',
  run: context =>
    compare(context, { row: 'fanout', what: 'single events', goal: 0.95, batch: 1, batches: 100, publishers: 1 })
}

export const burst: Row = {
  name: 'burst',
  run: async context => [
    ...await compare(context, { row: 'burst', what: 'batches of 20', goal: 4, batch: 20, batches: 10, publishers: 1 }),
    ...await compare(context, {
      row: 'burst', what: 'single events as fast as 32 publishers can', goal: 4, batch: 1, batches: 320, publishers: 32
    })
  ]
}

async function compare (context: Context, shape: Shape): Promise<Measurement[]> {
  const measured: Measurement[] = []
  for (const transport of ['socket.io', '/ws'] as const) {
    measured.push(...await withCast(context, cast => compareTransport(cast, transport, shape)))
  }
  return measured
}

async function compareTransport (
  cast: Cast, transport: TransportName, { row, what, goal, batch, batches, publishers }: Shape
): Promise<Measurement[]> {
  const platform = await cast.platform()
  for (const name of [topic, quietTopic]) await platform.child.call('registerTopic', name)
  const bare = await cast.server<BareSockets>('servers/bare-sockets')
  const { url } = await bare.call('start')

  async function side (server: { call(method: 'cpuSeconds'): Promise<number> }, where: { url: string, token: string }) {
    const load = await cast.load<SocketsLoad>('load/sockets')
    await load.call('gather', { ...where, transport, topic, clients }, publishers)
    await load.call('warmUp', quietTopic, 2000)
    return async () => {
      const before = await server.call('cpuSeconds')
      const { deliveries } = await load.call('round', batches, batch)
      return deliveries / (await server.call('cpuSeconds') - before)
    }
  }
  const pair = await alternate(rounds, await side(platform.child, platform), await side(bare, { url, token: 'none' }))
  return [{
    row,
    what: `${what} to ${clients.toLocaleString('en')} ${transport} clients`,
    unit: 'deliveries/CPU s',
    ...pair,
    goal: { ratio: goal },
    note: spread(pair)
  }]
}
