import t from 'tap'
import { ListeningNodes } from '../../../src/channels/listening-nodes.ts'
import type { Cluster } from '../../../src/cluster/cluster.ts'
import { localCluster } from '../../../src/cluster/local-cluster.ts'
import { PatternSubscription } from '../../../src/delivery/patterns/pattern-subscription.ts'
import { TopicPatterns } from '../../../src/foundation/topic-pattern.ts'
import { build, listen } from '../../support/build.ts'
import { transports } from '../../support/clients.ts'
import { tenant } from '../../support/tenant.ts'
import { until } from '../../support/waiting.ts'

/* The cost of many patterns that begin, end and change. Counts calls instead of measuring time. */

const { app } = await build(t, {
  adapt: config => {
    Object.assign(config.delivery, { requestsPerSecond: 0, bytesPerSecond: 0 })
  }
})
const url = await listen(app)
const upTo = (last: number) => Array.from({ length: last }, (_, i) => i + 1)

/** Counts the calls of a method on all objects of a class. */
function counted<K extends string> (prototype: Record<K, (...args: never[]) => unknown>, name: K): { calls: number } {
  const count = { calls: 0 }
  const method = prototype[name]
  prototype[name] = function (this: unknown, ...args: never[]) {
    count.calls++
    return method.apply(this, args)
  }
  t.teardown(() => { prototype[name] = method })
  return count
}

const told: string[] = []
const records: Cluster['records'] = {
  ...localCluster.records,
  set: (key: string) => {
    told.push(`+${key}`)
  },
  delete: (key: string) => {
    told.push(`-${key}`)
  }
}
app.hub.shareInterest(new ListeningNodes({ records, hub: app.hub }))
const wants = counted(PatternSubscription.prototype, 'wants')
const covers = counted(TopicPatterns.prototype, 'covers')

for (const { name, connect } of transports) {
  await t.test(`over ${name}`, async t => {
    const shop = await tenant(app)
    const patterns = 200
    const open = async (token = shop.token()) => {
      const client = await connect(url, { token })
      const begin = wants.calls
      const answers = await Promise.all(upTo(patterns).map(n => client.request('subscribe', { topic: `work${n}.*` })))
      t.same(answers.filter(({ ok }) => !ok), [], 'none is refused')
      return { client, asked: wants.calls - begin }
    }

    await t.test('adding or removing a pattern does not evaluate the others', async t => {
      const [first, second] = [await open(), await open()]
      t.ok(second.asked < 10 * patterns, `${second.asked} evaluations for ${patterns} more patterns`)
      const begin = wants.calls
      second.client.close()
      await until(() => app.connections.size === 1)
      await new Promise(resolve => setImmediate(resolve))
      t.ok(wants.calls - begin < 10 * patterns, `${wants.calls - begin} evaluations for ${patterns} fewer patterns`)
      first.client.close()
      await until(() => app.connections.size === 0)
    })

    await t.test('a topic counts as wanted as long as one pattern includes it', async t => {
      const { client } = await open()
      const other = await connect(url, { token: shop.token() })
      told.length = 0
      const marks = () => told.filter(key => key.includes('socket.connect')).map(key => key[0])
      const [a, b] = [
        await client.request('subscribe', { topic: 'socket.*' }),
        await other.request('subscribe', { topic: 'socket.*' })
      ]
      t.same(marks(), ['+'])
      await client.request('unsubscribe', { subscriptionId: a.subscriptionId })
      await client.request('unsubscribe', { subscriptionId: 'sub_none' })
      t.same(marks(), ['+'], 'another pattern includes it')
      await other.request('unsubscribe', { subscriptionId: b.subscriptionId })
      await client.request('unsubscribe', { subscriptionId: 'sub_none' })
      t.same(marks(), ['+', '-'])
      await client.request('subscribe', { topic: 'socket.**' })
      t.same(marks(), ['+', '-', '+'])
      await client.request('auth', { token: shop.token(['subscribe:work1.*']) })
      t.same(marks(), ['+', '-', '+', '-'], 'the new token does not cover it')
      for (const one of [client, other]) one.close()
      await until(() => app.connections.size === 0)
    })

    await t.test('a fresh token is compared once, not for each pattern', async t => {
      const { client } = await open(shop.token(['subscribe:**']))
      const permissions = upTo(patterns).map(n => `subscribe:work${n}.*`)
      const begin = covers.calls
      t.match(await client.request('auth', { token: shop.token(permissions) }), { ok: true })
      t.match(await client.request('auth', { token: shop.token([...permissions, 'subscribe:more.*']) }), { ok: true })
      t.ok(
        covers.calls - begin < 10 * patterns,
        `${covers.calls - begin} comparisons of ${patterns} patterns and as many permissions`
      )
      client.close()
      await until(() => app.connections.size === 0)
    })
  })
}
