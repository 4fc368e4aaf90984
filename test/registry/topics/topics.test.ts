import t from 'tap'
import type { RealtimeEvent } from '../../../schemas/events.ts'
import type { Scope } from '../../../schemas/scope.ts'
import { invalid } from '../../../src/foundation/json.ts'
import { Budget } from '../../../src/registry/json-schema/validation/fuel.ts'
import { system } from '../../../src/identity/audit/origin.ts'
import { createTopics } from '../../../src/registry/topics/topics.ts'
import { createDomain } from '../../support/domain.ts'

const domain = await createDomain(t)
const { topics, history, publisher, documents, committed } = domain.node()
const described = { description: 'A test', owner: 'tests' }
const create = (scope: Scope, name: string) => topics.create(scope, { name, ...described }, system)
const publish = async (...args: Parameters<typeof publisher.publish>) =>
  JSON.parse(await publisher.publish(...args)) as RealtimeEvent & RealtimeEvent[]

await t.test('a topic is registered, changed and deleted', async t => {
  const scope = await domain.createScope()
  const topic = await create(scope, 'session.status')
  t.match(topic, { name: 'session.status', ...described, activeSchemaVersion: null, ...scope, createdAt: Number })
  t.strictSame(await topics.get(scope, 'session.status'), topic)
  await t.rejects(create(scope, 'session.status'), {
    status: 409, code: 'TOPIC_EXISTS', message: 'Topic already exists: session.status'
  })
  t.strictSame(await topics.update(scope, 'session.status', { owner: 'others' }, system), { ...topic, owner: 'others' })
  t.strictSame(await topics.remove(scope, 'session.status', system), { ...topic, owner: 'others' })
  for (
    const attempt of [() => topics.get(scope, 'session.status'), () =>
      topics.remove(scope, 'session.status', system), () =>
      topics.update(scope, 'session.status', { owner: 'x' }, system), () =>
      topics.requireTopic(scope, 'session.status')]
  ) {
    await t.rejects(async () => {
      await attempt()
    }, { status: 404, code: 'TOPIC_NOT_FOUND', message: 'Topic not found: session.status' })
  }
})

await t.test('one of many concurrent registrations of a name succeeds', async t => {
  const scope = await domain.createScope()
  const outcomes = await Promise.allSettled(Array.from({ length: 10 }, () => create(scope, 'order')))
  t.equal(outcomes.filter(({ status }) => status === 'fulfilled').length, 1)
})

await t.test('reserved names are refused, and only the platform\'s own topics exist among them', async t => {
  const scope = await domain.createScope()
  for (const name of ['sync', 'sync.session.created', 'socket.other', 'presence', 'system.up']) {
    await t.rejects(create(scope, name), { status: 400, code: 'TOPIC_RESERVED' }, name)
    await t.rejects(publisher.publish(scope, name, { payload: 1 }), { status: 400, code: 'TOPIC_RESERVED' }, name)
  }
  for (const name of ['sync.any-service_1.updated', 'socket.connect', 'presence.updated']) {
    await topics.requireTopic(scope, name)
    t.equal((await history.read(scope, name, {})).json, '[]')
  }
  for (const name of ['system.up', 'sync.session', 'unheard.of']) {
    await t.rejects(history.read(scope, name, {}), { status: 404, code: 'TOPIC_NOT_FOUND' }, name)
  }
})

await t.test('only an existing schema version can be activated; null stops the checks', async t => {
  const scope = await domain.createScope()
  await create(scope, 'order')
  await t.rejects(topics.update(scope, 'order', { activeSchemaVersion: 2 }, system), {
    status: 404, code: 'SCHEMA_VERSION_NOT_FOUND', message: /order has no version 2/
  })
  await t.rejects(topics.update(scope, 'none', { activeSchemaVersion: 2 }, system), {
    status: 404, code: 'TOPIC_NOT_FOUND'
  })
  const asked: unknown[] = []
  const withRegistry = createTopics({
    db: domain.db, schemaVersionExists: async (...question) => asked.push(question) > 0
  })
  t.equal((await withRegistry.update(scope, 'order', { activeSchemaVersion: 2 }, system)).activeSchemaVersion, 2)
  t.strictSame(asked, [[scope, 'order', 2]])
  t.equal((await withRegistry.update(scope, 'order', { activeSchemaVersion: null }, system)).activeSchemaVersion, null)
})

await t.test('lists page through the names of one scope', async t => {
  const scope = await domain.createScope()
  for (const name of ['b', 'a.b', 'a', 'a1', 'c']) await create(scope, name)
  await create({ ...scope, environment: 'staging' }, 'other')
  const names: string[] = []
  let cursor: string | undefined
  do {
    const { items, nextCursor } = await topics.list(scope, { limit: 2, ...(cursor !== undefined && { cursor }) })
    names.push(...items.map(({ name }) => name))
    cursor = nextCursor
  } while (cursor !== undefined)
  t.strictSame(names.toSorted(), ['a', 'a.b', 'a1', 'b', 'c'])
})

await t.test('the answer to a publish equals the event in the history and at subscribers', async t => {
  const scope = await domain.createScope()
  await create(scope, 'order')
  const text = await publisher.publish(scope, 'order', { payload: { n: 1, text: 'ä"\u2028' }, key: 'k"1' })
  t.match(JSON.parse(text), {
    id: /^evt_/,
    topic: 'order',
    offset: 1,
    type: 'topic.event',
    source: 'api',
    ...scope,
    key: 'k"1',
    payload: { n: 1, text: 'ä"\u2028' },
    schemaVersion: null
  })
  t.equal((await history.read(scope, 'order', {})).json, `[${text}]`)
  t.equal(committed.at(-1)?.json(), text)
  for (const payload of [null, false, 0, '', []]) {
    t.strictSame((await publish(scope, 'order', { payload })).payload, payload)
  }
})

await t.test('a batch is stored as a whole, in order, or not at all', async t => {
  const scope = await domain.createScope()
  await create(scope, 'order')
  const events = await publish(scope, 'order', { events: [{ payload: 1 }, { payload: 2, key: 'k' }, { payload: 3 }] })
  t.strictSame(events.map(({ offset, payload, key }) => [offset, payload, key]), [[1, 1, null], [2, 2, 'k'], [
    3, 3, null
  ]])
  t.equal((await publish(scope, 'order', { events: [{ payload: 1 }] })).length, 1, 'a batch of one is an array')
  await t.rejects(publisher.publish(scope, 'order', { events: [{ payload: 1 }, { payload: { a: Infinity } }] }), {
    status: 400, code: 'VALIDATION_FAILED', details: [{ path: '/events/1/payload/a', message: /finite/ }]
  })
  t.equal((await publish(scope, 'order', { payload: 1 })).offset, 5)
})

await t.test('a body that mixes its two forms is refused', async t => {
  const scope = await domain.createScope()
  await create(scope, 'order')
  for (
    const [body, path] of [
      [{}, '/payload'], [{ key: 'k' }, '/payload'], [{ payload: 1, events: [{ payload: 1 }] }, '/payload'],
      [{ key: 'k', events: [{ payload: 1 }] }, '/key']
    ] as const
  ) {
    await t.rejects(publisher.publish(scope, 'order', body as Parameters<typeof publisher.publish>[2]), {
      status: 400, code: 'VALIDATION_FAILED', details: [{ path, message: String }]
    })
  }
})

await t.test('an unregistered topic and another scope\'s topic are not found', async t => {
  const scope = await domain.createScope()
  await create(scope, 'order')
  for (
    const [other, topic] of [[scope, 'orders'], [await domain.createScope(), 'order'], [{
      ...scope,
      environment: 'production'
    }, 'order']] as [Scope, string][]
  ) {
    await t.rejects(publisher.publish(other, topic, { payload: 1 }), {
      status: 404,
      message: `Topic not found: ${topic}`
    })
    await t.rejects(history.read(other, topic, {}), { status: 404, code: 'TOPIC_NOT_FOUND' })
  }
  await topics.remove(scope, 'order', system)
  await t.rejects(publisher.publish(scope, 'order', { payload: 1 }), { status: 404, code: 'TOPIC_NOT_FOUND' })
})

await t.test('a retried publish has one effect', async t => {
  const scope = await domain.createScope()
  await create(scope, 'order')
  for (const body of [{ payload: { n: 1 } }, { events: [{ payload: 1 }, { payload: 2 }] }]) {
    const idempotencyKey = { owner: 'me', key: JSON.stringify(body) }
    const first = await publisher.publish(scope, 'order', body, { idempotencyKey })
    t.equal(await publisher.publish(scope, 'order', body, { idempotencyKey }), first)
    await t.rejects(publisher.publish(scope, 'order', { payload: 'other' }, { idempotencyKey }), {
      status: 409, code: 'IDEMPOTENCY_KEY_REUSED'
    })
  }
  t.equal((JSON.parse((await history.read(scope, 'order', {})).json) as unknown[]).length, 3)
})

await t.test('history pages by offset, also for the platform\'s own topics', async t => {
  const scope = await domain.createScope()
  await create(scope, 'order')
  await publisher.publish(scope, 'order', { events: Array.from({ length: 5 }, (_, i) => ({ payload: i })) })
  const offsets = ({ json }: { json: string }) => (JSON.parse(json) as RealtimeEvent[]).map(({ offset }) => offset)
  const first = await history.read(scope, 'order', { limit: 3 })
  t.strictSame([offsets(first), first.nextCursor], [[1, 2, 3], '3'])
  const second = await history.read(scope, 'order', { limit: 3, after: 3 })
  t.strictSame([offsets(second), second.nextCursor], [[4, 5], undefined])
  t.strictSame(offsets(await history.read(scope, 'order', { after: Number.MAX_SAFE_INTEGER })), [])

  await documents.create(scope, 'session', { id: 'd', data: {} })
  t.match(JSON.parse((await history.read(scope, 'sync.session.created', {})).json), [{
    offset: 1, type: 'document.created', key: 'd'
  }])
})

await t.test('an event that violates the active schema refuses its whole batch', async t => {
  const checked = await createDomain(t, {
    check: {
      createBudget: () => new Budget(),
      prepare: () => (payload, path) => {
        if (typeof payload !== 'number') throw invalid(path, 'must be a number')
      }
    }
  })
  const { topics, history, publisher } = checked.node()
  const scope = await checked.createScope()
  await topics.create(scope, { name: 'order', ...described }, system)
  await checked.pool.query('update topics set active_schema_version = 4')
  t.match(JSON.parse(await publisher.publish(scope, 'order', { payload: 1 })), { schemaVersion: 4 })
  await t.rejects(publisher.publish(scope, 'order', { payload: 'x' }), {
    status: 400, code: 'VALIDATION_FAILED', details: [{ path: '/payload', message: 'must be a number' }]
  })
  await t.rejects(publisher.publish(scope, 'order', { events: [{ payload: 1 }, { payload: 'x' }] }), {
    status: 400, code: 'VALIDATION_FAILED', details: [{ path: '/events/1/payload', message: 'must be a number' }]
  })
  t.equal((JSON.parse((await history.read(scope, 'order', {})).json) as unknown[]).length, 1)
})

await t.test('the payloads of one request share a budget for their checks', async t => {
  const checked = await createDomain(t, {
    check: {
      createBudget: () => new Budget(),
      prepare: () => (_payload, path, budget) => {
        if ((budget.left -= new Budget().left * 0.6) < 0) throw invalid(path, 'takes too long')
      }
    }
  })
  const { topics, publisher } = checked.node()
  const scope = await checked.createScope()
  await topics.create(scope, { name: 'order', ...described }, system)
  await checked.pool.query('update topics set active_schema_version = 4')
  await Promise.all([1, 2, 3].map(payload => publisher.publish(scope, 'order', { payload })))
  await t.rejects(publisher.publish(scope, 'order', { events: [{ payload: 1 }, { payload: 2 }] }), {
    status: 400, code: 'VALIDATION_FAILED', details: [{ path: '/events/1/payload', message: 'takes too long' }]
  })
})

await t.test('a topic of a deleted application is 404', async t => {
  await t.rejects(create({ applicationId: 'app_gone', environment: 'development' }, 'order'), {
    status: 404, code: 'APPLICATION_NOT_FOUND'
  })
})
