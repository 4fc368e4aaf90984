import type { AppendsLoad } from '../load/appends.ts'
import type { RequestsLoad } from '../load/requests.ts'
import { alternate, spread } from '../measure.ts'
import { withCast, type Cast, type Row } from '../row.ts'
import type { BareEvents } from '../servers/bare-events.ts'

const connections = 50
const rounds = 11
const roundSeconds = 1.5
const topic = 'bench.single'

/** About 200 bytes of JSON. */
const payload = {
  sessionId: 'sess_0123456789abcdef', status: 'active', participants: 4,
  title: 'The quick brown fox jumps over the lazy dog', tags: ['a', 'b', 'c'],
  owner: { id: 'usr_0123456789abcdef', name: 'Somebody' }
}

/** Publishes of single events: by REST against one INSERT a request, and over open sockets against REST. */
export const singlePublishes: Row = {
  name: 'single',
  run: context =>
    withCast(context, async cast => {
      const platform = await cast.platform()
      const bare = await cast.server<BareEvents>('servers/bare-events')
      await platform.child.call('registerTopic', topic)
      let published = 0
      let inserted = 0

      const requests = await posts(cast, platform.url, `/api/topics/${topic}/events`, platform.token)
      const inserts = await posts(cast, (await bare.call('start', context.databaseUrl)).url, `/events/${topic}`)
      const byRest = async () => {
        const round = await requests.call('round', roundSeconds)
        published += round.requests
        return round
      }
      const wall = await alternate(rounds, async () => {
        const { requests: count, seconds } = await byRest()
        return count / seconds
      }, async () => {
        const { requests: count, seconds } = await inserts.call('round', roundSeconds)
        inserted += count
        return count / seconds
      })

      const appends = await cast.load<AppendsLoad>('load/appends')
      await appends.call('aim', { url: platform.url, token: platform.token, topic, payload, connections })
      const perCpuSecond = async (work: () => Promise<number>) => {
        const before = await platform.child.call('cpuSeconds')
        const count = await work()
        return count / (await platform.child.call('cpuSeconds') - before)
      }
      const overSockets = await alternate(
        rounds,
        () => perCpuSecond(async () => {
          const { appends: count } = await appends.call('round', roundSeconds)
          published += count
          return count
        }),
        () => perCpuSecond(async () => (await byRest()).requests)
      )

      const log = await platform.child.call('logTotals', topic)
      if (new Set([published, log.events, log.distinctOffsets, log.head]).size !== 1) {
        throw new Error(`lost or doubled: ${published} events acknowledged, but ${JSON.stringify(log)}`)
      }
      const stored = await bare.call('stored')
      if (stored !== inserted) throw new Error(`lost or doubled: ${inserted} rows acknowledged, ${stored} stored`)
      return [{
        row: 'single',
        what: 'publish single events by REST, against one INSERT a request',
        unit: 'events/s',
        ...wall,
        goal: { ratio: 1.8 },
        note: spread(wall)
      }, {
        row: 'single',
        what: 'publish single events over open /ws sockets, against REST',
        unit: 'events/CPU s',
        ...overSockets,
        goal: { ratio: 2 },
        note: spread(overSockets)
      }]
    })
}

async function posts (cast: Cast, url: string, path: string, token?: string) {
  const load = await cast.load<RequestsLoad>('load/requests')
  await load.call('aim', {
    url, token, method: 'POST', paths: [path], body: JSON.stringify({ payload }), connections, status: 201,
    contains: '"sess_0123456789abcdef"'
  })
  return load
}
