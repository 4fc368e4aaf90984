import { randomUUID } from 'node:crypto'
import {
  memoryStorage, offlineQueue, RealtimeClient, type OfflineQueueOptions, type PendingWrite, type RealtimeError
} from '@realtime-platform/client'
import t from 'tap'
import { build, listen } from '../../support/build.ts'
import { tenant } from '../../support/tenant.ts'
import { until } from '../../support/waiting.ts'

interface Note { text: string, edits: number }

const { app } = await build(t)
const url = await listen(app)
const shop = await tenant(app)

/** The network of a client: whether its writes arrive, and whether their answers do. */
interface Link { writes: 'pass' | 'fail' | 'lose answers', sent: number }

/** Opens a client with an offline queue, as a page does; `reload` opens the next one on the same storage. */
function openPage (t: { teardown: (end: () => void) => void }, options: Partial<OfflineQueueOptions> = {}) {
  const link: Link = { writes: 'pass', sent: 0 }
  const refusals: [PendingWrite, RealtimeError][] = []
  const queue = { name: randomUUID(), storage: memoryStorage(), ...options }
  const client = new RealtimeClient({
    url,
    token: shop.token(),
    offline: offlineQueue({ ...queue, onRefused: (...refusal) => refusals.push(refusal) }),
    fetch: async (url, init) => {
      if (init.method === 'GET') return await fetch(url, init)
      if (link.writes === 'fail') throw new TypeError('offline')
      link.sent++
      const response = await fetch(url, init)
      if (link.writes === 'lose answers') throw new TypeError('offline')
      return response
    }
  })
  t.teardown(() => client.disconnect())
  const reload = () => {
    client.disconnect()
    return openPage(t, queue)
  }
  return { client, link, refusals, queue, reload }
}

await t.test('writes made offline show, survive a reload, and are sent in their order', async t => {
  const page = openPage(t)
  const id = randomUUID()
  const before = page.client.document<Note>('note', id)
  before.subscribe(() => {})
  await before.create({ text: '', edits: 0 })
  await until(() => before.status === 'live', 'a live document')
  page.link.writes = 'fail'
  for (const text of ['a', 'b', 'c']) {
    void before.mutate([{ op: 'increment', path: '/edits' }, { op: 'set', path: '/text', value: text }])
  }
  t.strictSame(before.data, { text: 'c', edits: 3 })
  await until(async () => (await page.queue.storage.list()).length === 3, 'stored writes')

  const next = page.reload()
  next.link.writes = 'fail'
  const counts: number[] = []
  next.client.pending.subscribe(() => counts.push(next.client.pending.getSnapshot().count))
  const after = next.client.document<Note>('note', id)
  after.subscribe(() => {})
  await until(() => after.data?.edits === 3, 'the pending writes on top of what the server has')
  t.strictSame([after.confirmed, after.data], [{ text: '', edits: 0 }, { text: 'c', edits: 3 }])
  t.match(next.client.pending.getSnapshot(), { count: 3, writes: [{ service: 'note', id, op: 'mutate' }, {}, {}] })
  next.link.writes = 'pass'
  await until(() => next.client.pending.getSnapshot().count === 0, 'the answers')
  t.equal(after.revision, 4)
  t.strictSame(after.confirmed, { text: 'c', edits: 3 })
  t.equal(after.data, after.confirmed)
  t.same(await next.queue.storage.list(), [])
  t.same(counts.slice(-3), [2, 1, 0])
})

await t.test('a write that was carried out before a reload is not carried out again', async t => {
  const page = openPage(t)
  const id = randomUUID()
  const before = page.client.document<Note>('note', id)
  await before.create({ text: '', edits: 0 })
  page.link.writes = 'lose answers'
  void before.mutate([{ op: 'increment', path: '/edits' }])
  await until(async () => (await page.client.sync.get('note', id)).revision === 2, 'a write without an answer')
  const next = page.reload()
  await until(() => next.link.sent > 0 && next.client.pending.getSnapshot().count === 0, 'the answer')
  t.match(await next.client.sync.get('note', id), { revision: 2, data: { edits: 1 } })
})

await t.test('a write made at once after a reload is sent after those from before', async t => {
  const page = openPage(t)
  const id = randomUUID()
  const before = page.client.document<Note>('note', id)
  await before.create({ text: '', edits: 0 })
  page.link.writes = 'fail'
  for (const text of ['a', 'b']) void before.merge({ text })
  await until(async () => (await page.queue.storage.list()).length === 2, 'stored writes')
  const next = page.reload()
  next.link.writes = 'fail'
  const after = next.client.document<Note>('note', id)
  const shown = after.merge({ text: 'c' })
  await until(() => next.client.pending.getSnapshot().count === 3, 'the writes from before')
  t.match(next.client.pending.getSnapshot().writes.map(({ body }) => body.data), [
    { text: 'a' }, { text: 'b' }, { text: 'c' }
  ])
  next.link.writes = 'pass'
  t.match(await shown, { revision: 4, data: { text: 'c' } })
})

await t.test('a refusal after a reload is reported and rolled back', async t => {
  const page = openPage(t)
  const id = randomUUID()
  const before = page.client.document<Note>('note', id)
  await before.create({ text: '', edits: 0 })
  page.link.writes = 'fail'
  const late = before.merge({ text: 'late' }, { expectedRevision: 1 })
  void before.mutate([{ op: 'increment', path: '/edits' }])
  await until(async () => (await page.queue.storage.list()).length === 2, 'stored writes')
  await shop.request('PATCH', `/api/sync/note/documents/${id}/merge`, { data: { text: 'theirs' } })
  const next = page.reload()
  const after = next.client.document<Note>('note', id)
  after.subscribe(() => {})
  await t.rejects(late, { code: 'REVISION_MISMATCH', revision: 2 }, 'the page that is still open gets the outcome')
  await until(async () => (await next.queue.storage.list()).length === 0, 'the answers')
  t.match(next.refusals, [[{ op: 'merge' }, { code: 'REVISION_MISMATCH', revision: 2 }]])
  await until(() => after.status === 'live', 'the document')
  t.strictSame(after.data, { text: 'theirs', edits: 1 })
})

await t.test('a full queue refuses a write, and writes that are too old to repeat expire', async t => {
  const storage = memoryStorage()
  const page = openPage(t, { storage, max: 2 })
  page.link.writes = 'fail'
  const document = page.client.document<Note>('note', randomUUID())
  document.create({ text: '', edits: 0 }).catch(() => {})
  document.merge({ text: 'a' }).catch(() => {})
  await t.rejects(document.merge({ text: 'b' }), { code: 'QUEUE_FULL_LOCALLY' })
  t.equal(document.data?.text, 'a')
  t.equal(page.client.pending.getSnapshot().count, 2)
  await until(async () => (await storage.list())[0]?.sentAt !== undefined, 'an attempt')
  page.client.disconnect()
  const [first, second] = await storage.list()
  if (first === undefined || second === undefined) throw new Error('no writes')
  const day = 24 * 3_600_000
  await storage.update({ ...first, sentAt: Date.now() - day })
  await storage.update({ ...second, createdAt: Date.now() - 7 * day })
  const next = page.reload()
  await until(() => next.client.pending.getSnapshot().count === 0 && next.refusals.length === 2, 'the outcomes')
  t.match(next.refusals.map(([, { code }]) => code), ['WRITE_EXPIRED', 'DOCUMENT_NOT_FOUND'], 'one was never sent')
})

await t.test('a write that is withdrawn before it is sent leaves nothing behind', async t => {
  const page = openPage(t)
  page.client.disconnect()
  const document = page.client.document<Note>('note', randomUUID())
  const abort = new AbortController()
  const write = document.create({ text: '', edits: 0 }, { signal: abort.signal })
  t.match(document.data, { edits: 0 })
  await until(async () => (await page.queue.storage.list()).length === 1, 'the stored write')
  abort.abort()
  await t.rejects(write, { name: 'AbortError' })
  t.equal(document.data, undefined)
  await until(async () => (await page.queue.storage.list()).length === 0, 'an empty storage')
})
