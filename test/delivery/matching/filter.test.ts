import fc from 'fast-check'
import t from 'tap'
import { acceptFilter, passes, parseFilter, valueAt, type Filter } from '../../../src/delivery/matching/filter.ts'
import { SubscriptionIndex } from '../../../src/delivery/matching/subscription-index.ts'
import { LoggedEvent } from '../../../src/events/envelope.ts'

const event = (payload: unknown) => new LoggedEvent({ applicationId: 'app_a', environment: 'development' }, {
  topic: 'a.b', type: 'topic.event', source: 'api', key: null, payload: JSON.stringify(payload), schemaVersion: null
}, { id: 'evt_1', offset: 1, epoch: 'e', timestamp: 1 })

function matches (filter: Record<string, unknown> | undefined, payload: unknown): boolean {
  const index = new SubscriptionIndex<{ filter: Filter | undefined }>()
  index.add({ filter: parseFilter(filter) })
  return index.matching(event(payload)).length === 1
}

t.test('every key of a filter must match', async t => {
  t.ok(matches(undefined, { a: 1 }))
  t.ok(matches({}, null))
  t.ok(matches({ a: 1, b: 'x' }, { a: 1, b: 'x', c: 2 }))
  t.notOk(matches({ a: 1, b: 'x' }, { a: 1, b: 'y' }))
  t.notOk(matches({ a: 1 }, { a: '1' }), 'a number does not equal its text')
  t.notOk(matches({ a: null }, {}), 'an absent field is not null')
  t.ok(matches({ a: null }, { a: null }))
  t.ok(matches({ 'data.list.1': true }, { data: { list: [false, true] } }), 'paths go through objects and arrays')
  t.notOk(matches({ toString: 'x', constructor: 'y' }, {}), 'inherited members are not fields')
})

t.test('each operator matches as documented', async t => {
  const cases: [Record<string, unknown>, unknown, boolean][] = [
    [{ gt: 3 }, 4, true],
    [{ gt: 3 }, 3, false],
    [{ gt: 3 }, '4', false],
    [{ gte: 3 }, 3, true],
    [{ lt: 'b' }, 'a', true],
    [{ lte: 3 }, 4, false],
    [{ gt: 1, lt: 3 }, 2, true],
    [{ gt: 1, lt: 3 }, 3, false],
    [{ ne: 1 }, 2, true],
    [{ ne: 1 }, 1, false],
    [{ ne: 1 }, undefined, true],
    [{ in: [1, 'a'] }, 'a', true],
    [{ in: [1, 'a'] }, '1', false],
    [{ in: [1, { b: [2] }] }, { b: [2] }, true],
    [{ in: [null] }, null, true],
    [{ in: [null] }, undefined, false],
    [{ in: [1, 'a'] }, 2, false],
    [{ exists: true }, null, true],
    [{ exists: false }, undefined, true],
    [{ exists: false }, 0, false],
    [{ prefix: 'ab' }, 'abc', true],
    [{ prefix: 'ab' }, 'a', false],
    [{ prefix: 'ab' }, 1, false],
    [{ eq: [1, { a: 2 }] }, [1, { a: 2 }], true],
    [{ eq: 'x' }, 'x', true],
    [{ eq: 'x', prefix: 'y' }, 'x', false]
  ]
  for (const [operators, value, expected] of cases) {
    t.equal(
      matches({ f: operators }, value === undefined ? {} : { f: value }),
      expected,
      `${JSON.stringify(operators)} on ${JSON.stringify(value)}`
    )
  }
})

t.test('an invalid filter is refused with the name of its key', async t => {
  for (
    const filter of [
      { a: {} }, { a: { like: 1 } }, { a: { gt: true } }, { a: { in: [] } }, { a: { exists: 1 } }, { a: { prefix: 1 } },
      { '': 1 }, { a: [1] }, { a: { __proto__x: 1 } }
    ]
  ) {
    t.throws(
      () => parseFilter(filter), { status: 400, code: 'VALIDATION_FAILED', message: /^\/filter/ },
      JSON.stringify(filter)
    )
  }
  const long = { a: { in: Array.from({ length: 100 }, (_, i) => `${i}`.repeat(50)) } }
  t.throws(() => acceptFilter(long), {
    status: 400, code: 'VALIDATION_FAILED', message: /^\/filter must be at most 8192 bytes/
  })
  t.ok(parseFilter(long), 'a stored filter above the limit is still parsed')
  t.throws(() => parseFilter(Object.fromEntries(Array.from({ length: 33 }, (_, i) => [`k${i}`, i]))), {
    status: 400,
    message: /at most 32/
  })
})

t.test('the index finds exactly the subscriptions whose filters match', async () => {
  const scalar = fc.oneof(fc.constantFrom(null, true, false, 0, -0, 1, 1.5, '', '1', 'a', 'null', 'true'))
  const path = fc.constantFrom('a', 'b', 'a.b', 'b.c', 'c.0')
  const wanted = fc.oneof(
    scalar, scalar.map(eq => ({ eq })), scalar.map(ne => ({ ne })),
    fc.constantFrom({ gt: 0 }, { exists: true }, { prefix: 'a' }, { in: [1, 'a'] })
  )
  const filter = fc.dictionary(path, wanted, { maxKeys: 3 })
  const payload = fc.letrec(tie => ({
    node: fc.oneof(
      { depthSize: 'small' }, scalar, fc.dictionary(fc.constantFrom('a', 'b', 'c'), tie('node'), { maxKeys: 3 }),
      fc.array(tie('node'), { maxLength: 2 })
    )
  })).node
  fc.assert(
    fc.property(fc.array(filter, { maxLength: 12 }), payload, fc.nat(), (filters, value, removed) => {
      const subscriptions = filters.map((one, id) => ({ id, filter: parseFilter(one) }))
      const index = new SubscriptionIndex<typeof subscriptions[number]>()
      for (const subscription of subscriptions) index.add(subscription)
      const gone = subscriptions[removed % Math.max(1, subscriptions.length)]
      if (gone !== undefined) index.remove(gone)
      const found = index.matching(event(value)).map(({ id }) => id)
      const seen = JSON.parse(JSON.stringify(value)) as unknown
      const expected = subscriptions.filter(one =>
        one !== gone && (one.filter === undefined || (
          one.filter.equalities.every(({ path, value }) => valueAt(seen, path.split('.')) === value) &&
          passes(one.filter.conditions, seen)
        ))
      )
      return index.size === subscriptions.length - (gone === undefined ? 0 : 1) &&
        JSON.stringify(found.sort()) === JSON.stringify(expected.map(({ id }) => id).sort())
    }),
    { numRuns: 2000 }
  )
})

t.test('removing subscriptions leaves the index empty', async t => {
  const index = new SubscriptionIndex<{ filter: Filter | undefined }>()
  const subscriptions = [undefined, { a: 1 }, { a: 1, b: 2 }, { a: { gt: 1 } }].map(filter => ({
    filter: parseFilter(filter)
  }))
  for (const one of subscriptions) index.add(one)
  t.equal([...index.all()].length, 4)
  for (const one of subscriptions) { index.remove(one); index.remove(one) }
  t.equal(index.size, 0)
  t.equal([...index.all()].length, 0)
})
