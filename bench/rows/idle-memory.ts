import type { SocketsLoad } from '../load/sockets.ts'
import type { TransportName } from '../load/subscriber.ts'
import { median, type Measurement } from '../measure.ts'
import { withCast, type Cast, type Row } from '../row.ts'
import type { BareSockets } from '../servers/bare-sockets.ts'

const clients = 2000
const rounds = 3
const topic = 'bench.idle'

/** Measures the memory of an idle, subscribed socket: heap and buffers, after a collection. */
export const idleMemory: Row = {
  name: 'idle-memory',
  run: async context => {
    const measured: Measurement[] = []
    for (const transport of ['socket.io', '/ws'] as const) {
      measured.push(...await withCast(context, async cast => {
        const platform = await cast.platform(['--expose-gc'])
        await platform.child.call('registerTopic', topic)
        const bare = await cast.server<BareSockets>('servers/bare-sockets', ['--expose-gc'])
        const { url } = await bare.call('start')
        const pairs: { platform: number, bare: number }[] = []
        for (let i = 0; i < rounds; i++) {
          pairs.push({
            platform: await bytesASocket(cast, platform.child, { url: platform.url, token: platform.token, transport }),
            bare: await bytesASocket(cast, bare, { url, token: 'none', transport })
          })
        }
        const ratios = pairs.map(pair => pair.platform / pair.bare)
        return [{
          row: 'idle-memory',
          what: `an idle ${transport} socket with a subscription, of ${clients.toLocaleString('en')}`,
          unit: 'KiB',
          platform: median(pairs.map(pair => pair.platform)) / 1024,
          bare: median(pairs.map(pair => pair.bare)) / 1024,
          ratio: median(ratios),
          goal: { ratio: 1.3, isMost: true as const },
          note: `${Math.min(...ratios).toFixed(2)}–${Math.max(...ratios).toFixed(2)}`
        }]
      }))
    }
    return measured
  }
}

/**
 * Measured over this many more sockets per round, on top of those before, so that one-time allocations do not count.
 */
async function bytesASocket (
  cast: Cast,
  server: { call(method: 'memoryBytes'): Promise<number> },
  where: { url: string, token: string, transport: TransportName }
): Promise<number> {
  const load = await cast.load<SocketsLoad>('load/sockets')
  await load.call('gather', { ...where, topic, clients: 200 })
  const before = await server.call('memoryBytes')
  await load.call('gather', { ...where, topic, clients })
  return (await server.call('memoryBytes') - before) / clients
}
