import { createHash } from 'node:crypto'
import fc from 'fast-check'
import pg from 'pg'
import t from 'tap'
import { createPool } from '../../db/connection.ts'
import type { Scope } from '../../schemas/scope.ts'
import { ValidationError } from '../../src/errors.ts'
import type { LoggedEvent } from '../../src/events/envelope.ts'
import { createEpochs } from '../../src/events/epochs.ts'
import type { DocumentState, Intent } from '../../src/events/intent.ts'
import { createEventLog } from '../../src/events/log.ts'
import { ensurePartitions } from '../../src/events/partitions.ts'
import { EventWriter } from '../../src/events/writer.ts'
import { createMetrics } from '../../src/foundation/observability/metrics.ts'
import { Budget } from '../../src/registry/json-schema/validation/fuel.ts'
import { createDatabase } from '../support/database.ts'
import { pace } from '../support/waiting.ts'

const url = await createDatabase(t)
const pool = createPool({ connectionString: url, max: 10, onError: () => {} })
t.teardown(() => pool.end())
await ensurePartitions(pool, Date.now())
const epochOf = createEpochs('writer')
const log = createEventLog({ pool, epochOf })
const silent = { error: () => {}, warn: () => {} }

function node () {
  const committed: LoggedEvent[] = []
  const metrics = createMetrics()
  const writer = new EventWriter({
    pool, epochOf, metrics, log: silent, check: { createBudget: () => new Budget(), prepare: () => () => {} },
    onCommitted: events => committed.push(...events)
  })
  return { writer, committed, metrics }
}

let applications = 0
async function scope (): Promise<Scope> {
  const applicationId = `app_${++applications}`
  await pool.query("insert into applications values ($1, $1, '', 0, 0)", [applicationId])
  return { applicationId, environment: 'development' }
}

const append = (scope: Scope, topic: string, ...payloads: unknown[]): Intent<LoggedEvent[]> => ({
  scope,
  topics: [topic],
  apply: () => ({
    events: payloads.map(payload => ({
      topic, type: 'topic.event', source: 'api', key: null, payload: JSON.stringify(payload), schemaVersion: null
    }))
  }),
  answer: events => events
})

const increment = (scope: Scope, id: string): Intent<number> => ({
  scope,
  document: { service: 'counter', id },
  topics: ['sync.counter.updated'],
  apply (batch, document) {
    const n = ((document?.data['n'] as number | undefined) ?? 0) + 1
    const state: DocumentState = {
      service: 'counter',
      id,
      revision: (document?.revision ?? 0) + 1,
      data: { n },
      dataText: `{"n":${n}}`,
      deleted: false,
      expiresAt: null,
      createdAt: document?.createdAt ?? batch.now,
      updatedAt: batch.now
    }
    return {
      document: state,
      events: [{
        topic: 'sync.counter.updated',
        type: 'document.updated',
        source: 'sync',
        key: id,
        payload: `{"n":${n}}`,
        schemaVersion: null
      }]
    }
  },
  answer: (_events, document) => document?.revision ?? 0
})

const upTo = (last: number) => Array.from({ length: last }, (_, i) => i + 1)

await t.test('concurrent batches of several nodes give each topic gapless offsets in commit order', async () => {
  const nodes = [node(), node(), node()]
  await fc.assert(
    fc.asyncProperty(
      fc.array(
        fc.record({
          node: fc.nat(2), topic: fc.nat(3), events: fc.integer({ min: 1, max: 5 }), document: fc.boolean(),
          pause: fc.boolean()
        }),
        { minLength: 1, maxLength: 60 }
      ),
      async steps => {
        const own = await scope()
        const answers: { node: number, events: LoggedEvent[] }[] = []
        const writes: Promise<unknown>[] = []
        let increments = 0
        for (const step of steps) {
          const writer = nodes[step.node]?.writer as EventWriter
          if (step.document) {
            increments++
            writes.push(writer.submit(increment(own, 'one')))
          } else {
            writes.push(
              writer.submit(append(own, `t.${step.topic}`, ...upTo(step.events))).then(events =>
                answers.push({ node: step.node, events })
              )
            )
          }
          if (step.pause) await new Promise(resolve => setImmediate(resolve))
        }
        await Promise.all(writes)
        for (const topic of ['t.0', 't.1', 't.2', 't.3', 'sync.counter.updated']) {
          const stored = await log.page(own, topic, { limit: 1000 })
          if (JSON.stringify(stored.map(event => event.offset)) !== JSON.stringify(upTo(stored.length))) return false
          const wanted = steps.filter(step =>
            step.document ? topic === 'sync.counter.updated' : topic === `t.${step.topic}`
          )
            .reduce((sum, step) => sum + (step.document ? 1 : step.events), 0)
          if (stored.length !== wanted) return false
          // Events of one node and topic are in the order of submission, and those of one intent are adjacent.
          for (const { events } of answers.filter(answer => answer.events[0]?.topic === topic)) {
            const first = events[0]?.offset ?? 0
            if (!events.every((event, i) => event.offset === first + i && stored[event.offset - 1]?.id === event.id)) {
              return false
            }
          }
          for (const i of nodes.keys()) {
            const firsts = answers.filter(answer => answer.node === i && answer.events[0]?.topic === topic).map(
              answer => answer.events[0]?.offset ?? 0
            )
            if (firsts.some((offset, j) => j > 0 && offset <= (firsts[j - 1] ?? 0))) return false
          }
        }
        const { rows } = await pool.query('select revision, data from documents where application_id = $1', [
          own.applicationId
        ])
        return increments === 0 || (rows[0].revision === increments && rows[0].data === `{"n":${increments}}`)
      }
    ),
    { numRuns: 60 }
  )
})

await t.test('a reader of the log never sees an offset before those below it', async t => {
  const nodes = [node(), node()]
  const own = await scope()
  const writing = new AbortController()
  const done = { reads: 0, writes: 0 }
  const reading = (async () => {
    while (!writing.signal.aborted) {
      const { rows } = await pool.query(
        'select array_agg("offset" order by "offset") as offsets from events where application_id = $1',
        [own.applicationId]
      )
      const offsets = (rows[0].offsets ?? []).map(Number)
      if (JSON.stringify(offsets) !== JSON.stringify(upTo(offsets.length))) throw new Error(`a gap: ${offsets.join()}`)
      done.reads++
    }
  })()
  reading.catch(() => writing.abort())
  // Write until a reader has read in between.
  while (done.writes === 0 || (done.reads <= 5 && !writing.signal.aborted)) {
    await Promise.all(
      upTo(400).map(async i => {
        await pace(i % 50)
        await nodes[i % 2]?.writer.submit(append(own, 'read.while', i))
      })
    )
    done.writes += 400
  }
  writing.abort()
  await reading
  t.ok(done.reads > 5)
})

await t.test('onCommitted receives exactly the committed events, ascending', async t => {
  const { writer, committed } = node()
  const own = await scope()
  await Promise.all(upTo(300).map(i => writer.submit(append(own, `topic.${i % 3}`, i))))
  await writer.close()
  await new Promise(resolve => setImmediate(resolve))
  t.equal(committed.length, 300)
  for (const n of [0, 1, 2]) {
    t.same(committed.filter(event => event.topic === `topic.${n}`).map(event => event.offset), upTo(100))
  }
  await t.rejects(writer.submit(append(own, 'topic.0', 1)), { status: 503, code: 'SHUTTING_DOWN' })
})

await t.test('a refused intent is settled alone and leaves no trace', async t => {
  const { writer } = node()
  const own = await scope()
  const refused: Intent<unknown> = {
    ...append(own, 'mixed.events', 1),
    apply: () => {
      throw new ValidationError('VALIDATION_FAILED', 'no')
    }
  }
  const faulty: Intent<unknown> = {
    ...append(own, 'mixed.events', 1),
    apply: () => {
      throw new TypeError('a fault of ours')
    }
  }
  const results = await Promise.allSettled([
    writer.submit(append(own, 'mixed.events', 'a')), writer.submit(refused),
    writer.submit(append(own, 'mixed.events', 'b')), writer.submit(faulty)
  ])
  t.same(results.map(result => result.status), ['fulfilled', 'rejected', 'fulfilled', 'rejected'])
  t.match(results[1], { reason: { status: 400 } })
  t.match(results[3], { reason: { status: 500, code: 'INTERNAL', message: /^((?!fault of ours).)*$/ } })
  t.same((await log.page(own, 'mixed.events', { limit: 10 })).map(event => event.payload), ['"a"', '"b"'])
})

await t.test('an intent that the database refuses is found by halving, and all others are committed', async t => {
  const { writer } = node()
  const own = await scope()
  const poisonous = append(own, 'poisoned.events', 1)
  poisonous.apply = () => ({
    events: [{
      topic: 'poisoned.events', type: 'topic.event', source: 'api', key: null, payload: 'this is not JSON',
      schemaVersion: null
    }]
  })
  const results = await Promise.allSettled([
    ...upTo(20).map(i => writer.submit(append(own, 'poisoned.events', i))),
    writer.submit(poisonous),
    writer.submit(append(own, 'poisoned.events', 21))
  ])
  t.same(results.filter(result => result.status === 'rejected').length, 1)
  t.equal(results[20]?.status, 'rejected')
  t.same((await log.page(own, 'poisoned.events', { limit: 100 })).map(event => event.payload), upTo(21).map(String))
})

await t.test('a write to an application that was deleted meanwhile is 404 and affects no other write', async t => {
  const { writer } = node()
  const [gone, own] = [await scope(), await scope()]
  await pool.query('delete from applications where id = $1', [gone.applicationId])
  const results = await Promise.allSettled([
    writer.submit(append(own, 'a.b', 1)), writer.submit(append(gone, 'a.b', 1)), writer.submit(increment(gone, 'x')),
    writer.submit(append(own, 'a.b', 2))
  ])
  t.same(results.map(result => result.status === 'rejected' ? result.reason.code : 'ok'), [
    'ok', 'APPLICATION_NOT_FOUND', 'APPLICATION_NOT_FOUND', 'ok'
  ])
})

await t.test('an idempotency key has one effect, even concurrently and on several nodes', async t => {
  const [first, second] = [node(), node()]
  const own = await scope()
  const keyed = (key: string, request: string): Intent<number> => ({
    ...increment(own, 'keyed'),
    idempotency: { key, fingerprint: createHash('sha256').update(request).digest() }
  })
  const answers = await Promise.all(
    upTo(40).map(i => (i % 2 === 0 ? first : second).writer.submit(keyed('k1', 'same')))
  )
  t.same([...new Set(answers)], [1], 'all requests get the first answer')
  await t.rejects(first.writer.submit(keyed('k1', 'other')), { status: 409, code: 'IDEMPOTENCY_KEY_REUSED' })
  t.equal(await second.writer.submit(keyed('k2', 'same')), 2)
  await pool.query("update idempotency_keys set created_at = 0 where key = 'k1'")
  t.equal(await first.writer.submit(keyed('k1', 'other')), 3, 'a key expires after 24 h')
})

await t.test('two nodes that create the same document at once write to one document, one after the other', async t => {
  const nodes = [node(), node(), node()]
  const own = await scope()
  for (const i of upTo(30)) {
    const revisions = await Promise.all(nodes.map(({ writer }) => writer.submit(increment(own, `d${i}`))))
    t.same(revisions.sort(), [1, 2, 3])
  }
})

await t.test('the writer creates a missing partition', async t => {
  const { writer } = node()
  const own = await scope()
  const { rows } = await pool.query<{ name: string }>(
    "select inhrelid::regclass::text as name from pg_inherits where inhparent = 'events'::regclass"
  )
  for (const { name } of rows) await pool.query(`drop table ${name}`)
  const events = await writer.submit(append(own, 'partition.events', 1))
  t.equal(events[0]?.offset, 1)
})

await t.test("the queue and an application's share of it have limits; beyond them, writes are 503", async t => {
  const { writer, metrics } = node()
  const [own, second, third] = [await scope(), await scope(), await scope()]
  const blocker = new pg.Client({ connectionString: url })
  await blocker.connect()
  for (const one of [own, second]) await writer.submit(append(one, 'full.events', 0))
  await blocker.query('begin')
  await blocker.query('select 1 from topic_logs where application_id = any($1) for update', [[
    own.applicationId, second.applicationId
  ]])
  const full = { status: 503, code: 'QUEUE_FULL', retryAfterS: 1 }
  const waiting = upTo(5000).map(i => writer.submit(append(own, 'full.events', i)))
  await t.rejects(writer.submit(append(own, 'full.events', 'too many')), full)
  waiting.push(...upTo(5000).map(i => writer.submit(append(second, 'full.events', i))))
  await t.rejects(writer.submit(append(third, 'full.events', 'too many for all')), full)
  t.equal(writer.health().depth, 10_000)
  await blocker.query('commit')
  await blocker.end()
  await Promise.all(waiting)
  t.equal(writer.health().depth, 0)
  for (const one of [own, second]) {
    t.equal((await log.position(one, 'full.events')).head, 5001, 'every accepted event is in the log')
  }
  await t.rejects(writer.submit({ ...append(own, 'full.events', 1), bytes: 33 * 1024 * 1024 }), full)
  t.equal((await writer.submit(append(own, 'full.events', 1)))[0]?.offset, 5002)
  t.match(await metrics.registry.metrics(), /realtime_events_rejected_total\{code="QUEUE_FULL"\} 3/)
})

await t.test('a flood of one application does not delay another', async t => {
  const { writer } = node()
  const own = await scope()
  const others = await Promise.all(upTo(8).map(() => scope()))
  const blocker = new pg.Client({ connectionString: url })
  await blocker.connect()
  await writer.submit(append(own, 'flood.events', 0))
  await blocker.query('begin')
  await blocker.query('select 1 from topic_logs where application_id = $1 for update', [own.applicationId])
  const flood = upTo(5001).map(i =>
    writer.submit(append(own, 'flood.events', i)).then(() => 201, (error: { status: number }) => error.status)
  )
  // Applications on the same lane wait; the others do not.
  const writes = others.map(one => writer.submit(append(one, 'calm.events', 1)))
  await Promise.any(writes)
  await blocker.query('commit')
  await blocker.end()
  t.equal((await Promise.all(writes)).length, 8)
  t.equal((await Promise.all(flood)).filter(status => status === 503).length, 1)
})

await t.test('a batch that takes long yields to the event loop between intents', async t => {
  const { writer } = node()
  const own = await scope()
  const order: string[] = []
  const slow = (name: string): Intent<unknown> => {
    const intent = append(own, 'slow', name)
    return {
      ...intent,
      apply (batch, document) {
        order.push(name)
        setImmediate(() => order.push('others'))
        for (const until = performance.now() + 20; performance.now() < until;);
        return intent.apply(batch, document)
      }
    }
  }
  await Promise.all([writer.submit(slow('first')), writer.submit(slow('second'))])
  t.same(order.slice(0, 3), ['first', 'others', 'second'])
})
