import fc from 'fast-check'
import t from 'tap'
import { judge, matches, parseFilter } from '../../src/delivery/matching/filter.ts'
import { SubscriptionIndex } from '../../src/delivery/matching/subscription-index.ts'
import { build, listen } from '../support/build.ts'
import { connectSocketIo, connectWs } from '../support/clients.ts'
import { createDatabase } from '../support/database.ts'
import { tenant } from '../support/tenant.ts'

/* Predictions come from the same matching that delivery uses. */

t.test('the explanation of each filter condition agrees with the index', async t => {
  const value = fc.constantFrom<unknown>(0, -0, 1, 2, '', '1', 'a', 'ab', true, false, null, [1], { a: 1 }, undefined)
  const path = fc.constantFrom('a', 'b', 'a.b', 'c.0')
  const scalar = fc.constantFrom<unknown>(0, 1, '1', 'a', true, null)
  const operators = fc.oneof(
    fc.record({ eq: value.filter(one => one !== undefined) }),
    fc.record({ ne: scalar }),
    fc.record({ gt: fc.constantFrom(0, 'a') }),
    fc.record({ lte: fc.constantFrom(1, 'a') }),
    fc.record({ in: fc.array(scalar, { minLength: 1, maxLength: 3 }) }),
    fc.record({ exists: fc.boolean() }),
    fc.record({ prefix: fc.constantFrom('', 'a') })
  )
  const filter = fc.dictionary(path, fc.oneof(scalar, operators), { maxKeys: 3 })
  const payload = fc.record({ a: value, b: value, c: fc.array(value, { maxLength: 2 }) }, { requiredKeys: [] })
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(fc.array(filter, { minLength: 1, maxLength: 8 }), payload, (filters, value) => {
        const subscriptions = filters.map(given => ({ filter: parseFilter(given) }))
        const index = new SubscriptionIndex<typeof subscriptions[number]>()
        for (const one of subscriptions) index.add(one)
        const matched = new Set<unknown>(index.matching({ value }))
        const unmatched = new Set<unknown>(index.unmatched({ value }, 100))
        for (const one of subscriptions) {
          if (matched.has(one) !== matches(one.filter, value)) {
            throw new Error('the index and the whole filter differ')
          }
          if (
            matched.has(one) !== judge(one.filter, value).every(({ holds }) => holds)
          ) { throw new Error('the index and the tests one by one differ') }
          if (matched.has(one) === unmatched.has(one)) throw new Error('one is matched and unmatched, or neither')
        }
      }),
      { numRuns: 2000 }
    )
  )
})

t.test('a prediction has topic, schema and recipients on every node with reasons, and stores nothing', async t => {
  const databaseUrl = await createDatabase(t)
  const [{ app }, { app: other }] = [await build(t, { databaseUrl }), await build(t, { databaseUrl })]
  const [url, otherUrl] = [await listen(app), await listen(other)]
  const shop = await tenant(app)
  const topic = await shop.topic('order.placed')
  await shop.request('POST', `/api/schemas/${topic}`, {
    schema: { type: 'object', properties: { total: { type: 'number' } } }
  })
  const [here, there, narrow] = [
    await connectWs(url, { token: shop.token() }),
    await connectSocketIo(otherUrl, { token: shop.token() }),
    await connectWs(url, { token: shop.token(['subscribe:order.paid']) })
  ]
  const route = async (body: object) => (await shop.request('POST', '/api/debugger/route', body)).body
  const big = await here.request('subscribe', { topic: 'order.*', filter: { total: { gte: 100 } } })
  const beforeFirst = await route({ topic, payload: { total: 5 } })
  t.match(beforeFirst, { matched: 0, filtered: 1 }, 'a pattern counts before the topic has a log')
  const all = await here.request('subscribe', { topic })
  const far = await there.request('subscribe', { topic, filter: { total: 5 } })
  const denied = await narrow.request('subscribe', { topic: 'order.*' })
  await other.tracing.subscriptions.flush()
  const answer = await route({ topic, payload: { total: 5 } })
  t.match(answer, {
    topic: { name: topic, exists: true, isOwn: false }, schema: { version: 1, valid: true, errors: [] }, accepted: true,
    matched: 2, filtered: 2
  })
  const said = Object.fromEntries(
    answer.subscriptions.map((
      one: { subscriptionId: string, matches: boolean, conditions: { condition: string, holds: boolean }[] }
    ) => [one.subscriptionId, [
      one.matches, one.conditions.filter(({ holds }) => !holds).map(({ condition }) => condition).join()
    ]])
  )
  t.same(said, {
    [all.subscriptionId]: [true, ''], [far.subscriptionId]: [true, ''], [big.subscriptionId]: [false, 'filter'],
    [denied.subscriptionId]: [false, 'permission']
  })
  t.match(await route({ topic, payload: { total: 'much' } }), {
    schema: { version: 1, valid: false, errors: [{ path: '/total' }] }, accepted: false
  })
  t.match(await route({ topic: 'no.such', payload: 1 }), { topic: { exists: false }, accepted: false, matched: 0 })
  t.match(await route({ topic: 'sync.cart.created', payload: {} }), { topic: { exists: true, isOwn: true } })
  t.match((await shop.request('POST', '/api/debugger/route', { topic: 'BAD', payload: 1 })).status, 400)
  const [event] = await shop.publish(topic, { total: 5 })
  await Promise.all([here.received(1), there.received(1)])
  t.same(
    [...here.events, ...there.events].flatMap(({ id, subscriptionIds }) => subscriptionIds.map(one => `${id} ${one}`))
      .sort(),
    [all, far].map(({ subscriptionId }) => `${event?.id} ${subscriptionId}`).sort(),
    'the prediction is correct'
  )
  for (const client of [here, there, narrow]) client.close()
})
