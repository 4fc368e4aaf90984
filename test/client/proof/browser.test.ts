import t from 'tap'
import { build, listen } from '../../support/build.ts'
import { networkErrors, noChromium, servePages, startChromium } from '../../support/chromium.ts'
import { startFaultyNetwork } from '../../support/faulty-network.ts'
import { tenant } from '../../support/tenant.ts'
import { elapse, until } from '../../support/waiting.ts'

/* The library in a real browser. */

const source = `
  import { RealtimeClient } from '@realtime-platform/client'
  globalThis.listen = (url, token, topic) => {
    globalThis.offsets = []
    globalThis.client = new RealtimeClient({ url, token, reconnectionDelay: 50 })
    return client.topic(topic).subscribe(event => offsets.push(event.offset)).ready
  }
`

t.test('a page receives events in order, each once, after it was frozen and offline', { skip: noChromium }, async t => {
  const pages = await servePages(t)
  const { app } = await build(t, { variables: { CORS_ORIGINS: pages.origin } })
  const url = await listen(app)
  const shop = await tenant(app)
  const topic = await shop.topic('order.placed')
  const open = await startChromium(t)
  const tab = await open(await pages.add({ source }), { expected: networkErrors })
  await tab.run(`listen(${JSON.stringify(url)}, ${JSON.stringify(shop.token())}, '${topic}')`)

  const arrived = (offset: number) => until(async () => await tab.run('offsets.at(-1)') === offset, `offset ${offset}`)
  await shop.publish(topic, 1, 2)
  await arrived(2)

  await tab.setFrozen(true)
  await shop.publish(topic, 3, 4)
  await tab.setFrozen(false)
  await arrived(4)

  await tab.setOffline(true)
  await shop.publish(topic, 5)
  await tab.setOffline(false)
  await arrived(5)

  const receipt = await tab.run<{ offset: number }>(`client.topic('${topic}').publish({ from: 'a page' })`)
  t.equal(receipt.offset, 6)
  await arrived(6)
  t.same(await tab.run('offsets'), [1, 2, 3, 4, 5, 6])
})

t.test('a page that loses its network again and again comes back each time', { skip: noChromium }, async t => {
  const pages = await servePages(t)
  const { app } = await build(t, { variables: { CORS_ORIGINS: pages.origin } })
  const network = await startFaultyNetwork(t, [Number(new URL(await listen(app)).port)])
  const shop = await tenant(app)
  const topic = await shop.topic('order.placed')
  const open = await startChromium(t)
  const tab = await open(await pages.add({ source }), { expected: networkErrors })
  await tab.run(`listen(${JSON.stringify(network.url)}, ${JSON.stringify(shop.token())}, '${topic}')`)
  const offline = async (ms: number, isCut: boolean) => {
    await tab.setOffline(true)
    if (isCut) network.cut()
    await elapse(ms)
    await tab.setOffline(false)
  }
  for (let n = 1; n <= 16; n++) {
    await offline(n * 15, n % 2 === 0)
    // Again, at another moment of the new attempt each time.
    await elapse(n * 5)
    await offline(n * 10, n % 3 === 0)
    if (n % 4 === 0) {
      await tab.setFrozen(true)
      network.cut()
      await tab.setFrozen(false)
    }
    await shop.publish(topic, n)
    await until(async () => await tab.run('offsets.at(-1)') === n, `event ${n}`)
  }
  t.same(await tab.run('offsets'), Array.from({ length: 16 }, (_, i) => i + 1))
})
