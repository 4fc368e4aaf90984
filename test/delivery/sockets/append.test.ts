import pg from 'pg'
import t from 'tap'
import { system } from '../../../src/identity/audit/origin.ts'
import { build, listen } from '../../support/build.ts'
import { transports, type Answer } from '../../support/clients.ts'
import { startRedis } from '../../support/redis.ts'
import { tenant } from '../../support/tenant.ts'

/* Publishing over a socket is publishing over REST: the same checks, keys, limits and refusals. */

t.setTimeout(180_000)

const redis = await startRedis(t)
const { app, databaseUrl } = await build(t)
const url = await listen(app)
const topic = 'order.placed'
const upTo = (count: number) => Array.from({ length: count }, (_, i) => i + 1)

for (const { name, connect } of transports) {
  await t.test(`${name}: an event or a batch is stored before the answer, and delivered`, async t => {
    const shop = await tenant(app)
    await shop.topic(topic)
    const client = await connect(url, { token: shop.token() })
    await client.request('subscribe', { topic })
    const log = async () => (await shop.request('GET', `/api/topics/${topic}/events`)).body
    const one = await client.request('append', { topic, payload: { total: 42 }, key: 'c1' })
    const [first] = await log()
    t.match(first, { offset: 1, type: 'topic.event', source: 'api', key: 'c1', payload: { total: 42 } })
    const { epoch } = first
    t.match(one, { ok: true, eventId: first.id, offset: 1, epoch })
    const batch = await client.request('append', { topic, events: [{ payload: 2, key: 'a' }, { payload: null }] })
    t.match(batch, { ok: true, offset: 2, count: 2, epoch })
    t.notOk('eventId' in batch)
    t.match((await log()).slice(1), [{ offset: 2, key: 'a', payload: 2 }, { offset: 3, key: null, payload: null }])
    t.strictSame((await client.received(3)).map(({ offset }) => offset), [1, 2, 3])
    client.close()
  })

  await t.test(`${name}: requests without waiting for answers are stored in their order`, async t => {
    const shop = await tenant(app)
    await shop.topic(topic)
    const client = await connect(url, { token: shop.token() })
    const answers = await Promise.all(upTo(300).map(payload => client.request('append', { topic, payload })))
    t.strictSame(answers.map(({ offset }) => offset), upTo(300))
    const { body } = await shop.request('GET', `/api/topics/${topic}/events?limit=300`)
    t.strictSame(body.map(({ payload }: { payload: number }) => payload), upTo(300))
    client.close()
  })

  await t.test(`${name}: a retry has no second effect, over a socket or REST`, async t => {
    const shop = await tenant(app)
    await shop.topic(topic)
    const client = await connect(url, { token: shop.token() })
    const other = await connect(url, { token: shop.token(['admin'], { subject: 'another' }) })
    const rest = (body: object, key: string, prefer: Record<string, string> = {}) =>
      shop.request('POST', `/api/topics/${topic}/events`, body, { 'idempotency-key': key, ...prefer })
    const one = { payload: { n: 1, m: 2 }, key: 'k' }
    const first = await client.request('append', { topic, ...one, idempotencyKey: 'one' })
    const { eventId } = first as Answer & { eventId: string }
    t.match(await client.request('append', { topic, ...one, idempotencyKey: 'one' }), {
      ok: true, eventId, offset: 1, epoch: first.epoch
    })
    t.match(await rest({ key: 'k', payload: { m: 2, n: 1 } }, 'one'), {
      status: 201, body: { id: eventId, offset: 1, payload: { n: 1, m: 2 } }
    }, 'REST returns the event')
    t.strictSame((await rest(one, 'one', { prefer: 'return=minimal' })).body, {
      offset: 1, count: 1, epoch: first.epoch
    })
    const events = [{ payload: 1 }, { payload: 2 }]
    t.match(await rest({ events }, 'many'), { status: 201, body: [{ offset: 2 }, { offset: 3 }] })
    t.match(await client.request('append', { topic, events, idempotencyKey: 'many' }), { offset: 2, count: 2 })
    t.match(await client.request('append', { topic, payload: 'other', idempotencyKey: 'one' }), {
      ok: false, error: 'ConflictError', code: 'IDEMPOTENCY_KEY_REUSED'
    })
    t.match(await rest({ payload: 'other' }, 'one'), { status: 409, body: { code: 'IDEMPOTENCY_KEY_REUSED' } })
    t.match(
      await other.request('append', { topic, ...one, idempotencyKey: 'one' }), { ok: true, offset: 4 },
      'a key belongs to its principal'
    )
    t.equal((await shop.request('GET', `/api/topics/${topic}/events`)).body.length, 4)
    for (const one of [client, other]) one.close()
  })

  await t.test(`${name}: permissions, topics and payloads are checked as over REST`, async t => {
    const shop = await tenant(app)
    await shop.topic(topic)
    await shop.request('POST', `/api/schemas/${topic}`, { schema: { type: 'object', required: ['total'] } })
    for (
      const [permission, mayPublish] of [
        ['publish', true], ['publish:order.*', true], ['events:create', true], ['service', true], ['admin', true],
        ['client', false], ['subscribe', false], ['publish:other.**', false], ['socket:create', false]
      ] as const
    ) {
      const client = await connect(url, { token: shop.token([permission]) })
      const answer = await client.request('append', { topic, payload: { total: 1 } })
      const { status } = await shop.request('POST', `/api/topics/${topic}/events`, { payload: { total: 1 } }, {
        authorization: `Bearer ${shop.token([permission])}`
      })
      const expected = mayPublish ? [true, undefined, 201] : [false, 'PERMISSION_DENIED', 403]
      t.strictSame([answer.ok, answer.code, status], expected, permission)
      client.close()
    }
    const client = await connect(url, { token: shop.token() })
    const refused: [object, object][] = [
      [{ topic, payload: {} }, { code: 'SCHEMA_VIOLATED', details: [{ path: '/payload' }] }],
      [{ topic, events: [{ payload: { total: 1 } }, { payload: 1 }] }, {
        code: 'SCHEMA_VIOLATED', details: [{ path: '/events/1/payload' }]
      }],
      [{ topic: 'order.unknown', payload: 1 }, { error: 'NotFoundError', code: 'TOPIC_NOT_FOUND' }],
      [{ topic: 'socket.message', payload: 1 }, { code: 'TOPIC_RESERVED' }],
      [{ topic }, { code: 'VALIDATION_FAILED', details: [{ path: '/payload' }] }],
      [{ topic, payload: 1, events: [{ payload: 1 }] }, { details: [{ path: '/payload' }] }],
      [{ topic, key: 'k', events: [{ payload: 1 }] }, { details: [{ path: '/key' }] }],
      [{ topic, events: [] }, { details: [{ path: '/events' }] }],
      [{ topic, events: [{ payload: 1, topic }] }, { details: [{ path: '/events/0/topic' }] }],
      [{ topic, events: upTo(1001).map(payload => ({ payload })) }, { details: [{ path: '/events' }] }],
      [{ topic, payload: 1, key: '' }, { details: [{ path: '/key' }] }],
      [{ topic, payload: 1, idempotencyKey: '' }, { details: [{ path: '/idempotencyKey' }] }],
      [{ topic, payload: 1, idempotencyKey: 'a b' }, { details: [{ path: '/idempotencyKey' }] }],
      [{ topic, payload: 1, idempotencyKey: 'x'.repeat(256) }, { details: [{ path: '/idempotencyKey' }] }],
      [{ topic, payload: 'x'.repeat(257 * 1024) }, { details: [{ path: '/payload' }] }],
      [{ topic, payload: ['nul\0'] }, { details: [{ path: '/payload/0' }] }],
      [{ topic, payload: 1, offset: 1 }, { details: [{ path: '/offset' }] }],
      [{ topic: 'A', payload: 1 }, { details: [{ path: '/topic' }] }],
      [{ payload: 1 }, { details: [{ path: '/topic' }] }]
    ]
    const { body: before } = await shop.request('GET', `/api/topics/${topic}/events`)
    for (const [fields, refusal] of refused) {
      t.match(await client.request('append', fields), { ok: false, ...refusal }, JSON.stringify(fields).slice(0, 100))
    }
    const other = await tenant(app)
    const stranger = await connect(url, { token: other.token() })
    t.match(await stranger.request('append', { topic, payload: { total: 1 } }), { ok: false, code: 'TOPIC_NOT_FOUND' })
    t.strictSame((await shop.request('GET', `/api/topics/${topic}/events`)).body, before, 'nothing was stored')
    for (const one of [client, stranger]) one.close()
  })

  await t.test(`${name}: a full write queue refuses with the time of a retry`, async t => {
    const shop = await tenant(app)
    await shop.topic(topic)
    await shop.publish(topic, 0)
    const client = await connect(url, { token: shop.token() })
    const blocker = new pg.Client({ connectionString: databaseUrl })
    await blocker.connect()
    await blocker.query('begin')
    await blocker.query('select 1 from topic_logs where application_id = $1 for update', [shop.applicationId])
    const waiting = Array.from({ length: 5000 }, () => app.publisher.append(shop.scope, topic, { payload: 1 }))
    t.match(await client.request('append', { topic, payload: 2 }), {
      ok: false, error: 'ServiceUnavailableError', code: 'QUEUE_FULL', retryAfterMs: 1000
    })
    await blocker.query('commit')
    await blocker.end()
    await Promise.all(waiting)
    t.match(await client.request('append', { topic, payload: 2 }), { ok: true, offset: 5002 })
    client.close()
  })
}

for (const variables of [{}, ...redis === undefined ? [] : [{ REDIS_URL: redis.url }]]) {
  const where = 'REDIS_URL' in variables ? 'in Redis' : 'in memory'

  await t.test(`requests count towards the limit of their principal over REST, ${where}`, async t => {
    const { app } = await build(t, { variables: { ...variables, RATE_LIMIT_MAX: '5' } })
    const url = await listen(app)
    const shop = await tenant(app)
    await app.topics.create(shop.scope, { name: topic, description: 'A test', owner: 'tests' }, system)
    for (const { name, connect } of transports) {
      const token = shop.token(['admin'], { subject: `ada ${name}` })
      const read = () => shop.request('GET', '/api/topics', undefined, { authorization: `Bearer ${token}` })
      const client = await connect(url, { token })
      const answers = await Promise.all(upTo(4).map(payload => client.request('append', { topic, payload })))
      const [first] = answers
      t.strictSame(answers.map(({ offset }) => offset - (first?.offset ?? 0)), [0, 1, 2, 3], `${name}: in their order`)
      t.equal((await read()).status, 200)
      t.match(await client.request('append', { topic, payload: 5 }), {
        ok: false, error: 'RateLimitError', code: 'RATE_LIMITED', message: /More than 5 requests/, retryAfterMs: Number
      }, name)
      t.equal((await read()).status, 429)
      client.close()
    }
  })

  await t.test(`requests count towards the limit of their application over REST, ${where}`, async t => {
    const { app } = await build(t, { variables: { ...variables, RATE_LIMIT_APPLICATION_MAX: '5' } })
    const url = await listen(app)
    const shop = await tenant(app)
    await app.topics.create(shop.scope, { name: topic, description: 'A test', owner: 'tests' }, system)
    const clients = await Promise.all(transports.map(async ({ name, connect }) =>
      await connect(url, { token: shop.token(['admin'], { subject: name }) })
    ))
    for (const client of clients) {
      for (const payload of upTo(2)) t.match(await client.request('append', { topic, payload }), { ok: true })
    }
    t.equal((await shop.request('GET', '/api/topics')).status, 200)
    for (const client of clients) {
      t.match(await client.request('append', { topic, payload: 3 }), {
        ok: false, code: 'RATE_LIMITED', message: /More than 5 requests per minute by the application/
      })
      client.close()
    }
  })
}
