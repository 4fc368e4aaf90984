import fc from 'fast-check'
import t from 'tap'
import { isTopicPattern, TopicPatterns } from '../../src/foundation/topic-pattern.ts'

t.test('`*` matches one segment, `**` one or more', async t => {
  const covers = (pattern: string, topic: string) => new TopicPatterns([pattern]).covers(topic)
  t.ok(covers('order.*', 'order.created'))
  t.notOk(covers('order.*', 'order'))
  t.notOk(covers('order.*', 'order.created.eu'))
  t.ok(covers('order.**', 'order.created.eu'))
  t.notOk(covers('order.**', 'order'))
  t.notOk(covers('order.**', 'orders.created'))
  t.ok(covers('*.created', 'order.created'))
  t.ok(covers('**', 'a.b.c'))
  t.ok(covers('order.created', 'order.created'))
  t.notOk(covers('order.created', 'order.updated'))
})

t.test('a pattern is covered only by a wider one', async t => {
  const covers = (held: string, wanted: string) => new TopicPatterns([held]).covers(wanted)
  t.ok(covers('order.**', 'order.*'))
  t.ok(covers('order.*', 'order.*'))
  t.notOk(covers('order.*', 'order.**'))
  t.notOk(covers('order.*', '**'))
  t.notOk(covers('order.created', 'order.*'))
  t.ok(covers('*.*', '*.created'))
  t.notOk(covers('*.created', '*.*'))
  t.notOk(covers('order.**', '**'))
})

t.test('text that is not in segments is no pattern', async t => {
  for (const text of ['**', '*', 'order.*', 'a.*.b', 'a.**', '*.**', 'sync.my-service.updated']) {
    t.ok(isTopicPattern(text), text)
  }
  for (
    const text of ['', '.', 'a.', '.a', 'a..b', '**.a', 'a.**.b', 'ord*', 'a.***', 'A', 'a b', 'a.*\n', 'a'.repeat(301)]
  ) t.notOk(isTopicPattern(text), JSON.stringify(text))
})

t.test('a pattern covers another only if it matches all of its topics', async () => {
  const segment = fc.constantFrom('a', 'b', '*')
  const pattern = fc.tuple(fc.array(segment, { minLength: 1, maxLength: 3 }), fc.boolean()).map(([segments, isOpen]) =>
    [...segments, ...(isOpen ? ['**'] : [])].join('.')
  )
  const topics = ['a', 'b', 'c'].flatMap(
    a => [
      a,
      ...['a', 'b', 'c'].flatMap(
        b => [
          `${a}.${b}`,
          ...['a', 'b', 'c'].flatMap(c => [`${a}.${b}.${c}`, `${a}.${b}.${c}.a`, `${a}.${b}.${c}.c.d`])
        ]
      )
    ]
  )
  const matches = (pattern: string, topic: string) => {
    const source = pattern.split('.').map(part => part === '**' ? '[a-z.]+' : part === '*' ? '[a-z]+' : part).join(
      '\\.'
    )
    return new RegExp(`^${source}$`).test(topic)
  }
  fc.assert(fc.property(pattern, pattern, (held, wanted) => {
    const set = new TopicPatterns([held])
    const isSubset = topics.every(topic => !matches(wanted, topic) || matches(held, topic))
    const both = set.intersection(new TopicPatterns([wanted]))
    return set.covers(wanted) === isSubset && topics.every(topic => set.covers(topic) === matches(held, topic)) &&
      topics.every(topic => !both.covers(topic) || (matches(held, topic) && matches(wanted, topic)))
  }), { numRuns: 2000 })
})

t.test('an intersection has the narrower of two patterns, and nothing of those that only overlap', async t => {
  const both = (a: string[], b: string[]) => new TopicPatterns(a).intersection(new TopicPatterns(b)).patterns
  t.same(both(['order.*', 'refund.made'], ['order.placed', 'refund.**']), ['order.placed', 'refund.made'])
  t.same(both(['**'], ['order.*']), ['order.*'])
  t.same(both(['order.*'], ['**']), ['order.*'])
  t.same(both(['**'], ['**']), ['**'])
  t.same(both(['order.*'], ['refund.*']), [])
  t.same(both(['order.*'], ['*.placed']), [])
  t.same(both([], ['**']), [])
})
