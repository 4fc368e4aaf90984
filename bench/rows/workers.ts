import type { RequestsLoad } from '../load/requests.ts'
import type { SocketsLoad } from '../load/sockets.ts'
import { alternate, spread, type Measurement } from '../measure.ts'
import { withCast, type Cast, type Context, type Row } from '../row.ts'
import type { WorkersServer } from '../servers/workers.ts'

const clients = 1000
const rounds = 5
const eventsARound = 200
const publishSeconds = 2
/** Per process. */
const connections = 16
const topic = 'bench.workers'
const payload = { sessionId: 'sess_0123456789abcdef', status: 'active', participants: 4 }
/** At most 1.15 times the cost. */
const goal = { ratio: 0.87 }

/**
 * Compares two workers with a single process: work per second of CPU time, workers and parent together. As in the row
 * `nodes`, each process has the same number of publishing connections, because batches grow with them: with the same
 * number in all, two workers write batches of half the size.
 */
export const workers: Row = {
  name: 'workers',
  run: async context => [
    ...await withCast(context, cast => compareFanOut(cast, context)),
    ...await withCast(context, cast => comparePublish(cast, context, 1)),
    ...await withCast(context, cast => comparePublish(cast, context, 100))
  ]
}

interface Side { url: string, token: string, processes: number, cpuSeconds (): Promise<number> }

async function startSides (cast: Cast, { databaseUrl }: Context): Promise<{ one: Side, two: Side }> {
  const { child, url, token } = await cast.platform()
  await child.call('registerTopic', topic)
  const parent = await cast.server<WorkersServer>('servers/workers')
  return {
    one: { url, token, processes: 1, cpuSeconds: () => child.call('cpuSeconds') },
    two: {
      ...await parent.call('start', databaseUrl, topic), processes: 2,
      cpuSeconds: () => parent.call('cpuSeconds')
    }
  }
}

async function compareFanOut (cast: Cast, context: Context): Promise<Measurement[]> {
  const { one, two } = await startSides(cast, context)

  async function side ({ url, token, cpuSeconds }: Side) {
    const load = await cast.load<SocketsLoad>('load/sockets')
    await load.call('gather', { url, token, transport: '/ws', topic, clients })
    return async () => {
      const before = await cpuSeconds()
      await Promise.all([load.call('publish', eventsARound), load.call('reached', eventsARound)])
      return eventsARound * clients / (await cpuSeconds() - before)
    }
  }
  const pair = await alternate(rounds, await side(two), await side(one))
  return [{
    row: 'workers',
    what: `single events to ${clients.toLocaleString('en')} /ws clients: two workers against one process`,
    unit: 'deliveries/CPU s',
    ...pair,
    goal,
    note: spread(pair)
  }]
}

async function comparePublish (cast: Cast, context: Context, batch: number): Promise<Measurement[]> {
  const { one, two } = await startSides(cast, context)

  async function side ({ url, token, processes, cpuSeconds }: Side) {
    const load = await cast.load<RequestsLoad>('load/requests')
    await load.call('aim', {
      url,
      token,
      method: 'POST',
      paths: [`/api/topics/${topic}/events`],
      body: JSON.stringify(
        batch === 1 ? { payload } : { events: Array.from({ length: batch }, () => ({ payload })) }
      ),
      connections: connections * processes,
      status: 201,
      contains: '"offset":'
    })
    return async () => {
      const before = await cpuSeconds()
      const { requests } = await load.call('round', publishSeconds)
      return requests * batch / (await cpuSeconds() - before)
    }
  }
  const pair = await alternate(rounds, await side(two), await side(one))
  return [{
    row: 'workers',
    what: `publishes of ${batch === 1 ? 'single events' : `${batch} events`}: two workers against one process`,
    unit: 'events/CPU s',
    ...pair,
    goal,
    note: spread(pair)
  }]
}
