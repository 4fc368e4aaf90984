/*
 * `npm run demo`: shows what the platform does, in a few seconds. It uses only the public API, so that you can copy
 * each function. The demo starts its own platform, next to a running one, and deletes it. PLATFORM_URL names another
 * platform to use, by default the one on port 3000, and DEMO_EMAIL and DEMO_PASSWORD a user of it. There,
 * DEMO_DATABASE_URL names a PostgreSQL to change rows in.
 */
import { randomBytes } from 'node:crypto'
import pg from 'pg'
import { createApi, type Api } from './api.ts'
import { findOrStart, type Platform } from './platform.ts'
import { connectSocketIo, connectWebSocket, type RealtimeEvent } from './subscribers.ts'

interface Tenant { applicationId: string, token: string, admin: Api, api: Api }

const email = process.env['DEMO_EMAIL'] ?? 'ada@example.com'
const givenPassword = process.env['DEMO_PASSWORD']
const password = givenPassword ?? randomBytes(12).toString('base64url')

const say = (line = '') => process.stdout.write(`${line}\n`)
const section = (title: string) => say(`\n${title}`)
const step = (what: string, result: string) => say(`  ${what.padEnd(36)}${result}`)
const arrived = (who: string, { topic, offset, payload }: RealtimeEvent) =>
  say(`  ${who.padEnd(11)}<- ${topic} #${offset}  ${JSON.stringify(payload)}`)

/** Creates the first user of a new platform, or logs in to one that is set up. Both return a session token. */
async function logIn ({ url, isOurs }: Platform): Promise<Api> {
  const guest = createApi(url)
  const { setupRequired } = await guest<{ setupRequired: boolean }>('GET', '/api/auth/setup-status')
  if (setupRequired) {
    await guest('POST', '/api/auth/setup', { name: 'Ada', email, password })
    step('POST /api/auth/setup', `the first user, ${email}${isOurs ? '' : `, with the password ${password}`}`)
  } else if (givenPassword === undefined) {
    throw new Error(`${url} is already set up. Set DEMO_EMAIL and DEMO_PASSWORD to the credentials of a user`)
  }
  const { sessionToken } = await guest<{ sessionToken: string }>('POST', '/api/auth/login', { email, password })
  step('POST /api/auth/login', 'a session, for people')
  return createApi(url, { authorization: sessionToken })
}

/** An application is a tenant: its topics, documents and events are invisible to others. */
async function createTenant (url: string, admin: Api): Promise<Tenant> {
  const { id: applicationId } = await admin<{ id: string }>('POST', '/api/applications', { name: 'Demo shop' })
  step('POST /api/applications', applicationId)
  const { token } = await admin<{ token: string }>('POST', '/auth/token', {
    applicationId, permissions: ['admin'], expiresIn: 600
  })
  step('POST /auth/token', 'a JWT for that application, for programs')
  return { applicationId, token, admin, api: createApi(url, { authorization: `Bearer ${token}` }) }
}

/** Events go to registered topics. Documents live in services, whose topics exist automatically. */
async function createTopicAndService ({ api }: Tenant): Promise<void> {
  await api('POST', '/api/topics', { name: 'order.placed', description: 'An order was placed', owner: 'demo' })
  step('POST /api/topics', 'order.placed')
  await api('POST', '/api/services', { name: 'cart', description: 'Shopping carts' })
  step('POST /api/services', 'cart, with sync.cart.created, .updated and .deleted')
}

const placeOrders = ({ api }: Tenant, ...totals: number[]) =>
  api<RealtimeEvent[]>('POST', '/api/topics/order.placed/events', {
    events: totals.map(total => ({ payload: { total } }))
  })

/** Writes one document three times. Each write is acknowledged when it and its event are committed together. */
async function writeDocument ({ api }: Tenant): Promise<void> {
  type Document = { id: string, revision: number, data: object }
  const show = ({ revision, data }: Document) => `revision ${revision}  ${JSON.stringify(data)}`
  const path = '/api/sync/cart/documents'
  const created = await api<Document>('POST', path, { data: { items: [], total: 0 } })
  step('POST  /api/sync/cart/documents', show(created))
  const merged = await api<Document>('PATCH', `${path}/${created.id}/merge`, { data: { total: 12, coupon: 'SPRING' } })
  step('PATCH …/merge', show(merged))
  const mutated = await api<Document>('POST', `${path}/${created.id}/mutate`, {
    mutations: [{ op: 'append', path: '/items', value: 'lamp' }, { op: 'increment', path: '/total', value: 30 }]
  })
  step('POST  …/mutate', show(mutated))
}

/** Disconnects while events are published, then resumes with `after`, which delivers them, and stays live. */
async function resume ({ url }: Platform, tenant: Tenant, last: { offset: number, epoch: string }): Promise<void> {
  const missed = await placeOrders(tenant, 70, 80)
  step('nobody listens', `published order.placed ${missed.map(({ offset }) => `#${offset}`).join(' ')}`)
  const subscriber = await connectSocketIo(url, tenant.token)
  const { recovered } = await subscriber.subscribe({ topic: 'order.placed', after: last.offset, epoch: last.epoch })
  step(`subscribe with after: ${last.offset}`, `recovered: ${recovered}`)
  await placeOrders(tenant, 90)
  for (const event of await subscriber.received(3)) arrived('Socket.IO', event)
  subscriber.close()
}

async function run (platform: Platform, tenant: Tenant): Promise<void> {
  section('Two subscribers')
  const orders = await connectSocketIo(platform.url, tenant.token)
  const { offset, epoch } = await orders.subscribe({ topic: 'order.placed' })
  step('Socket.IO: order.placed', `live from offset ${offset}`)
  const carts = await connectWebSocket(platform.url, tenant.token)
  await carts.subscribe({ topic: 'sync.cart.updated', returnMode: 'diff', filter: { 'data.total': { gte: 20 } } })
  step('/ws: sync.cart.updated', 'as diffs, only where data.total >= 20')

  section('Writes by REST')
  await writeDocument(tenant)
  const events = await placeOrders(tenant, 40, 50, 60)
  step('POST  …/order.placed/events', `a batch, stored as ${events.map(({ offset }) => `#${offset}`).join(' ')}`)

  section('Received events')
  const received = await orders.received(events.length)
  for (const event of received) arrived('Socket.IO', event)
  for (const event of await carts.received(1)) arrived('/ws', event)
  orders.close()
  carts.close()

  section('A connection is lost')
  await resume(platform, tenant, { offset: received.at(-1)?.offset ?? offset, epoch })
}

/** Changes a row in a database that has no connection to the platform's code, and receives the domain event. */
async function followDatabase (
  { url, databaseUrl }: Platform, { api, token }: Tenant, undo: (work: () => Promise<unknown>) => void
): Promise<void> {
  section('A row changes in a database')
  if (databaseUrl === undefined) {
    step('skipped', 'set DEMO_DATABASE_URL to a PostgreSQL with wal_level=logical to change rows in')
    return
  }
  const application = new pg.Client({ connectionString: databaseUrl })
  await application.connect()
  undo(() => application.end())
  await application.query('create table if not exists sessions (id text primary key, status text not null)')
  await application.query('alter table sessions replica identity full')
  undo(() => application.query('drop table if exists sessions'))

  await api('PUT', '/api/database/connection', { connectionString: databaseUrl })
  undo(() => api('DELETE', '/api/database/connection'))
  while ((await api<{ state: string }>('GET', '/api/database/connection')).state !== 'streaming') {
    await new Promise(resolve => setTimeout(resolve, 50))
  }
  step('PUT  /api/database/connection', 'the platform reads its replication stream')
  await api('POST', '/api/topics', {
    name: 'session.status', description: 'The status of a session has changed', owner: 'demo'
  })
  const { id: mappingId } = await api<{ id: string }>('POST', '/api/database/mappings', {
    table: 'sessions',
    topic: 'session.status',
    events: ['insert', 'update'],
    payload: { sessionId: '$row.id', status: '$row.status', was: '$old.status' },
    when: { changed: 'status' }
  })
  await api('POST', '/api/database/subscriptions', { mappingId })
  step('POST /api/database/mappings', 'rows of sessions -> session.status, when the status changes')

  const subscriber = await connectSocketIo(url, token)
  await subscriber.subscribe({ topic: 'session.status' })
  for (
    const sql of [
      "insert into sessions values ('s1', 'active')", "update sessions set status = 'active'",
      "update sessions set status = 'ended'"
    ]
  ) {
    await application.query(sql)
    step('SQL', sql)
  }
  for (const event of await subscriber.received(2)) arrived('Socket.IO', event)
  subscriber.close()
}

const undone: (() => Promise<unknown>)[] = []
let cleaning: Promise<void> | undefined

/** Undoes everything once, in reverse order. */
const cleanUp = () => (cleaning ??= (async () => {
  for (const work of undone.reverse()) await work()
})())

async function main (): Promise<void> {
  const began = Date.now()
  say('Realtime Platform: REST in, Socket.IO and WebSocket out')
  section('A platform and a tenant')
  const platform = await findOrStart(work => undone.push(work))
  step('platform', platform.isOurs ? `started at ${platform.url}, in a temporary folder` : `found at ${platform.url}`)
  const tenant = await createTenant(platform.url, await logIn(platform))
  undone.push(() => tenant.admin('DELETE', `/api/applications/${tenant.applicationId}?force=true`))
  await createTopicAndService(tenant)
  await run(platform, tenant)
  await followDatabase(platform, tenant, work => undone.push(work))
  await cleanUp()
  say(
    `\nDone in ${((Date.now() - began) / 1000).toFixed(1)} s; ${
      platform.isOurs ? 'the platform and its data are deleted' : 'the application is deleted'
    }.`
  )
  say('Your own: npm start, then http://127.0.0.1:3000/docs')
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    void cleanUp().finally(() => process.exit(1))
  })
}
main().catch(async (error: unknown) => {
  // After a signal, failures are expected.
  if (cleaning === undefined) {
    process.stderr.write(`\nThe demo failed: ${error instanceof Error ? error.message : String(error)}\n`)
  }
  await cleanUp()
  process.exitCode = 1
})
