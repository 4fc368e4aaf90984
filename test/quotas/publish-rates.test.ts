import fc from 'fast-check'
import t from 'tap'
import { PublishRates } from '../../src/quotas/publish-rates.ts'
import { SharedCount } from '../../src/quotas/shared-count.ts'

/* Shares of quotas without a database: the nodes of these tests exchange what they need directly. */

/** Several nodes with one clock, which exchange their demand once a second. */
function cluster (count: number) {
  let now = 0
  const nodes = Array.from({ length: count }, () => new PublishRates(() => now))
  const exchange = () => {
    const demands = nodes.map(node => node.measure().get('app') ?? 0)
    const all = demands.reduce((sum, demand) => sum + demand, 0)
    for (const [i, node] of nodes.entries()) {
      node.share(() => ({ nodes: count - 1, elsewhere: all - (demands[i] ?? 0) }))
    }
  }
  /** Lets each node receive its number of events per second, one by one. Returns the events that were allowed. */
  function run (seconds: number, perSecond: readonly number[], quota: number): number {
    let allowed = 0
    for (let ms = 0; ms < seconds * 1000; ms += 10) {
      now += 10
      for (const [i, rate] of perSecond.entries()) {
        for (let n = 0; n < Math.floor((ms + 10) * rate / 1000) - Math.floor(ms * rate / 1000); n++) {
          if (nodes[i]?.take('app', 1, quota) === 0) allowed++
        }
      }
      if (now % 1000 === 0) exchange()
    }
    return allowed
  }
  return { nodes, run }
}

t.test('one node allows the quota, with a burst of one second', async t => {
  const { run } = cluster(1)
  const allowed = run(10, [1000], 100)
  t.ok(allowed >= 1095 && allowed <= 1100, `${allowed}`)
  t.equal(run(10, [50], 100), 500, 'nothing below the quota is refused')
})

for (const [what, rates] of [
  ['evenly', [500, 500]], ['unevenly', [900, 100]], ['through one node', [1000, 0]], ['over four', [300, 300, 10, 400]]
] as const) {
  t.test(`several nodes share the quota when requests arrive ${what}`, async t => {
    const { run } = cluster(rates.length)
    // Until the first exchange, the nodes have not heard of each other.
    run(5, rates, 100)
    const allowed = run(20, rates, 100)
    t.ok(allowed <= 2000 * 1.05, `${allowed} of 2000`)
    t.ok(allowed >= 2000 * 0.9, `${allowed} of 2000`)
  })
}

t.test('the shares follow traffic that moves to another node', async t => {
  const { run } = cluster(2)
  run(10, [200, 0], 100)
  const moved = run(10, [0, 200], 100)
  t.ok(moved <= 1250, `${moved} of 1000 in the ten seconds after the move`)
  t.ok(moved >= 750, `${moved} of 1000`)
})

t.test('a batch above the burst needs a full bucket and leaves a debt', async t => {
  let now = 0
  const rates = new PublishRates(() => now)
  t.equal(rates.take('app', 1000, 100), 0)
  t.equal(rates.take('app', 1, 100), 9010, 'the next event waits until the debt is paid')
  now += 9010
  t.equal(rates.take('app', 1, 100), 0)
  t.equal(rates.take('other', 1, 1), 0, 'another application is not affected')
  t.equal(rates.take('other', 1, 1), 1000)
  now += 1000
  t.equal(rates.take('other', 1, 1), 0)
})

t.test('row changes take what is left and are never in debt', async t => {
  let now = 0
  const rates = new PublishRates(() => now)
  rates.takeLeft('app', 100_000, 100)
  t.equal(rates.take('app', 1, 100), 10)
  now += 10
  t.equal(rates.take('app', 1, 100), 0)
})

t.test('nodes that add to a count between exchanges exceed the limit by less than one each', async t => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant('add' as const), node: fc.nat(2) }),
    fc.record({ kind: fc.constant('remove' as const), node: fc.nat(2) }),
    fc.record({ kind: fc.constant('exchange' as const), node: fc.nat(2) })
  )
  fc.assert(fc.property(fc.integer({ min: 0, max: 30 }), fc.array(step, { maxLength: 200 }), (limit, steps) => {
    const nodes = [0, 1, 2].map(() => ({ count: new SharedCount(), own: 0 }))
    const exchange = () => {
      const all = nodes.reduce((sum, { own }) => sum + own, 0)
      for (const node of nodes) node.count.exchanged('app', { own: node.own, elsewhere: all - node.own, nodes: 3 })
    }
    exchange()
    for (const { kind, node: i } of steps) {
      const node = nodes[i]
      if (node === undefined) continue
      if (kind === 'exchange') exchange()
      else if (kind === 'remove') node.own = Math.max(0, node.own - 1)
      else if (node.count.room('app', limit, node.own) >= 1) node.own++
      if (nodes.reduce((sum, { own }) => sum + own, 0) > limit + 2) return false
    }
    return true
  }))
  const one = new SharedCount()
  t.equal(one.room('app', 5, 4), 1, 'one node alone may use all of it')
  t.equal(one.room('app', 5, 5), 0)
})
