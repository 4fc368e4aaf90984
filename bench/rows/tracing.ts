import type { RequestsLoad } from '../load/requests.ts'
import { alternate, spread, type Measurement } from '../measure.ts'
import { withCast, type Cast, type Row } from '../row.ts'

const connections = 32
const rounds = 25
const roundSeconds = 0.7
const topic = 'bench.traced'

/** About 200 bytes of JSON. */
const payload = {
  sessionId: 'sess_0123456789abcdef', status: 'active', participants: 4,
  title: 'The quick brown fox jumps over the lazy dog', tags: ['a', 'b', 'c'],
  owner: { id: 'usr_0123456789abcdef', name: 'Somebody' }
}

/** Measures the cost of tracing every event of a publish: the platform with and without traces, in turn. */
export const tracing: Row = {
  name: 'tracing',
  run: context =>
    withCast(context, async cast => [
      await measure(cast, { what: 'publish, single events, all traced or none', body: { payload }, eventsARequest: 1 }),
      await measure(cast, {
        what: 'publish, batches of 100, all traced or none',
        body: { events: Array.from({ length: 100 }, () => ({ payload })) }, eventsARequest: 100
      })
    ])
}

async function measure (
  cast: Cast, { what, body, eventsARequest }: { what: string, body: object, eventsARequest: number }
): Promise<Measurement> {
  const sides = await Promise.all(['1', '0'].map(async sample => {
    const platform = await cast.platform([], { TRACE_SAMPLE: sample })
    const load = await cast.load<RequestsLoad>('load/requests')
    await platform.child.call('registerTopic', topic)
    await load.call('aim', {
      url: platform.url,
      token: platform.token,
      method: 'POST',
      paths: [`/api/topics/${topic}/events`],
      body: JSON.stringify(body),
      connections,
      status: 201,
      contains: '"offset":'
    })
    let published = 0
    return {
      platform,
      published: () => published,
      async round () {
        const { requests, seconds } = await load.call('round', roundSeconds)
        published += requests * eventsARequest
        await platform.child.call('settle')
        return requests * eventsARequest / seconds
      }
    }
  }))
  const [traced, untraced] = sides as [typeof sides[number], typeof sides[number]]
  const pair = await alternate(rounds, traced.round, untraced.round)
  const traces = await traced.platform.child.call('tracedEvents', topic)
  if (traces !== traced.published()) throw new Error(`${traced.published()} events were published, ${traces} traced`)
  if (await untraced.platform.child.call('tracedEvents', topic) !== 0) {
    throw new Error('an event was traced although tracing was disabled')
  }
  return { row: 'tracing', what, unit: 'events/s', ...pair, goal: { ratio: 0.9 }, note: spread(pair) }
}
