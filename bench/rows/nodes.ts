import { startRedis } from '../../test/support/redis.ts'
import type { RequestsLoad } from '../load/requests.ts'
import type { SocketsLoad } from '../load/sockets.ts'
import { alternate, spread, type Measurement } from '../measure.ts'
import { withCast, type Cast, type Row } from '../row.ts'

const clients = 1000
const rounds = 5
const eventsARound = 200
const publishSeconds = 2
const topic = 'bench.nodes'
const payload = { sessionId: 'sess_0123456789abcdef', status: 'active', participants: 4 }
/** At most 1.3 times the cost. */
const goal = { ratio: 0.77 }

type Platform = Awaited<ReturnType<Cast['platform']>>

/** Compares two nodes that share a Redis with a single node: work per second of CPU time, of both nodes together. */
export const nodes: Row = {
  name: 'nodes',
  run: async context => {
    const teardowns: (() => Promise<void> | void)[] = []
    const redis = await startRedis({ teardown: work => { teardowns.unshift(work) } })
    try {
      if (redis === undefined) {
        process.stderr.write('nodes: skipped, redis-server is not installed\n')
        return []
      }
      const { url } = redis
      return [
        ...await withCast(context, cast => compareFanOut(cast, url)),
        ...await withCast(context, cast => comparePublish(cast, url, 1)),
        ...await withCast(context, cast => comparePublish(cast, url, 100))
      ]
    } finally {
      for (const teardown of teardowns) await teardown()
    }
  }
}

async function startSides (cast: Cast, redisUrl: string): Promise<{ one: Platform, two: [Platform, Platform] }> {
  const one = await cast.platform()
  const two: [Platform, Platform] = [
    await cast.platform([], { REDIS_URL: redisUrl }), await cast.platform([], { REDIS_URL: redisUrl })
  ]
  for (const { child } of [one, two[0]]) await child.call('registerTopic', topic)
  return { one, two }
}

const cpuOf = async (platforms: readonly Platform[]) =>
  (await Promise.all(platforms.map(({ child }) => child.call('cpuSeconds')))).reduce((sum, seconds) => sum + seconds, 0)

async function compareFanOut (cast: Cast, redisUrl: string): Promise<Measurement[]> {
  const { one, two } = await startSides(cast, redisUrl)

  /** Clients and publishers are spread over the nodes. */
  async function side (platforms: readonly Platform[]) {
    const [first] = platforms as [Platform]
    const loads = await Promise.all(platforms.map(() => cast.load<SocketsLoad>('load/sockets')))
    for (const [i, load] of loads.entries()) {
      await load.call('gather', {
        url: (platforms[i] as Platform).url, token: first.token, transport: '/ws', topic,
        clients: clients / platforms.length
      })
    }
    return async () => {
      const before = await cpuOf(platforms)
      await Promise.all([
        ...loads.map(load => load.call('publish', eventsARound / loads.length)),
        ...loads.map(load => load.call('reached', eventsARound))
      ])
      return eventsARound * clients / (await cpuOf(platforms) - before)
    }
  }
  const pair = await alternate(rounds, await side(two), await side([one]))
  return [{
    row: 'nodes',
    what: `single events to ${clients.toLocaleString('en')} /ws clients: two nodes against one`,
    unit: 'deliveries/CPU s',
    ...pair,
    goal,
    note: spread(pair)
  }]
}

async function comparePublish (cast: Cast, redisUrl: string, batch: number): Promise<Measurement[]> {
  const { one, two } = await startSides(cast, redisUrl)

  async function side (platforms: readonly Platform[]) {
    const [first] = platforms as [Platform]
    const loads = await Promise.all(platforms.map(() => cast.load<RequestsLoad>('load/requests')))
    for (const [i, load] of loads.entries()) {
      await load.call('aim', {
        url: (platforms[i] as Platform).url,
        token: first.token,
        method: 'POST',
        paths: [`/api/topics/${topic}/events`],
        body: JSON.stringify(
          batch === 1 ? { payload } : { events: Array.from({ length: batch }, () => ({ payload })) }
        ),
        connections: 16,
        status: 201,
        contains: '"offset":'
      })
    }
    return async () => {
      const before = await cpuOf(platforms)
      const done = await Promise.all(loads.map(load => load.call('round', publishSeconds)))
      return done.reduce((sum, { requests }) => sum + requests, 0) * batch / (await cpuOf(platforms) - before)
    }
  }
  const pair = await alternate(rounds, await side(two), await side([one]))
  return [{
    row: 'nodes',
    what: `publishes of ${batch === 1 ? 'single events' : `${batch} events`}: two nodes against one`,
    unit: 'events/CPU s',
    ...pair,
    goal,
    note: spread(pair)
  }]
}
