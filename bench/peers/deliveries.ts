import { HttpConnection, encodeRequest } from '../load/http-connection.ts'
import type { Child } from '../children.ts'
import { withCast, type Cast, type Context } from '../row.ts'
import { startDurableRedis } from './brokers.ts'
import { databaseCpu, Field, inTurns, meter, recorded } from './contest.ts'
import type { DeliverySink } from './load/delivery-sink.ts'
import type { Contest, Entry, Losses } from './results.ts'
import type { QueueKind, QueueWorker } from './servers/worker.ts'
import { ownVersion, versionOfPackage } from './version.ts'

const rounds = 5
const deliveries = 10_000
const topic = 'bench.deliveries'
const roundTimeoutMs = 120_000
/** The worker is killed after this share of the deliveries. */
const killedAfter = 0.3
/** Longer than every lease that a queue of the contest has by default, but graphile-worker's four hours. */
const resumeTimeoutMs = 90_000

/** A side of the contest: it gets a backlog of numbered events, then works it off. */
interface Side extends Omit<Entry, 'speed' | 'losses'> {
  /** Starts a worker on the backlog of this side, as a process of its own. */
  worker (): Promise<SideWorker>
}

interface SideWorker {
  fill (first: number, count: number): Promise<void>
  work (): Promise<void>
  /** Stops working when all is recorded. */
  rest (): Promise<void>
  cpuSeconds (): Promise<number>
  kill (): Promise<void>
}

/** Compares signed deliveries by HTTP: how fast they are, and what a killed worker loses or repeats. */
export const compareDeliveries = async (context: Context): Promise<Contest[]> => [
  await withSides(context, (sides, sink, skipped) => recorded({
    id: 'deliveries', title: 'Signed deliveries by HTTP from a backlog', unit: 'deliveries/s', rounds
  }, async () => ({ entries: await rates(sides, sink), skipped }))),
  // With processes of its own: no other node of the platform may take over.
  await withSides(context, (sides, sink, skipped) => recorded({
    id: 'deliveries-kill', title: 'Signed deliveries, with the worker killed in between', unit: 'deliveries', rounds: 1
  }, async () => {
    const entries: Entry[] = []
    for (const side of sides) entries.push({ ...entryOf(side), losses: await killed(side, sink) })
    return { entries, skipped }
  }))
]

const withSides = (
  context: Context,
  work: (sides: Side[], sink: Child<DeliverySink>, skipped: Contest['skipped']) => Promise<Contest>
): Promise<Contest> => withCast(context, async cast => {
  const field = new Field()
  const sink = await cast.load<DeliverySink>('peers/load/delivery-sink')
  const { url } = await sink.call('start')
  return await work(await sidesOf(context, cast, field, url), sink, field.skipped)
})

const entryOf = ({ name, version, promise, isOurs }: Side): Entry => ({ name, version, promise, isOurs })

async function rates (sides: readonly Side[], sink: Child<DeliverySink>): Promise<Entry[]> {
  let first = 1
  const entrants = []
  for (const side of sides) {
    const worker = await side.worker()
    const measure = meter(() => worker.cpuSeconds())
    entrants.push({
      ...entryOf(side),
      round: async () => {
        await sink.call('expect', first, deliveries)
        await worker.fill(first, deliveries)
        first += deliveries
        return await measure(async () => {
          const begin = performance.now()
          await worker.work()
          await sink.call('until', deliveries, roundTimeoutMs)
          const seconds = (performance.now() - begin) / 1000
          await worker.rest()
          const { losses: { lost, doubled } } = await sink.call('totals')
          if (lost + doubled > 0) throw new Error(`${side.name}: ${lost} lost, ${doubled} doubled`)
          return { count: deliveries, seconds }
        })
      }
    })
  }
  return await inTurns(entrants, rounds)
}

/** Kills the first worker in the middle of the backlog, and lets a second one finish it. */
async function killed (side: Side, sink: Child<DeliverySink>): Promise<Losses> {
  const first = 1_000_000
  const worker = await side.worker()
  await sink.call('expect', first, deliveries)
  await worker.fill(first, deliveries)
  await worker.work()
  await sink.call('until', deliveries * killedAfter, roundTimeoutMs)
  await worker.kill()
  const killedAt = Date.now()
  const next = await side.worker()
  await next.work()
  await sink.call('until', deliveries, resumeTimeoutMs)
  await next.rest()
  const { losses, lastAt } = await sink.call('totals')
  return { ...losses, lastAfterMs: lastAt - killedAt }
}

async function sidesOf (context: Context, cast: Cast, field: Field, sink: string): Promise<Side[]> {
  const database = await databaseCpu(context)
  const queue = (kind: QueueKind, name: string, version: string, url: string, storeCpu: () => number): Side => ({
    name,
    version,
    promise: `at least once, jobs in ${kind === 'bullmq' ? 'Redis (`appendfsync always`)' : 'PostgreSQL'}`,
    isOurs: false,
    async worker () {
      const child = await cast.server<QueueWorker>('peers/servers/worker')
      await child.call('start', kind, url)
      return {
        fill: (first, count) => child.call('fill', first, count),
        work: () => child.call('work', sink),
        rest: () => child.call('rest'),
        cpuSeconds: async () => await child.call('cpuSeconds') + storeCpu(),
        kill: () => child.kill()
      }
    }
  })
  const sides: Side[] = [
    platformSide(cast, sink, database),
    queue('graphile-worker', 'graphile-worker', versionOfPackage('graphile-worker'), context.databaseUrl, database),
    queue('pg-boss', 'pg-boss', versionOfPackage('pg-boss'), context.databaseUrl, database)
  ]
  const redis = await field.start(cast, 'BullMQ', startDurableRedis)
  if (redis !== undefined) {
    sides.push(queue('bullmq', 'BullMQ', versionOfPackage('bullmq'), redis.url, redis.cpuSeconds))
  }
  return sides
}

function platformSide (cast: Cast, sink: string, database: () => number): Side {
  return {
    name: 'platform, webhooks',
    version: ownVersion,
    promise: 'at least once, deliveries and a log of attempts in PostgreSQL',
    isOurs: true,
    async worker () {
      const { child, url, token } = await cast.platform()
      await child.call('registerTopic', topic)
      await child.call('makeWebhooks', [sink], topic)
      // The writer reads the webhooks of a topic with the first event, and must not find them held.
      await child.call('publishMany', topic, {}, 1)
      await child.call('webhooksSettled')
      return {
        async fill (first, count) {
          await child.call('holdWebhooks', true)
          await publishNumbers(url, token, first, count)
        },
        work: () => child.call('holdWebhooks', false),
        rest: () => child.call('webhooksSettled'),
        cpuSeconds: async () => await child.call('cpuSeconds') + database(),
        kill: () => child.kill()
      }
    }
  }
}

async function publishNumbers (url: string, token: string, first: number, count: number): Promise<void> {
  const atOnce = 500
  const connection = await HttpConnection.open(url)
  for (let done = 0; done < count; done += atOnce) {
    const events = Array.from({ length: Math.min(atOnce, count - done) }, (_, i) => ({
      payload: {
        n: first + done + i,
        sessionId: 'sess_0123456789abcdef',
        status: 'active',
        participants: 4,
        title: 'The quick brown fox jumps over the lazy dog',
        tags: ['a', 'b', 'c'],
        owner: { id: 'usr_0123456789abcdef', name: 'Somebody' }
      }
    }))
    const { status } = await connection.request(
      encodeRequest(url, 'POST', `/api/topics/${topic}/events`, { token, body: JSON.stringify({ events }) })
    )
    if (status !== 201) throw new Error(`publish answered ${status}`)
  }
  connection.close()
}
