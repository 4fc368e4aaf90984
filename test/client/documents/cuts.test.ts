import { RealtimeClient, type Mutation } from '@realtime-platform/client'
import t from 'tap'
import { build, listen } from '../../support/build.ts'
import { DatabaseProxy } from '../../support/database-proxy.ts'
import { tenant } from '../../support/tenant.ts'
import { pace, until } from '../../support/waiting.ts'

interface Board { n: number, items: string[] }

const { app } = await build(t)
const url = await listen(app)
const shop = await tenant(app)

const clientCount = 3
const documentCount = 100
const rounds = 3
const cutsOfEach = 8

t.setTimeout(600_000)

await t.test('documents edited by three clients over cut links converge, without a lost write', async t => {
  const ids = Array.from({ length: documentCount }, (_, i) => `board-${i}`)
  const data = { n: 0, items: [] }
  await Promise.all(ids.map(id => shop.request('POST', '/api/sync/board/documents', { id, data })))
  const peers = await Promise.all(Array.from({ length: clientCount }, async () => {
    const proxy = new DatabaseProxy(new URL(url))
    const port = await proxy.open()
    const client = new RealtimeClient({
      url: `http://127.0.0.1:${port}`, token: shop.token(), reconnectionDelay: 20, reconnectionDelayMax: 200
    })
    client.on('error', () => {})
    t.teardown(async () => {
      client.disconnect()
      await proxy.close()
    })
    const documents = ids.map(id => client.document<Board>('board', id))
    for (const document of documents) document.subscribe(() => {})
    return { proxy, client, documents }
  }))
  const isAllLive = () => peers.every(({ documents }) => documents.every(({ status }) => status === 'live'))
  await until(isAllLive, 'live documents')

  const acknowledged = new Map(ids.map(id => [id, { n: 0, items: [] as string[] }]))
  let refused = 0
  const edit = async (peer: number, round: number, i: number) => {
    const document = peers[peer]?.documents[i]
    const expected = acknowledged.get(ids[i] ?? '')
    if (document === undefined || expected === undefined) return
    const item = `${peer}-${round}`
    const isRefused = (i + round + peer) % 5 === 0
    const mutations: Mutation[] = [
      { op: 'increment', path: '/n' }, { op: 'append', path: '/items', value: item },
      // Shows here, because only the server refuses the name.
      ...(isRefused ? [{ op: 'set' as const, path: '/prototype', value: item }] : [])
    ]
    try {
      await document.mutate(mutations)
      expected.n++
      expected.items.push(item)
    } catch (error) {
      t.equal((error as { code?: string }).code, 'VALIDATION_FAILED')
      t.ok(isRefused)
      refused++
    }
  }
  const cut = async ({ proxy }: { proxy: DatabaseProxy }) => {
    for (let i = 0; i < cutsOfEach; i++) {
      await pace(100 + Math.random() * 500)
      await proxy.close()
      await pace(Math.random() * 100)
      await proxy.open()
    }
  }
  const cuts = peers.map(cut)
  const edits: Promise<void>[] = []
  for (let round = 0; round < rounds; round++) {
    for (let i = 0; i < documentCount; i++) {
      for (let peer = 0; peer < clientCount; peer++) edits.push(edit(peer, round, i))
      if (i % 20 === 0) await pace(20)
    }
  }
  await Promise.all(edits)
  await Promise.all(cuts)
  t.ok(refused > 100, `${refused} refused`)

  for (const [i, id] of ids.entries()) {
    const { body } = await shop.request('GET', `/api/sync/board/documents/${id}`)
    const { data, revision } = body as { data: Board, revision: number }
    const { n, items } = acknowledged.get(id) ?? { n: NaN, items: [] }
    t.equal(data.n, n, `${id}: each acknowledged write has one effect, and no other has any`)
    t.strictSame([...data.items].sort(), items.sort())
    for (const { documents } of peers) {
      const document = documents[i]
      await until(() => document?.status === 'live' && document.revision === revision, () =>
        `${id}: ${document?.status} ${document?.revision} of ${revision}`)
      t.strictSame(document?.data, data)
    }
  }
  t.ok(peers.every(({ client }) => client.pending.getSnapshot().count === 0))
})

await t.test('a write whose answer is lost takes effect once', async t => {
  let lost = 0
  const client = new RealtimeClient({
    url,
    token: shop.token(),
    fetch: async (url, init) => {
      const response = await fetch(url, init)
      if (init.method === 'GET' || Math.random() < 0.5) return response
      lost++
      await response.text()
      throw new TypeError('the connection was lost')
    }
  })
  t.teardown(() => client.disconnect())
  const document = client.document<Board>('lossy', 'one')
  document.subscribe(() => {})
  await document.create({ n: 0, items: [] })
  const shown: number[] = []
  document.subscribe(() => shown.push(document.data?.n ?? 0))
  await Promise.all(Array.from({ length: 10 }, async (_, i) => {
    await document.mutate([{ op: 'increment', path: '/n' }])
    await document.merge({ items: [String(i)] })
  }))
  t.ok(lost > 0, `${lost} answers were lost`)
  t.strictSame(document.data, { n: 10, items: ['9'] })
  t.equal(document.revision, 21)
  t.equal(Math.max(...shown), 10, 'no increment showed twice')
  await document.delete()
  await document.create({ n: 1, items: [] })
  t.match(await client.sync.get('lossy', 'one'), { revision: 23, data: { n: 1 } })
})
