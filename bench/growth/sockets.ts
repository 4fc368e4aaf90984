import type { SocketsLoad } from '../load/sockets.ts'
import type { Growth } from './growth.ts'

const topic = 'bench.growth'
const quietTopic = 'bench.quiet'
/** Number of sockets per generator. */
const clientsMax = 5000

/** The largest size stays below the limit of 20,000 open files per process on this machine. */
export const sockets: Growth = {
  name: 'sockets',
  what: 'deliver one event to every /ws socket',
  of: 'sockets',
  unit: 'µs of server CPU a delivery',
  sizes: [10, 100, 1000, 5000, 10_000, 18_000],
  claim: 'flat from 1,000 on; with few sockets the event itself is most of it',
  async prepare (cast) {
    const platform = await cast.platform()
    for (const name of [topic, quietTopic]) await platform.child.call('registerTopic', name)
    const audience = { url: platform.url, token: platform.token, transport: '/ws' as const, topic }
    const loads = [await cast.load<SocketsLoad>('load/sockets')]
    let clients = 0
    return async size => {
      while (clients < size) {
        const more = Math.min(size - clients, clientsMax - clients % clientsMax)
        if (clients > 0 && clients % clientsMax === 0) loads.push(await cast.load<SocketsLoad>('load/sockets'))
        await loads.at(-1)?.call('gather', { ...audience, clients: more })
        clients += more
      }
      const [first] = loads
      await first?.call('warmUp', quietTopic, 500)
      const events = Math.max(20, Math.min(500, Math.round(100_000 / size)))
      const before = await platform.child.call('cpuSeconds')
      await first?.call('publish', events)
      await Promise.all(loads.map(load => load.call('reached', events)))
      return (await platform.child.call('cpuSeconds') - before) * 1e6 / (events * size)
    }
  }
}
