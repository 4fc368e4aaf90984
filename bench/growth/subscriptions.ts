import type { SocketsLoad } from '../load/sockets.ts'
import type { Growth } from './growth.ts'

const topic = 'bench.growth'
const quietTopic = 'bench.quiet'
const clients = 100
const events = 300

export const subscriptions: Growth = {
  name: 'subscriptions',
  what: `deliver an event to the ${clients} that match by filter`,
  of: 'subscriptions with filters',
  unit: 'µs of server CPU an event',
  sizes: [100, 1000, 10_000, 100_000],
  claim: 'flat',
  async prepare (cast) {
    const platform = await cast.platform()
    for (const name of [topic, quietTopic]) await platform.child.call('registerTopic', name)
    return async size => {
      const load = await cast.load<SocketsLoad>('load/sockets')
      await load.call('gather', {
        url: platform.url, token: platform.token, transport: '/ws', topic, clients,
        subscriptionsPerClient: size / clients
      })
      await load.call('warmUp', quietTopic, 500)
      await load.call('round', 50, 1)
      const before = await platform.child.call('cpuSeconds')
      await load.call('round', events, 1)
      const cost = (await platform.child.call('cpuSeconds') - before) * 1e6 / events
      await load.call('disperse')
      return cost
    }
  }
}
