import type { RequestsLoad } from '../load/requests.ts'
import { alternate, spread, type Measurement } from '../measure.ts'
import { withCast, type Cast, type Row } from '../row.ts'

const connections = 32
// Many short rounds: the difference is smaller than the noise of the machine.
const rounds = 41
const roundSeconds = 1
const topics = 200

/** About 200 bytes of JSON. */
const payload = {
  sessionId: 'sess_0123456789abcdef', status: 'active', participants: 4,
  title: 'The quick brown fox jumps over the lazy dog', tags: ['a', 'b', 'c'],
  owner: { id: 'usr_0123456789abcdef', name: 'Somebody' }
}

/**
 * Measures what storing the metric series takes from publishes to as many topics as a scope has series of: once in each
 * round of a second, which is sixty times as often as a node does it.
 */
export const series: Row = {
  name: 'series',
  run: context =>
    withCast(context, async cast => [
      await measure(cast, { what: 'publish, single events', body: { payload }, eventsARequest: 1 }),
      await measure(cast, {
        what: 'publish, batches of 100',
        body: { events: Array.from({ length: 100 }, () => ({ payload })) }, eventsARequest: 100
      })
    ])
}

async function measure (
  cast: Cast, { what, body, eventsARequest }: { what: string, body: object, eventsARequest: number }
): Promise<Measurement> {
  const names = Array.from({ length: topics }, (_, i) => `bench.series.t${i}`)
  const platform = await cast.platform()
  const load = await cast.load<RequestsLoad>('load/requests')
  for (const name of names) await platform.child.call('registerTopic', name)
  await load.call('aim', {
    url: platform.url,
    token: platform.token,
    method: 'POST',
    paths: names.map(name => `/api/topics/${name}/events`),
    body: JSON.stringify(body),
    connections,
    status: 201,
    contains: '"offset":'
  })
  let published = 0
  /** `work` runs beside the publishes. Only the CPU time of the server counts, because the clients share its cores. */
  const round = async (work: () => Promise<void>): Promise<number> => {
    const before = await platform.child.call('cpuSeconds')
    const [{ requests }] = await Promise.all([load.call('round', roundSeconds), work()])
    published += requests * eventsARequest
    return requests * eventsARequest / (await platform.child.call('cpuSeconds') - before)
  }
  const pair = await alternate(
    rounds, () => round(() => platform.child.call('storeSeries')), () => round(async () => {})
  )
  await platform.child.call('storeSeries')
  const counted = await platform.child.call('seriesTotal')
  if (counted !== published) throw new Error(`${published} events were published, ${counted} counted`)
  return {
    row: 'series',
    what: `${what}, with metric series stored every second or every minute`,
    unit: 'events/CPU s',
    ...pair,
    goal: { ratio: 0.99 },
    note: spread(pair)
  }
}
