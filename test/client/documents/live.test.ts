import { ConflictError, RealtimeClient, type DocumentSnapshot, type LiveDocument } from '@realtime-platform/client'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import { build, listen } from '../../support/build.ts'
import { tenant } from '../../support/tenant.ts'
import { until } from '../../support/waiting.ts'

interface Cart { items: { sku: string, count: number }[], total: number, note?: string, owner?: { name: string } }

const { app } = await build(t)
const url = await listen(app)
const shop = await tenant(app)
let nextId = 0

/** Connects a client, with the permissions, until the end of the test. */
function connect (t: { teardown: (end: () => void) => void }, permissions?: string[], subject?: string) {
  const token = shop.token(permissions, subject === undefined ? {} : { subject })
  const client = new RealtimeClient({ url, token, lingerMs: 20 })
  client.on('error', () => {})
  t.teardown(() => client.disconnect())
  return client
}

/** Returns a document that does not exist yet, at each of some clients. */
function pair (t: { teardown: (end: () => void) => void }) {
  const id = `cart-${nextId++}`
  const clients = [connect(t), connect(t)] as const
  const [mine, theirs] = clients.map(client => client.document<Cart>('cart', id)) as
    [LiveDocument<Cart>, LiveDocument<Cart>]
  return { id, clients, mine, theirs }
}

/** Returns how many subscriptions the server has. */
async function subscriptionsOf (app: FastifyInstance): Promise<number> {
  return Number(/^realtime_subscriptions (\d+)$/m.exec(await app.instruments.registry.metrics())?.[1])
}

const isLive = (document: LiveDocument<Cart>, data: Cart) => () =>
  document.status === 'live' && JSON.stringify(document.data) === JSON.stringify(data)

await t.test('a document is live for all who listen, from its creation to its deletion', async t => {
  const { mine, theirs } = pair(t)
  mine.subscribe(() => {})
  theirs.subscribe(() => {})
  await until(() => mine.status === 'missing' && theirs.status === 'missing', 'an answer about a missing document')
  t.equal(mine.revision, 0)

  await mine.create({ items: [], total: 0 })
  await until(isLive(theirs, { items: [], total: 0 }), 'the creation')
  t.equal(theirs.revision, 1)
  await theirs.mutate([
    { op: 'append', path: '/items', value: { sku: 'lamp', count: 1 } }, { op: 'increment', path: '/total', value: 20 }
  ])
  await until(isLive(mine, { items: [{ sku: 'lamp', count: 1 }], total: 20 }), 'the mutation')
  await mine.merge({ note: 'gift' })
  await until(isLive(theirs, { items: [{ sku: 'lamp', count: 1 }], total: 20, note: 'gift' }), 'the merge')
  await theirs.replace({ items: [], total: 0 })
  await until(isLive(mine, { items: [], total: 0 }), 'the replacement')
  await mine.delete()
  await until(() => theirs.status === 'missing', 'the deletion')
  t.match([mine.data, theirs.data, mine.revision], [undefined, undefined, 5])
  await theirs.create({ items: [], total: 1 })
  await until(isLive(mine, { items: [], total: 1 }), 'the second creation')
  t.equal(mine.revision, 6, 'revisions continue')
})

await t.test('a write shows at once, and an increment never shows twice', async t => {
  const { mine, theirs } = pair(t)
  await mine.create({ items: [], total: 0 })
  const shown: (number | undefined)[] = []
  mine.subscribe(() => shown.push(mine.data?.total))
  theirs.subscribe(() => {})
  await until(() => mine.status === 'live' && theirs.status === 'live', 'live documents')
  shown.length = 0
  const writes = Array.from({ length: 50 }, () => mine.mutate([{ op: 'increment', path: '/total' }]))
  t.equal(mine.data?.total, 50, 'before any answer')
  t.equal(mine.getSnapshot().pending, 50)
  await Promise.all(writes)
  t.equal(mine.confirmed?.total, 50)
  await until(() => theirs.data?.total === 50, 'the others')
  t.ok(shown.every((total, i) => i === 0 || (total ?? 0) >= (shown[i - 1] ?? 0)), shown.join())
  t.equal(Math.max(...shown.map(Number)), 50)
})

await t.test('a refused write is rolled back, and the later ones stay', async t => {
  const { mine } = pair(t)
  await mine.create({ items: [], total: 1 })
  mine.subscribe(() => {})
  await until(() => mine.status === 'live', 'a live document')
  const first = mine.merge({ note: 'kept' })
  const refused = mine.mutate([{ op: 'set', path: '/constructor', value: 1 }])
  const last = mine.mutate([{ op: 'increment', path: '/total' }])
  t.match(mine.data, { note: 'kept', total: 2, constructor: 1 }, 'all show')
  await t.rejects(refused, { code: 'VALIDATION_FAILED', status: 400 })
  await Promise.all([first, last])
  t.strictSame(mine.data, { items: [], total: 2, note: 'kept' })
  t.strictSame(mine.confirmed, mine.data)

  await t.rejects(mine.mutate([{ op: 'remove', path: '/absent' }]), { code: 'MUTATION_FAILED' })
  await t.rejects(mine.create({ items: [], total: 9 }), { code: 'DOCUMENT_EXISTS' })
  t.strictSame(mine.data, { items: [], total: 2, note: 'kept' }, 'a write that cannot apply never shows')
})

await t.test('a write that expects another revision is a conflict, which names the revision', async t => {
  const { mine, theirs, id, clients } = pair(t)
  await mine.create({ items: [], total: 1 })
  mine.subscribe(() => {})
  await until(() => mine.status === 'live', 'a live document')
  await theirs.merge({ total: 2 })
  for (
    const write of [
      () => mine.merge({ total: 3 }, { expectedRevision: 1 }),
      () => mine.replace({ items: [], total: 3 }, { expectedRevision: 1 }),
      () => mine.mutate([{ op: 'increment', path: '/total' }], { expectedRevision: 1 }),
      () => mine.delete({ expectedRevision: 1 }),
      () => clients[0].sync.delete('cart', id, { expectedRevision: 1 })
    ]
  ) {
    const error = await write().then(() => undefined, (error: unknown) => error)
    t.type(error, ConflictError)
    t.equal((error as ConflictError).revision, 2)
  }
  await until(() => mine.data?.total === 2, 'their write')
  t.equal((await mine.merge({ total: 3 }, { expectedRevision: 2 })).revision, 3)
})

await t.test('parts that a change does not touch stay identical', async t => {
  const { mine, theirs } = pair(t)
  await mine.create({ items: [{ sku: 'lamp', count: 1 }, { sku: 'desk', count: 2 }], total: 3, owner: { name: 'Ada' } })
  mine.subscribe(() => {})
  await until(() => mine.status === 'live', 'a live document')
  const before = mine.getSnapshot()
  t.equal(mine.getSnapshot(), before, 'a snapshot is the same object until something changes')
  await theirs.mutate([{ op: 'increment', path: '/items/1/count' }])
  await until(() => mine.data?.items[1]?.count === 3, 'their change')
  const after = mine.getSnapshot()
  t.equal(after.data?.owner, before.data?.owner)
  t.equal(after.data?.items[0], before.data?.items[0])
  t.not(after.data?.items, before.data?.items)
  await mine.merge({ note: 'x' })
  t.equal(mine.data?.items, after.data?.items, 'also after an answer with the whole document')
  t.equal(mine.data, mine.confirmed)
})

await t.test('all who use a document in a client share it, its subscription and its reads', async t => {
  const { id, clients: [client], mine } = pair(t)
  await mine.create({ items: [], total: 0 })
  t.equal(client.document('cart', id), mine)
  const ends = Array.from({ length: 3 }, () => mine.subscribe(() => {}))
  await until(() => mine.status === 'live', 'a live document')
  const count = () => subscriptionsOf(app)
  await until(async () => await count() === 1, 'one subscription, after the earlier tests')
  for (const end of ends) end()
  await until(async () => await count() === 0, 'the end of the subscription')
  t.equal(mine.status, 'stale')
  await client.sync.merge('cart', id, { total: 7 })
  t.strictSame(await mine.get(), { items: [], total: 7 }, 'without listeners, `get` reads')
  mine.subscribe(() => {})
  await until(() => mine.status === 'live', 'a live document again')
})

await t.test('a document that may not be read fails with the reason, and heals with another credential', async t => {
  const { id, mine } = pair(t)
  await mine.create({ items: [], total: 0 })
  const client = connect(t, ['topics:read'], 'guest')
  const document = client.document<Cart>('cart', id)
  const snapshots: DocumentSnapshot<Cart>[] = []
  document.subscribe(() => snapshots.push(document.getSnapshot()))
  // The server refuses the subscription as well, maybe before the read.
  await until(() => document.status === 'failed' && document.error?.status === 403, 'the refusal of the read')
  t.match(document.error, { code: 'PERMISSION_DENIED' })
  t.equal(document.data, undefined)
  await t.rejects(document.get(), { code: 'PERMISSION_DENIED' })
  await t.rejects(document.merge({ total: 1 }), { code: 'PERMISSION_DENIED' })
  await client.setToken(shop.token(['admin'], { subject: 'guest' }))
  await until(() => document.status === 'live', 'the document')
  t.equal(document.error, undefined)
})

await t.test('a credential that may write but not read gets no data, and its writes settle', async t => {
  const { id, mine } = pair(t)
  await mine.create({ items: [], total: 0 })
  const document = connect(t, ['documents:update']).document<Cart>('cart', id)
  document.subscribe(() => {})
  const answer = await document.mutate([{ op: 'increment', path: '/total' }])
  t.equal(answer.revision, 2)
  t.notOk('data' in answer)
  t.equal(document.getSnapshot().pending, 0)
  t.strictSame(await mine.get(), { items: [], total: 1 })
})

await t.test('an expired document is missing', async t => {
  const { id, mine, theirs } = pair(t)
  theirs.subscribe(() => {})
  await mine.create({ items: [], total: 0 }, { expiresAt: Date.now() + 3_600_000 })
  await until(() => theirs.status === 'live', 'the creation')
  // An hour passes.
  await app.pool.query('update documents set expires_at = expires_at - 3600000 where id = $1', [id])
  await until(() => theirs.status === 'missing', 'the expiry')
})

await t.test('`sync` reads and writes without a live view', async t => {
  const { clients: [{ sync }] } = pair(t)
  const created = await sync.create('list', { n: 0 })
  t.match(created, { service: 'list', id: /^doc_/, revision: 1, data: { n: 0 } })
  const { id } = created
  t.same((await sync.mutate('list', id, [{ op: 'increment', path: '/n' }])).data, { n: 1 })
  t.same((await sync.merge('list', id, { a: { b: 1 } })).data, { n: 1, a: { b: 1 } })
  t.same((await sync.replace('list', id, { n: 5 })).data, { n: 5 })
  t.match(await sync.get('list', id), { id, revision: 4, data: { n: 5 }, createdAt: created.createdAt })
  const retry = { idempotencyKey: 'one' }
  await sync.merge('list', id, { n: 6 }, retry)
  t.equal((await sync.merge('list', id, { n: 6 }, retry)).revision, 5, 'a key is used once')
  await Promise.all(Array.from({ length: 5 }, (_, i) => sync.create('list', { i }, `more-${i}`)))
  const ids = []
  for await (const document of sync.list('list', { pageSize: 2 })) ids.push(document.id)
  t.same(ids.sort(), [id, ...[0, 1, 2, 3, 4].map(i => `more-${i}`)].sort())
  t.match(await sync.delete('list', id), { deleted: true, revision: 6 })
  await t.rejects(sync.get('list', id), { code: 'DOCUMENT_NOT_FOUND', status: 404 })
})

await t.test('a write ends when its signal is aborted, and nothing optimistic remains', async t => {
  const { mine } = pair(t)
  await mine.create({ items: [], total: 0 })
  mine.subscribe(() => {})
  await until(() => mine.status === 'live', 'a live document')
  const abort = new AbortController()
  const sent = mine.mutate([{ op: 'increment', path: '/total' }], { signal: abort.signal })
  const waiting = mine.mutate([{ op: 'increment', path: '/total', value: 100 }], { signal: abort.signal })
  abort.abort()
  await t.rejects(sent, { name: 'AbortError' })
  await t.rejects(waiting, { name: 'AbortError' })
  await until(() => mine.status === 'live' && mine.getSnapshot().pending === 0, 'a live document again')
  t.ok((mine.data?.total ?? 100) <= 1, 'the first may have been carried out')
  t.equal(mine.data, mine.confirmed)
})
