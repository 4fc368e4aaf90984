import { indexedDbStore, localStorageStore, memoryStore, type PositionStore } from '@realtime-platform/client'
import { IDBFactory } from 'fake-indexeddb'
import t from 'tap'
import { build, listen } from '../support/build.ts'
import { openStreams, recorder } from '../support/streams.ts'
import { until } from '../support/waiting.ts'

const { app } = await build(t)
const url = await listen(app)

/** The part of `localStorage` that the store uses, with a quota in characters. */
function storage (quota = Infinity) {
  const items = new Map<string, string>()
  return {
    items,
    getItem: (key: string) => items.get(key) ?? null,
    setItem (key: string, value: string) {
      if (value.length > quota) throw new DOMException('full', 'QuotaExceededError')
      items.set(key, value)
    }
  }
}

const indexedDB = new IDBFactory()
Object.assign(globalThis, { indexedDB })
const web = storage()
const stores: Record<string, () => PositionStore & { flush?: () => Promise<void> }> = {
  memory: (store => () => store)(memoryStore()),
  localStorage: () => localStorageStore({ storage: web, prefix: 'test:' }),
  IndexedDB: () => indexedDbStore({ name: 'test', writeDelayMs: 1 })
}

for (const [name, open] of Object.entries(stores)) {
  t.test(`${name}: a reload continues after the last handled event`, async t => {
    const streams = await openStreams(t, app, url)
    await streams.publish(await streams.topic('order.placed'), 'before')
    const seen: unknown[] = []
    for (const round of [0, 1, 2]) {
      const client = streams.open()
      const store = open()
      const { seen: now, handler, onGap, has } = recorder()
      // Between two reloads, one event is handled live and one was published while the page was away.
      await client.topic('order.*').subscribe(handler, { store, storeKey: 'orders', onGap }).ready
      await has(round === 0 ? 0 : 1)
      await streams.publish('order.placed', 2 * round)
      await has(round === 0 ? 1 : 2)
      client.disconnect()
      await store.flush?.()
      await streams.publish('order.placed', 2 * round + 1)
      seen.push(...now)
    }
    t.same(seen, [0, 1, 2, 3, 4])
    t.equal(await open().get('other'), undefined)
  })
}

t.test('a stored position that cannot be read ends the subscription, and nothing is skipped', async t => {
  const { client, topic } = await openStreams(t, app, url)
  const name = await topic('order.placed')
  const failing = (store: PositionStore) =>
    client.topic(name).subscribe(() => {}, { store, storeKey: 'k', onError: () => {} }).closed
  const damaged = storage()
  for (const text of ['{', '5', '{"order.placed":{"offset":"x"}}', '{"order.placed":null}']) {
    damaged.items.set('realtime:k', text)
    await t.rejects(failing(localStorageStore({ storage: damaged })), { code: 'STORE_FAILED' }, text)
  }
  await t.rejects(failing(localStorageStore()), { code: 'STORE_FAILED' }, 'no localStorage')
  const refused = { get: async () => { throw new Error('refused') }, set: () => {} }
  await t.rejects(failing(refused), { code: 'STORE_FAILED', message: /refused/ })
})

t.test('a position that cannot be written is reported once, and events go on', async t => {
  const { client, topic, publish, errors } = await openStreams(t, app, url)
  const name = await topic('order.placed')
  const { seen, handler, has } = recorder()
  const sink = localStorageStore({ storage: storage(1) })
  await client.topic(name).subscribe(handler, { store: sink }).ready
  await publish(name, 1, 2, 3)
  await has(3)
  t.same(seen, [1, 2, 3])
  t.same(errors, ['STORE_FAILED'])
})

t.test('a position of another topic is not used', async t => {
  const { client, topic, publish } = await openStreams(t, app, url)
  const name = await topic('order.placed')
  await publish(name, 1)
  const store = memoryStore()
  await store.set('k', { 'stock.moved': { offset: 0 } })
  const { seen, handler, has } = recorder()
  await client.topic(name).subscribe(handler, { store, storeKey: 'k' }).ready
  await publish(name, 2)
  await has(1)
  t.same(seen, [2])
})

t.test('IndexedDB: a read returns a position that still waits to be written; the latest one is stored', async t => {
  const store = indexedDbStore({ name: 'waiting', writeDelayMs: 3_600_000 })
  const positions = { a: { offset: 1 } }
  await store.set('k', positions)
  t.same(await store.get('k'), { a: { offset: 1 } })
  positions.a.offset = 2
  await store.set('k', positions)
  await store.flush()
  t.same(await indexedDbStore({ name: 'waiting' }).get('k'), { a: { offset: 2 } })
})

t.test('IndexedDB: a failed write is reported with the next position, and repeated', async t => {
  const store = indexedDbStore({ name: 'failing', writeDelayMs: 1 })
  await store.set('k', { a: { offset: 1 } })
  await store.flush()
  const { open } = indexedDB
  const other = indexedDbStore({ name: 'failing', writeDelayMs: 1 })
  indexedDB.open = () => { throw new Error('private mode') }
  t.teardown(() => { indexedDB.open = open })
  await t.rejects(async () => await other.get('k'), { message: 'private mode' })
  await until(() => {
    try {
      void other.set('k', { a: { offset: 2 } })
      return false
    } catch (error) {
      return error instanceof Error && error.message === 'private mode'
    }
  }, 'the report')
  indexedDB.open = open
  await other.flush()
  t.same(await store.get('k'), { a: { offset: 2 } })
})
