import type { SocketsLoad } from '../load/sockets.ts'
import type { TransportName } from '../load/subscriber.ts'
import { withCast, type Cast, type Context } from '../row.ts'
import type { BareSockets } from '../servers/bare-sockets.ts'
import { startMosquitto, startNats } from './brokers.ts'
import { databaseCpu, Field, inTurns, meter, recorded } from './contest.ts'
import type { AudienceLoad } from './load/audience.ts'
import type { Contest } from './results.ts'
import { ownVersion, versionOfPackage } from './version.ts'

const clients = 1000
const rounds = 5
const topic = 'bench.fanout'
const quietTopic = 'bench.quiet'

interface Shape { id: string, title: string, batches: number, batch: number }

const shapes: Shape[] = [
  { id: 'fanout', title: 'Fan-out of single events to 1,000 clients', batches: 100, batch: 1 },
  { id: 'fanout-bursts', title: 'Fan-out of bursts of 20 to 1,000 clients', batches: 10, batch: 20 }
]

/** Compares what the delivery of an event to many subscribers costs. */
export const compareFanOut = async (context: Context): Promise<Contest[]> => {
  const contests: Contest[] = []
  for (const shape of shapes) contests.push(await withCast(context, cast => compare(context, cast, shape)))
  return contests
}

const compare = (context: Context, cast: Cast, { id, title, batches, batch }: Shape): Promise<Contest> =>
  recorded({ id, title, unit: 'deliveries/s', rounds }, async () => {
    const field = new Field()

    async function sockets (where: { url: string, token: string }, transport: TransportName) {
      const load = await cast.load<SocketsLoad>('load/sockets')
      await load.call('gather', { ...where, transport, topic, clients })
      await load.call('warmUp', quietTopic, 1000)
      return async () => {
        const { deliveries, seconds } = await load.call('round', batches, batch)
        return { count: deliveries, seconds }
      }
    }

    const database = await databaseCpu(context)
    for (const transport of ['/ws', 'socket.io'] as const) {
      const platform = await cast.platform()
      for (const name of [topic, quietTopic]) await platform.child.call('registerTopic', name)
      const work = await sockets(platform, transport)
      const measure = meter(async () => await platform.child.call('cpuSeconds') + database())
      field.entrants.push({
        name: transport === '/ws' ? 'platform, `/ws`' : 'platform, Socket.IO',
        version: ownVersion,
        promise: 'stored with fsync before it is sent; offsets, so a client detects and fills a gap',
        isOurs: true,
        round: () => measure(work)
      })
    }

    const bare = await cast.server<BareSockets>('servers/bare-sockets')
    const bareWork = await sockets({ ...await bare.call('start'), token: 'none' }, 'socket.io')
    const bareMeter = meter(() => bare.call('cpuSeconds'))
    field.entrants.push({
      name: 'bare Socket.IO',
      version: versionOfPackage('socket.io'),
      promise: 'at most once, nothing stored',
      isOurs: false,
      round: () => bareMeter(bareWork)
    })

    for (
      const { name, kind, start } of [
        { name: 'NATS', kind: 'nats', start: startNats },
        { name: 'Mosquitto, QoS 0', kind: 'mqtt', start: startMosquitto }
      ] as const
    ) {
      const program = await field.start(cast, name, start)
      if (program === undefined) continue
      const load = await cast.load<AudienceLoad>('peers/load/audience')
      await load.call('gather', { kind, url: program.url, clients })
      const measure = meter(program.cpuSeconds)
      field.entrants.push({
        name,
        version: program.version,
        promise: 'at most once, nothing stored',
        isOurs: false,
        round: () => measure(() => load.call('round', batches, batch))
      })
    }
    return { entries: await inTurns(field.entrants, rounds), skipped: field.skipped }
  })
