import { withCast, type Cast, type Context } from '../row.ts'
import { startDurableRedis, startNats, startRabbitMq } from './brokers.ts'
import { databaseCpu, Field, inTurns, meter, recorded, type Entrant } from './contest.ts'
import type { PublishingLoad, Target } from './load/publishing.ts'
import type { Contest } from './results.ts'
import type { DurableStreamsServer } from './servers/durable-streams.ts'
import { ownVersion, versionOfPackage } from './version.ts'

const rounds = 5
const roundSeconds = 1.5
const topic = 'bench.peers'

interface Shape { id: string, title: string, inFlight: number, batch: number }

const shapes: Shape[] = [
  { id: 'publish', title: 'Durable publish, single events, 50 in flight', inFlight: 50, batch: 1 },
  { id: 'publish-batches', title: 'Durable publish, batches of 100, 8 in flight', inFlight: 8, batch: 100 }
]

/** Compares how fast servers acknowledge events as stored. */
export const comparePublishing = async (context: Context): Promise<Contest[]> => {
  const contests: Contest[] = []
  for (const shape of shapes) contests.push(await withCast(context, cast => compare(context, cast, shape)))
  return contests
}

const compare = (context: Context, cast: Cast, { id, title, inFlight, batch }: Shape): Promise<Contest> =>
  recorded({ id, title, unit: 'events/s', rounds }, async () => {
    const field = new Field()
    const load = async (target: Target) => {
      const child = await cast.load<PublishingLoad>('peers/load/publishing')
      await child.call('aim', target)
      return child
    }
    const work = (child: Awaited<ReturnType<typeof load>>) => () => child.call('round', roundSeconds, inFlight, batch)

    const platform = await cast.platform()
    await platform.child.call('registerTopic', topic)
    const database = await databaseCpu(context)
    const measure = meter(async () => {
      await platform.child.call('settle')
      return await platform.child.call('cpuSeconds') + database()
    })
    let published = 0
    const own = async (name: string, kind: 'rest' | 'rest-minimal' | 'append'): Promise<Entrant> => {
      const child = await load({ kind, topic, url: platform.url, token: platform.token })
      return {
        name,
        version: ownVersion,
        promise: 'after fsync of PostgreSQL (`synchronous_commit=on`), one copy',
        isOurs: true,
        async round () {
          const sample = await measure(work(child))
          published += sample.count
          return sample
        }
      }
    }
    field.entrants.push(await own('platform, REST', 'rest'))
    field.entrants.push(await own('platform, REST, `Prefer: return=minimal`', 'rest-minimal'))
    field.entrants.push(await own('platform, `append` over WebSocket', 'append'))

    for (
      const { name, kind, start } of [
        { name: 'Redis Streams', kind: 'redis', start: startDurableRedis },
        { name: 'RabbitMQ, quorum queue', kind: 'rabbitmq', start: startRabbitMq },
        { name: 'NATS JetStream', kind: 'nats', start: startNats }
      ] as const
    ) {
      const program = await field.start(cast, name, start)
      if (program === undefined) continue
      const { version, promise, url, cpuSeconds } = program
      const child = await load({ kind, url })
      const metered = meter(cpuSeconds)
      field.entrants.push({ name, version, promise, isOurs: false, round: () => cleared(child, metered, work(child)) })
    }

    const streams = await cast.server<DurableStreamsServer>('peers/servers/durable-streams')
    const child = await load({ kind: 'durable-streams', ...await streams.call('start') })
    const metered = meter(() => streams.call('cpuSeconds'))
    field.entrants.push({
      name: 'durable-streams server',
      version: versionOfPackage('@durable-streams/server'),
      promise: 'after `fdatasync` of the file, one copy',
      isOurs: false,
      round: () => cleared(child, metered, work(child))
    })

    const entries = await inTurns(field.entrants, rounds)
    const log = await platform.child.call('logTotals', topic)
    if (new Set([published, log.events, log.distinctOffsets, log.head]).size !== 1) {
      throw new Error(`lost or doubled: ${published} events acknowledged, but ${JSON.stringify(log)}`)
    }
    return { entries, skipped: field.skipped }
  })

/** Runs a round, checks that the server has stored what it acknowledged, and deletes it. */
async function cleared (
  child: { call (method: 'clear'): Promise<number> },
  measure: ReturnType<typeof meter>,
  work: Parameters<ReturnType<typeof meter>>[0]
) {
  const sample = await measure(work)
  const stored = await child.call('clear')
  if (stored !== sample.count) throw new Error(`lost or doubled: ${sample.count} acknowledged, ${stored} stored`)
  return sample
}
