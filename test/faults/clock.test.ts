import { extname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import pg from 'pg'
import t from 'tap'
import { transports } from '../support/clients.ts'
import { createDatabase } from '../support/database.ts'
import { startNodeProcesses } from '../support/node-processes.ts'
import { Publisher } from '../support/publisher.ts'
import { startRedis } from '../support/redis.ts'
import { call, made, type Reply } from '../support/rest.ts'
import { join as joinChannel } from '../support/room.ts'
import { openShop } from '../support/shop.ts'
import { arrived, Subscriber } from '../support/subscriber.ts'
import { until } from '../support/waiting.ts'
import { receiver } from '../support/webhook-receiver.ts'

/* The clock of one of two nodes is set ten minutes ahead, then ten minutes back. */

t.setTimeout(600_000)

const clock = pathToFileURL(join(import.meta.dirname, `fixtures/stepping-clock${extname(import.meta.filename)}`)).href
const redis = await startRedis(t)

t.test('a node with a wrong clock', { skip: redis === undefined && 'redis-server is not installed' }, async t => {
  if (redis === undefined) return
  const databaseUrl = await createDatabase(t)
  const endpoint = await receiver(t)
  const nodes = await startNodeProcesses(t, 2, {
    databaseUrl,
    redisUrl: redis.url,
    execArgv: ['--import', clock],
    variables: { WEBHOOK_ALLOW_PRIVATE: 'true', WEBHOOK_RETRY_SCHEDULE: '100ms,100ms,100ms' }
  })
  const [right, wrong] = nodes
  const shop = await openShop(right.url)
  const { token, topic } = shop
  const db = new pg.Client({ connectionString: databaseUrl })
  await db.connect()
  t.teardown(() => db.end())
  await made(
    call('POST', `${right.url}/api/webhooks`, {
      token,
      body: { url: endpoint.url, events: ['topic.event'], ordering: 'key' }
    })
  )
  const subscribers = await Promise.all(
    nodes.flatMap(({ url }) => [
      new Subscriber(shop, () => url).start(), new Subscriber(shop, () => url, 'socket.io').start()
    ])
  )
  t.teardown(() => {
    for (const subscriber of subscribers) subscriber.stop()
  })
  const member = await (transports[1] as typeof transports[number]).connect(wrong.url, { token })
  await joinChannel(member, 'room')
  const statusOf = async (url: string, token: string): Promise<number> =>
    (await call('GET', `${url}/api/topics`, { token })).status
  const tokenFor = async (url: string, expiresIn: number) =>
    (await made<{ token: string }>(
      call('POST', `${url}/auth/token`, {
        token: shop.sessionToken,
        body: { applicationId: shop.applicationId, permissions: ['admin'], expiresIn }
      })
    )).token
  const short = await tokenFor(right.url, 300)
  let events = 0

  for (const [name, minutes] of [['ahead', 10], ['back', -10]] as const) {
    await t.test(`ten minutes ${name}`, async t => {
      const document = `d-${name}`
      await made(
        call('POST', `${right.url}/api/sync/cart/documents`, {
          token,
          body: { id: document, data: {}, expiresAt: Date.now() + 300_000 }
        })
      )
      wrong.server.kill('SIGWINCH')
      // A new token, so that its time is checked instead of cached.
      await until(
        async () => await statusOf(wrong.url, await tokenFor(right.url, 300)) === (minutes > 0 ? 401 : 200),
        'the clock to be set'
      )
      const soon: Reply = await call('POST', `${wrong.url}/api/sync/cart/documents`, {
        token,
        body: { id: `${document}-soon`, data: {}, expiresAt: Date.now() + 6000 }
      })
      t.equal(soon.status, 201)
      const publishers = nodes.map(({ url }, n) =>
        new Publisher(shop, () => url, `${name}${n}`).start({ atOnce: 4, most: 100 })
      )
      for (const publisher of publishers) await publisher.done()
      events += 200
      await arrived(t, subscribers, events)
      t.same(subscribers.map(({ connections }) => connections), [1, 1, 1, 1], 'no connection was closed')
      const log = await made<{ timestamp: number }[]>(
        call('GET', `${right.url}/api/topics/${topic}/events?limit=1000&after=${events - 200}`, { token })
      )
      t.ok(
        log.every(({ timestamp }) => Math.abs(timestamp - Date.now()) < 60_000),
        'its writes have the time that all nodes share'
      )
      for (const { url } of nodes) {
        t.equal(
          (await call('GET', `${url}/api/sync/cart/documents/${document}`, { token })).status,
          200,
          'a document lives until it expires'
        )
      }
      await until(
        async () =>
          (await db.query('select 1 from documents where id = $1 and deleted', [`${document}-soon`])).rowCount === 1,
        'the expired document to be deleted',
        60_000
      )
      t.equal(
        (await db.query('select 1 from documents where id = $1 and deleted', [document])).rowCount, 0, 'and no other'
      )
      const { body: members } = await call('GET', `${right.url}/api/socket/channels/room/members`, { token })
      t.equal((members as unknown[]).length, 1, 'its members are present')
      await endpoint.came(events)
      t.equal(endpoint.received.length, events, 'each webhook was sent once')
      t.equal(new Set(endpoint.received.map(({ id }) => id)).size, events)
    })
  }

  await t.test('tokens and sessions are checked by the clock of the node that receives the request', async t => {
    wrong.server.kill('SIGWINCH')
    await until(async () => await statusOf(wrong.url, await tokenFor(right.url, 300)) === 200, 'the right time')
    t.equal(await statusOf(right.url, short), 200)
    wrong.server.kill('SIGWINCH')
    await until(async () => await statusOf(wrong.url, await tokenFor(right.url, 300)) === 401, 'ten minutes ahead')
    t.equal(
      await statusOf(wrong.url, short), 401,
      'a token valid for five more minutes has expired on a node ten minutes ahead'
    )
    t.equal(await statusOf(right.url, short), 200, 'the token is valid on the other node')
    for (const { url } of nodes) {
      t.equal(
        (await call('GET', `${url}/api/auth/me`, { token: shop.sessionToken })).status,
        200,
        'a session of a day is valid on both'
      )
    }
  })
  member.close()
})
