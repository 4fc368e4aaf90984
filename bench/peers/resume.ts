import { withCast, type Cast, type Context } from '../row.ts'
import { startDurableRedis, startMosquitto, startNats } from './brokers.ts'
import { Field, recorded } from './contest.ts'
import { total } from './ledger.ts'
import type { Course, ResumingLoad, ResumingTarget } from './load/resuming.ts'
import type { Contest, Entry } from './results.ts'
import type { RecoveringSocketIo } from './servers/socket-io.ts'
import { ownVersion, versionOfPackage } from './version.ts'

const runs = 3
const course: Course = { events: 10_000, perSecond: 1000, cuts: 50 }
const topic = 'bench.resume'

interface Consumer extends Omit<Entry, 'speed' | 'losses'> { target: ResumingTarget }

/** Compares what a consumer misses or receives twice when its connection is cut 50 times in 10,000 events. */
export const compareResuming = (context: Context): Promise<Contest[]> => withCast(context, async cast => [
  await recorded({
    id: 'resume', title: 'Resuming: 50 cuts in 10,000 events', unit: 'events', rounds: runs
  }, async () => {
    const field = new Field()
    const consumers = await consumersOf(context, cast, field)
    const losses = consumers.map(() => [] as Awaited<ReturnType<typeof runOnce>>[])
    for (let i = 0; i < runs; i++) {
      for (const [j, { target }] of consumers.entries()) losses[j]?.push(await runOnce(cast, target))
    }
    return {
      entries: consumers.map(({ target: _, ...entry }, i) => ({ ...entry, losses: total(losses[i] ?? []) })),
      skipped: field.skipped
    }
  })
])

async function runOnce (cast: Cast, target: ResumingTarget) {
  const load = await cast.load<ResumingLoad>('peers/load/resuming')
  const losses = await load.call('run', target, course)
  await load.stop()
  return losses
}

async function consumersOf (context: Context, cast: Cast, field: Field): Promise<Consumer[]> {
  const { child, url, token } = await cast.platform()
  await child.call('registerTopic', topic)
  const consumers: Consumer[] = [{
    name: 'platform, client library',
    version: ownVersion,
    promise: 'each event once, in order; a gap is reported',
    isOurs: true,
    target: { kind: 'platform', url, token, topic }
  }]
  const socketIo = async (
    adapter: 'redis-streams' | 'postgres', title: string, store: string, promise: string
  ) => {
    const server = await cast.server<RecoveringSocketIo>('peers/servers/socket-io')
    consumers.push({
      name: `Socket.IO recovery, ${title} adapter`,
      version: `${versionOfPackage('socket.io')}, adapter ${versionOfPackage(`@socket.io/${adapter}-adapter`)}`,
      promise,
      isOurs: false,
      target: { kind: 'socket.io', ...await server.call('start', adapter, store) }
    })
  }
  const redis = await field.start(cast, 'Socket.IO recovery, Redis Streams adapter', startDurableRedis)
  if (redis !== undefined) {
    await socketIo(
      'redis-streams', 'Redis Streams', redis.url, 'missed packets are sent after a reconnect, or `recovered` is false'
    )
  }
  await socketIo(
    'postgres',
    'PostgreSQL',
    context.databaseUrl,
    'at most once: this adapter keeps no packets, so `recovered` is false'
  )
  const mosquitto = await field.start(cast, 'Mosquitto, persistent session', startMosquitto)
  if (mosquitto !== undefined) {
    consumers.push({
      name: 'Mosquitto, persistent session, QoS 1',
      version: mosquitto.version,
      promise: 'at least once',
      isOurs: false,
      target: { kind: 'mqtt', url: mosquitto.url }
    })
  }
  const nats = await field.start(cast, 'NATS JetStream consumer', startNats)
  if (nats !== undefined) {
    consumers.push({
      name: 'NATS JetStream consumer, explicit acks',
      version: nats.version,
      promise: 'at least once',
      isOurs: false,
      target: { kind: 'jetstream', url: nats.url }
    })
  }
  return consumers
}
