import type { InsertsLoad } from '../load/inserts.ts'
import type { RequestsLoad } from '../load/requests.ts'
import { alternate, spread } from '../measure.ts'
import { withCast, type Row } from '../row.ts'

const batch = 100
const connections = 8
const rounds = 7
const roundSeconds = 1.5
const topic = 'bench.publish'

/** About 200 bytes of JSON. */
const payload = {
  sessionId: 'sess_0123456789abcdef', status: 'active', participants: 4,
  title: 'The quick brown fox jumps over the lazy dog', tags: ['a', 'b', 'c'],
  owner: { id: 'usr_0123456789abcdef', name: 'Somebody' }
}

export const publish: Row = {
  name: 'publish',
  run: context =>
    withCast(context, async cast => {
      const platform = await cast.platform()
      const requests = await cast.load<RequestsLoad>('load/requests')
      const inserts = await cast.server<InsertsLoad>('load/inserts')
      await platform.child.call('registerTopic', topic)
      await requests.call('aim', {
        url: platform.url,
        token: platform.token,
        method: 'POST',
        paths: [`/api/topics/${topic}/events`],
        body: JSON.stringify({ events: Array.from({ length: batch }, () => ({ payload })) }),
        connections,
        status: 201,
        contains: '"offset":'
      })
      await inserts.call('start', context.databaseUrl, JSON.stringify(payload), batch)

      let published = 0
      let inserted = 0
      const pair = await alternate(rounds, async () => {
        const { requests: count, seconds } = await requests.call('round', roundSeconds)
        published += count * batch
        return count * batch / seconds
      }, async () => {
        const { requests: count, seconds } = await inserts.call('round', roundSeconds)
        inserted += count * batch
        return count * batch / seconds
      })

      const log = await platform.child.call('logTotals', topic)
      if (new Set([published, log.events, log.distinctOffsets, log.head]).size !== 1) {
        throw new Error(`lost or doubled: ${published} events acknowledged, but ${JSON.stringify(log)}`)
      }
      const stored = await inserts.call('stored')
      if (stored !== inserted) throw new Error(`lost or doubled: ${inserted} rows acknowledged, ${stored} stored`)
      return [{
        row: 'publish',
        what: `publish, batches of ${batch} by REST`,
        unit: 'events/s',
        ...pair,
        goal: { ratio: 0.5 },
        note: spread(pair)
      }]
    })
}
