import type { PostsLoad } from '../load/posts.ts'
import type { QueuedPostsLoad } from '../load/queued-posts.ts'
import type { RequestsLoad } from '../load/requests.ts'
import type { WebhookSink } from '../load/webhook-sink.ts'
import { alternate, percentile, spread, type Measurement } from '../measure.ts'
import { withCast, type Row } from '../row.ts'

const rounds = 5
const roundSeconds = 1.5
const deliveriesARound = 20_000
/** The platform's concurrency limit per endpoint. */
const connections = 32
const payload = {
  sessionId: 'sess_0123456789abcdef', status: 'active', participants: 4,
  title: 'The quick brown fox jumps over the lazy dog', tags: ['a', 'b', 'c'],
  owner: { id: 'usr_0123456789abcdef', name: 'Somebody' }
}

/** Measures deliveries per second from a backlog, against undici posting the same bodies. */
export const webhooks: Row = {
  name: 'webhooks',
  run: context => withCast(context, async cast => {
    const platform = await cast.platform()
    const sink = await cast.load<WebhookSink>('load/webhook-sink')
    const posts = await cast.server<PostsLoad>('load/posts')
    const queued = await cast.server<QueuedPostsLoad>('load/queued-posts')
    await queued.call('start', context.databaseUrl)
    const { url } = await sink.call('start')
    const topic = 'bench.webhooks'
    await platform.child.call('registerTopic', topic)
    await platform.child.call('makeWebhooks', [`${url}/hook`], topic)
    await platform.child.call('publishMany', topic, payload, 1)
    await sink.call('until', 1)
    const body = await sink.call('body')

    let sent = 1
    const platformRate = async () => {
      await platform.child.call('holdWebhooks', true)
      await platform.child.call('publishMany', topic, payload, deliveriesARound)
      sent += deliveriesARound
      await sink.call('reset')
      const start = performance.now()
      await platform.child.call('holdWebhooks', false)
      await sink.call('until', deliveriesARound)
      const seconds = (performance.now() - start) / 1000
      await platform.child.call('webhooksSettled')
      return deliveriesARound / seconds
    }
    const bareRate = async () => {
      await sink.call('reset')
      const start = performance.now()
      await posts.call('post', `${url}/hook`, body, deliveriesARound, connections)
      return deliveriesARound / ((performance.now() - start) / 1000)
    }
    const queuedRate = async () => {
      await queued.call('fill', body, deliveriesARound)
      const start = performance.now()
      await queued.call('drain', `${url}/hook`, connections)
      return deliveriesARound / ((performance.now() - start) / 1000)
    }
    const pair = await alternate(rounds, platformRate, bareRate)
    const queuedPair = await alternate(rounds, platformRate, queuedRate)
    const totals = await platform.child.call('webhookTotals')
    if (totals.delivered !== sent || totals.attempts !== sent) {
      throw new Error(`lost or doubled: ${sent} events, but ${JSON.stringify(totals)}`)
    }
    return [
      {
        row: 'webhooks',
        what: 'webhook deliveries to one endpoint, signed and logged',
        unit: 'deliveries/s',
        ...pair,
        goal: { ratio: 0.4 },
        note: spread(pair)
      },
      {
        row: 'webhooks',
        what: 'the same, against a plain queue in PostgreSQL',
        unit: 'deliveries/s',
        ...queuedPair,
        goal: { ratio: 0.9 },
        note: spread(queuedPair)
      }
    ]
  })
}

/** Measures what three matching webhooks add to the cost of a publish. */
export const enqueue: Row = {
  name: 'enqueue',
  run: async context => [
    ...await withCast(context, async cast => {
      const measured: Measurement[] = []
      const platform = await cast.platform()
      for (const topic of ['bench.owed', 'bench.free']) await platform.child.call('registerTopic', topic)
      // No server listens at these URLs: the row measures writing deliveries, not sending them.
      await platform.child.call(
        'makeWebhooks',
        Array.from({ length: 3 }, (_, i) => `http://127.0.0.1:9/${i}`),
        'bench.owed'
      )
      for (const { batch, connections } of [{ batch: 1, connections: 32 }, { batch: 100, connections: 8 }]) {
        const sides = await Promise.all(['bench.owed', 'bench.free'].map(async topic => {
          const requests = await cast.load<RequestsLoad>('load/requests')
          await requests.call('aim', {
            url: platform.url,
            token: platform.token,
            method: 'POST',
            paths: [`/api/topics/${topic}/events`],
            connections,
            status: 201,
            contains: '"offset":',
            body: JSON.stringify(
              batch === 1 ? { payload } : { events: Array.from({ length: batch }, () => ({ payload })) }
            )
          })
          return async () => {
            const { requests: count, seconds } = await requests.call('round', roundSeconds)
            await platform.child.call('settle')
            return count * batch / seconds
          }
        })) as [() => Promise<number>, () => Promise<number>]
        if (measured.length === 0) {
          // The writer has loaded the webhooks from here on.
          await platform.child.call('publishMany', 'bench.owed', payload, 1)
          await platform.child.call('stopDispatcher')
        }
        const pair = await alternate(rounds, ...sides)
        measured.push({
          row: 'enqueue',
          what: `publish ${
            batch === 1 ? 'single events' : `batches of ${batch}`
          } that three webhooks match, against none`,
          unit: 'events/s',
          ...pair,
          goal: { ratio: 0.85 },
          note: spread(pair)
        })
      }
      return measured
    })
  ]
}

const events = 1500
const everyMs = 2

/** Measures what a dead and a hanging endpoint do to a healthy one. */
export const neighbours: Row = {
  name: 'neighbours',
  run: context =>
    withCast(context, async cast => {
      const platform = await cast.platform()
      const sink = await cast.load<WebhookSink>('load/webhook-sink')
      const { url } = await sink.call('start')
      for (
        const [topic, paths] of [['bench.alone', ['/timed']], ['bench.beside', [
          '/timed', '/dead', '/hanging'
        ]]] as const
      ) {
        await platform.child.call('registerTopic', topic)
        await platform.child.call('makeWebhooks', paths.map(path => url + path), topic)
      }
      const p99 = async (topic: string) => {
        await sink.call('reset')
        await platform.child.call('publishPaced', topic, events, everyMs)
        await sink.call('until', events)
        return percentile((await sink.call('latencies')).sort((a, b) => a - b), 0.99)
      }
      const pair = await alternate(rounds, () => p99('bench.beside'), () => p99('bench.alone'))
      return [{
        row: 'neighbours',
        what: 'publish to arrival at a healthy endpoint, p99, beside a dead and a hanging one, against alone',
        unit: 'ms',
        ...pair,
        goal: { ratio: 1.2, isMost: true },
        note: spread(pair)
      }]
    })
}
