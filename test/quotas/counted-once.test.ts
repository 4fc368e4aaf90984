import t from 'tap'
import type { QuotasChange } from '../../schemas/quotas.ts'
import { build } from '../support/build.ts'
import { person } from '../support/people.ts'
import type { Teardown } from '../support/teardown.ts'
import { tenant, type Tenant } from '../support/tenant.ts'
import { until } from '../support/waiting.ts'

/* Counts that are stored between two exchanges are neither forgotten nor counted twice. */

t.setTimeout(600_000)
const { app } = await build(t, { variables: { QUOTA_DOCUMENTS: '3' } })
const root = await person(app, 'super_admin')

async function limit (shop: Tenant, quotas: QuotasChange): Promise<void> {
  const { status, text } = await root.request('PUT', `/api/applications/${shop.applicationId}/quotas`, quotas)
  if (status !== 200) throw new Error(text)
  await app.quotas.node.exchange()
}

/** Keeps the node from exchanging by itself. The returned function is an exchange. */
function withoutExchanges (t: Teardown): () => Promise<void> {
  const { node } = app.quotas
  const exchange = node.exchange.bind(node)
  node.exchange = async () => {}
  t.teardown(() => { node.exchange = exchange })
  return exchange
}

const usage = (shop: Tenant) => shop.request('GET', `/api/applications/${shop.applicationId}/usage`)

await t.test('reading the usage does not make room', async t => {
  const shop = await tenant(app)
  const topic = await shop.topic('q.bytes')
  await limit(shop, { bytesStored: 2000, documents: 2 })
  const counted = () => app.pool.query('select 1 from application_documents where application_id = $1', [
    shop.applicationId
  ])
  await until(async () => (await counted()).rowCount === 1, 'the documents to be counted')
  await app.quotas.node.exchange()
  const exchange = withoutExchanges(t)
  const create = () => shop.request('POST', '/api/sync/cart/documents', { data: {} })
  const publish = () => shop.request('POST', `/api/topics/${topic}/events`, { payload: 'x'.repeat(898) })
  t.same([(await create()).status, (await create()).status, (await create()).status], [201, 201, 429])
  t.equal((await publish()).status, 201)
  for (let i = 0; i < 3; i++) {
    t.equal((await usage(shop)).status, 200)
    t.equal((await create()).status, 429)
    t.equal((await publish()).status, 429)
  }
  await exchange()
  t.same([(await create()).status, (await publish()).status], [429, 429])
  t.same(app.quotas.recorder.unread(shop.applicationId), { bytes: 0, documents: 0 }, 'counted once')
})

await t.test('a flush or an exchange that fails does not make room', async t => {
  const shop = await tenant(app)
  const topic = await shop.topic('q.bytes')
  await limit(shop, { bytesStored: 1500 })
  const exchange = withoutExchanges(t)
  const publish = () => shop.request('POST', `/api/topics/${topic}/events`, { payload: 'x'.repeat(998) })
  t.equal((await publish()).status, 201)
  const query = app.pool.query.bind(app.pool) as (...args: unknown[]) => Promise<unknown>
  t.teardown(() => { Reflect.deleteProperty(app.pool, 'query') })
  for (const failing of ['usage_add', 'quotas_read']) {
    Object.assign(app.pool, {
      query: async (...args: unknown[]) => {
        if ((args[0] as { name?: string }).name !== failing) return await query(...args)
        t.equal((await publish()).status, 429, 'while the statement runs')
        throw new Error('no database')
      }
    })
    await t.rejects(exchange(), /no database/)
    Reflect.deleteProperty(app.pool, 'query')
    t.equal((await publish()).status, 429)
    t.equal(app.quotas.recorder.unread(shop.applicationId).bytes, 1000)
  }
  await exchange()
  t.equal(app.quotas.recorder.unread(shop.applicationId).bytes, 0)
  t.equal((await publish()).status, 429)
})

await t.test('the default of the server holds for an application whose documents were never counted', async t => {
  const shop = await tenant(app)
  const create = () => shop.request('POST', '/api/sync/cart/documents', { data: {} })
  t.same([(await create()).status, (await create()).status], [201, 201])
  await app.quotas.node.exchange()
  t.equal((await create()).status, 201)
  await app.quotas.node.exchange()
  await app.quotas.node.exchange()
  t.equal((await create()).status, 429)
})

await t.test('an idle application is not read each second, and is again once it writes', async t => {
  const shop = await tenant(app)
  await limit(shop, { bytesStored: 2000 })
  const query = app.pool.query.bind(app.pool) as (...args: unknown[]) => Promise<unknown>
  t.teardown(() => { Reflect.deleteProperty(app.pool, 'query') })
  let isRead: boolean | undefined
  Object.assign(app.pool, {
    query: async (...args: unknown[]) => {
      const { name, values } = args[0] as { name?: string, values?: [string, Buffer, boolean[]] }
      if (name === 'quotas_read' && values?.[1].includes(shop.applicationId) === true) {
        isRead = values[2].some(isActive => isActive)
      }
      return await query(...args)
    }
  })
  await until(() => isRead === false, 'the application to be idle')
  await shop.request('POST', '/api/sync/cart/documents', { data: {} })
  await app.quotas.node.exchange()
  await app.quotas.node.exchange()
  t.equal(isRead, true)
  const stored = app.quotas.guard.storedBytes.get(shop.applicationId) ?? 0
  t.ok(stored > 0)
})
