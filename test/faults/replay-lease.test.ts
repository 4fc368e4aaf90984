import { extname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import pg from 'pg'
import t from 'tap'
import { testKey } from '../support/build.ts'
import { createDatabase } from '../support/database.ts'
import { call, made } from '../support/rest.ts'
import { dataFolder, start } from '../support/server-process.ts'
import { openShop } from '../support/shop.ts'
import { eventually, until } from '../support/waiting.ts'
import { receiver } from '../support/webhook-receiver.ts'

/*
 * The clocks of two nodes differ by ten minutes, and the one that leads a replay is suspended: the other takes over
 * when the lease has ended by the database's clock.
 */

t.setTimeout(180_000)

const clock = pathToFileURL(join(import.meta.dirname, `fixtures/stepping-clock${extname(import.meta.filename)}`)).href
/** At 20 per second, the replay goes on for seconds after each change of its leader. */
const events = 200
const leaseMs = 10_000

interface Row {
  lease_owner: string | null
  fence: number
  position: number
  state: string
  /** Milliseconds since the epoch. */
  expires_at: number
}

t.test('a replay changes its leader only after the lease has ended by the clock of the database', async t => {
  const databaseUrl = await createDatabase(t)
  const startNode = async () => {
    const server = await start(t, {
      dataDir: await dataFolder(t),
      execArgv: ['--import', clock],
      variables: {
        DATABASE_URL: databaseUrl, ENCRYPTION_KEY: testKey, LOG_LEVEL: 'info', WEBHOOK_ALLOW_PRIVATE: 'true'
      }
    })
    // A suspended process would not stop.
    t.teardown(() => { server.kill('SIGCONT') })
    return server
  }
  // The first node migrates.
  const nodes = [await startNode(), await startNode()] as const
  const [right, ahead] = nodes
  const shop = await openShop(right.address)
  const { token, topic } = shop
  ahead.kill('SIGWINCH')
  const shortToken = async () =>
    (await made<{ token: string }>(
      call('POST', `${right.address}/auth/token`, {
        token: shop.sessionToken,
        body: { applicationId: shop.applicationId, permissions: ['admin'], expiresIn: 300 }
      })
    )).token
  await until(
    async () => (await call('GET', `${ahead.address}/api/topics`, { token: await shortToken() })).status === 401,
    'the clock to be set'
  )
  await made(
    call('POST', `${right.address}/api/topics/${topic}/events`, {
      token, body: { events: Array.from({ length: events }, (_, n) => ({ payload: { n } })) }
    })
  )
  const endpoint = await receiver(t)
  const { id: webhookId } = await made<{ id: string }>(
    call('POST', `${right.address}/api/webhooks`, { token, body: { url: endpoint.url, events: ['topic.event'] } })
  )
  const db = new pg.Client({ connectionString: databaseUrl })
  await db.connect()
  t.teardown(() => db.end())

  const { id } = await made<{ id: string }>(
    call('POST', `${right.address}/api/debugger/replay`, {
      token, body: { topic, fromOffset: 1, target: 'webhooks', webhookId, ratePerSecond: 20 }
    })
  )
  const read = async () => {
    const { rows: [row] } = await db.query<Row>(
      `select lease_owner, fence::int, position::int, state,
        (extract(epoch from lease_expires_at) * 1000)::float8 as expires_at from replays where id = $1`,
      [id]
    )
    if (row === undefined) throw new Error('the replay is gone')
    return row
  }
  const led = await eventually(async () => {
    const row = await read()
    return row.position >= 60 && row
  })
  t.equal(led.fence, 1, 'the clock of the other node does not end the lease')

  const idOf = async (url: string) => (await made<{ node: string }>(call('GET', `${url}/health`))).node
  const leader = await idOf(right.address) === led.lease_owner ? right : ahead
  leader.kill('SIGSTOP')
  // A statement that was sent before the stop may still extend the lease.
  let last = led
  const taken = await eventually(async () => {
    const row = await read()
    if (row.lease_owner !== null && row.lease_owner !== led.lease_owner) return row
    last = row
    return false
  })
  t.ok(taken.fence > led.fence, 'the new leader has a new fence')
  t.ok(taken.expires_at - leaseMs >= last.expires_at, 'it was taken after it had ended')
  leader.kill('SIGCONT')

  await until(async () => (await read()).state === 'done', 'the replay to end')
  t.match(await made(call('GET', `${right.address}/api/debugger/replays/${id}`, { token })), {
    total: events, done: events, missing: 0, webhookDeliveries: events
  })
  const { rows: [created] } = await db.query<{ deliveries: number, events: number }>(
    'select count(*)::int as deliveries, count(distinct event_id)::int as events from webhook_deliveries ' +
      'where replay_of = $1',
    [id]
  )
  t.same(created, { deliveries: events, events }, 'each event has one delivery')
})
