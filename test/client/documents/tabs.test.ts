import t from 'tap'
import { build, listen } from '../../support/build.ts'
import { networkErrors, noChromium, servePages, startChromium, type Tab } from '../../support/chromium.ts'
import { startCuttingProxy } from '../../support/cutting-proxy.ts'
import { tenant } from '../../support/tenant.ts'
import { until } from '../../support/waiting.ts'

/* The offline queue in the tabs of a real browser, with Web Locks, IndexedDB and BroadcastChannel. */

t.setTimeout(300_000)

const source = `
  import { offlineQueue, RealtimeClient } from '@realtime-platform/client'
  const { url, token } = JSON.parse(decodeURIComponent(location.hash.slice(1)))
  window.sent = 0
  window.failed = []
  const client = window.client = new RealtimeClient({
    url, token, reconnectionDelay: 50, reconnectionDelayMax: 500, offline: offlineQueue({ name: 'shop' }),
    fetch: (url, init) => {
      if (init.method !== 'GET') sent++
      return fetch(url, init)
    }
  })
  window.append = (id, ...texts) => {
    for (const text of texts) {
      client.document('note', id).mutate([{ op: 'append', path: '/texts', value: text }])
        .catch(error => failed.push(error.code))
    }
  }
`

t.test('writes of two tabs', { skip: noChromium }, async t => {
  const pages = await servePages(t)
  const { app } = await build(t, { variables: { CORS_ORIGINS: pages.origin } })
  const proxy = await startCuttingProxy(t, await listen(app))
  const shop = await tenant(app)
  for (const id of ['one', 'two']) await shop.request('POST', '/api/sync/note/documents', { id, data: { texts: [] } })
  const stored = async (id: string) => {
    const { body } = await shop.request('GET', `/api/sync/note/documents/${id}`)
    return body as { revision: number, data: { texts: string[] } }
  }

  const address = await pages.add({ source })
  const options = encodeURIComponent(JSON.stringify({ url: proxy.url, token: shop.token() }))
  const open = await startChromium(t)
  const ann = await open(`${address}#${options}`, { expected: networkErrors })
  const pending = (tab: Tab) => tab.run<number>('client.pending.getSnapshot().count')
  const connected = (tab: Tab) => until(async () => await tab.run('client.state') === 'connected', 'a connection')
  const append = (tab: Tab, id: string, ...texts: string[]) =>
    tab.run(`append(${[id, ...texts].map(text => JSON.stringify(text)).join()})`)
  const pendingIn = (count: number, ...tabs: Tab[]) => until(async () =>
    (await Promise.all(tabs.map(pending))).every(found => found === count), `${count} pending writes in each tab`)
  await connected(ann)
  const bob = await open(`${address}#${options}`, { expected: networkErrors, beside: ann })
  await connected(bob)

  await t.test('writes made offline survive a reload, and arrive once and in their order', async t => {
    await ann.setOffline(true)
    await append(ann, 'one', 'a1', 'a2', 'a3')
    await append(ann, 'two', 'a1', 'a2')
    await pendingIn(5, ann, bob)
    await append(bob, 'one', 'b1', 'b2')
    await pendingIn(7, ann, bob)
    // As a service worker does, so that the page loads without a network.
    await ann.page.context().route(`${pages.origin}/**`, async (route, request) => {
      const response = await fetch(request.url())
      await route.fulfill({
        body: await response.text(), contentType: response.headers.get('content-type') ?? 'text/plain'
      })
    })
    await ann.page.reload()
    await pendingIn(7, ann, bob)
    await append(ann, 'one', 'a4')
    await append(bob, 'two', 'b1')
    await pendingIn(9, ann, bob)
    t.equal((await stored('one')).revision, 1, 'nothing has arrived yet')

    await ann.setOffline(false)
    await pendingIn(0, ann, bob)
    t.match(await stored('one'), { revision: 7, data: { texts: ['a1', 'a2', 'a3', 'b1', 'b2', 'a4'] } })
    t.match(await stored('two'), { revision: 4, data: { texts: ['a1', 'a2', 'b1'] } })
    t.equal(await ann.run('sent'), 0, 'the other tab has taken over while the page was loaded again')
    for (const tab of [ann, bob]) t.same(await tab.run('failed'), [])
  })
})
