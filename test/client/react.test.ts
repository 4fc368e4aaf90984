import t from 'tap'
import { build, listen } from '../support/build.ts'
import { noChromium, servePages, startChromium, type Tab, type TabOptions } from '../support/chromium.ts'
import { pageAddress, reactPage } from '../support/react-page.ts'
import { tenant, type Tenant } from '../support/tenant.ts'
import { until } from '../support/waiting.ts'

/* The React bindings in a real browser, in strict mode, against a real server. */

t.setTimeout(600_000)

t.test('react', { skip: noChromium }, async t => {
  const pages = await servePages(t)
  const { app } = await build(t, { variables: { CORS_ORIGINS: pages.origin } })
  const url = await listen(app)
  const open = await startChromium(t)

  async function show (shop: Tenant, page: string, props: object | null, options: TabOptions = {}): Promise<Tab> {
    const tab = await open(pageAddress(page, { url, token: shop.token() }), options)
    await render(tab, props)
    return tab
  }
  const render = (tab: Tab, props: object | null) => tab.run(`show(${JSON.stringify(props)})`)
  const log = (tab: Tab) => tab.run<unknown[]>('log')
  const text = (tab: Tab) => tab.run<string>('document.getElementById("root").textContent')
  /** Counts how often the client has subscribed. */
  const subscribed = async (tab: Tab) =>
    (await tab.run<string[]>('lines')).filter(line => line.startsWith('subscribed ')).length
  const subscriptions = async () =>
    Number(/^realtime_subscriptions (\d+)$/m.exec(await app.instruments.registry.metrics())?.[1])
  const members = async (shop: Tenant, channel: string) =>
    (await shop.request('GET', `/api/socket/channels/${channel}/members`)).body as { state: unknown }[]

  await t.test('strict mode makes one subscription and calls the handler once', async t => {
    const shop = await tenant(app)
    const topic = await shop.topic('order.placed')
    const page = await pages.add(reactPage(`
      function Shown ({ topic, tag }) {
        // Options and handler are new in every render.
        hooks.useTopic(topic, event => { log.push(tag + event.payload.n) }, { filter: { n: { gt: 0 } } })
        return null
      }
    `))
    const tab = await show(shop, page, { topic, tag: 'a' })
    await until(async () => await subscribed(tab) > 0)
    await shop.publish(topic, { n: 0 }, { n: 1 })
    await until(async () => (await log(tab)).length > 0)
    for (let i = 0; i < 5; i++) await render(tab, { topic, tag: 'b' })
    await shop.publish(topic, { n: 2 })
    await until(async () => (await log(tab)).length > 1)
    t.same(await log(tab), ['a1', 'b2'], 'the handler of the latest render is called')
    t.equal(await subscribed(tab), 1)
    t.equal(await subscriptions(), 1)

    await shop.topic('order.paid')
    await render(tab, { topic: 'order.paid', tag: 'c' })
    await until(async () => await subscribed(tab) === 2 && await subscriptions() === 1)
    await shop.publish(topic, { n: 3 })
    await shop.publish('order.paid', { n: 4 })
    await until(async () => (await log(tab)).length > 2)
    t.same((await log(tab)).slice(2), ['c4'], 'a change of the topic changes the subscription')

    await render(tab, { topic: null, tag: 'd' })
    await until(async () => await subscriptions() === 0, 'a topic of null to end the subscription')
    await render(tab, { topic, tag: 'e' })
    await until(async () => await subscriptions() === 1)
    await render(tab, null)
    await until(async () => await subscriptions() === 0, 'an unmounted component to end its subscription')
  })

  await t.test('useEvents returns the latest events, from before and live', async t => {
    const shop = await tenant(app)
    const topic = await shop.topic('order.placed')
    await shop.publish(topic, ...Array.from({ length: 10 }, (_, n) => ({ n })))
    const page = await pages.add(reactPage(`
      const lists = window.lists = new Set()
      function Shown ({ topic, limit, tick }) {
        const { events, isReady, error } = hooks.useEvents(topic, { limit, rewind: 3 })
        lists.add(events)
        return [tick, isReady, error?.code, ...events.map(event => event.payload.n)].join(' ')
      }
    `))
    const tab = await show(shop, page, { topic, limit: 4, tick: 0 })
    await until(async () => await text(tab) === '0 true  7 8 9')
    const { length } = await tab.run<unknown[]>('[...lists]')
    for (const tick of [1, 2, 3]) await render(tab, { topic, limit: 4, tick })
    t.equal((await tab.run<unknown[]>('[...lists]')).length, length, 'the list stays the same object')
    await shop.publish(topic, { n: 10 }, { n: 11 })
    await until(async () => await text(tab) === '3 true  8 9 10 11')
    t.equal(await subscribed(tab), 1)
    await render(tab, { topic: 'order.unknown', limit: 4, tick: 4 })
    await until(async () => await text(tab) === '4 false TOPIC_NOT_FOUND')
    await render(tab, null)
    await until(async () => await subscriptions() === 0)
  })

  await t.test('useChannel and usePresence show members, states and messages in two tabs', async t => {
    const shop = await tenant(app)
    const page = await pages.add(reactPage(`
      function Shown ({ name }) {
        const { members, messages, publish, self, status, error } = hooks.useChannel('chat', { state: { name } })
        const present = hooks.usePresence('chat')
        window.publish = publish
        return JSON.stringify({
          status, error: error?.code, self: self?.state?.name,
          members: members.map(({ state }) => state?.name).sort(), same: present === members,
          messages: messages.map(({ data }) => data)
        })
      }
    `))
    const ann = await show(shop, page, { name: 'Ann' })
    const bob = await show(shop, page, { name: 'Bob' })
    const shown = async (tab: Tab) => JSON.parse(await text(tab)) as Record<string, unknown>
    await until(async () => (await shown(ann))['members']?.toString() === 'Ann,Bob')
    await bob.run('publish("said", "hello")')
    await until(async () => (await shown(ann))['messages']?.toString() === 'hello')
    t.same(await shown(ann), {
      status: 'joined', self: 'Ann', members: ['Ann', 'Bob'], same: true, messages: ['hello']
    })
    await render(bob, { name: 'Bobby' })
    await until(async () => (await shown(ann))['members']?.toString() === 'Ann,Bobby')
    t.equal((await members(shop, 'chat')).length, 2)
    await render(bob, null)
    await until(async () => (await members(shop, 'chat')).length === 1)
    await render(ann, null)
    await until(async () => (await members(shop, 'chat')).length === 0, 'unmounted components to leave')
  })

  await t.test('useDocument shows writes at once, and those of others', async t => {
    const shop = await tenant(app)
    await shop.request('POST', '/api/services', { name: 'cart', description: 'Carts' })
    const page = await pages.add(reactPage(`
      function Shown () {
        const { data, status, revision, document } = hooks.useDocument('cart', 'one')
        window.cart = document
        return [status, revision, data?.count].join(' ')
      }
    `))
    // The browser reports the answer 404 for a document that does not exist.
    const ann = await show(shop, page, {}, { expected: /404/ })
    await until(async () => (await text(ann)).startsWith('missing'))
    await ann.run('cart.create({ count: 1 })')
    const bob = await show(shop, page, {})
    await until(async () => await text(bob) === 'live 1 1')
    await bob.run('cart.mutate([{ op: "increment", path: "/count" }])')
    await until(async () => await text(ann) === 'live 2 2')
    t.ok(await subscriptions() > 0)
    for (const tab of [ann, bob]) await render(tab, null)
    await until(async () => await subscriptions() === 0)
  })

  await t.test('useConnectionState follows the connection', async t => {
    const shop = await tenant(app)
    const page = await pages.add(reactPage(`
      function Shown () {
        const state = hooks.useConnectionState()
        log.push(state)
        return state
      }
    `))
    const tab = await show(shop, page, {})
    await until(async () => await text(tab) === 'connected')
    await tab.run('client.disconnect()')
    await until(async () => await text(tab) === 'disconnected')
    t.same([...new Set(await log(tab))].filter(state => state !== 'disconnected'), ['connecting', 'connected'])
  })

  await t.test('a page that a server has rendered is hydrated without a mismatch, and connects then', async t => {
    const shop = await tenant(app)
    const topic = await shop.topic('order.placed')
    await shop.publish(topic, { n: 1 })
    const page = await pages.add(reactPage(`
      import { renderToString } from 'react-dom/server.browser'
      import { hydrateRoot } from 'react-dom/client'
      function Shown () {
        const { events } = hooks.useEvents('order.placed', { rewind: 10 })
        const state = hooks.useConnectionState()
        const { members, status } = hooks.useChannel('chat', { state: 'here' })
        return <p>{state} {status} {events.length} {members.length}</p>
      }
      const tree = <StrictMode><RealtimeProvider client={client}><Shown /></RealtimeProvider></StrictMode>
      const place = document.body.appendChild(document.createElement('div'))
      place.id = 'hydrated'
      place.innerHTML = window.html = renderToString(tree)
      window.stateAtServer = client.state
      window.hydrate = () => hydrateRoot(place, tree, { onRecoverableError: error => console.error(error) })
    `))
    const tab = await show(shop, page, null)
    t.match(await tab.run<string>('html'), /connecting.*left.*0.*0/)
    t.equal(await tab.run<string>('stateAtServer'), 'disconnected', 'rendering opens no connection')
    // The channel is joined before: the first render in the browser must equal that of the server all the same.
    await tab.run('client.connect().then(() => client.channel("chat").join()).then(() => {})')
    await tab.run('hydrate()')
    const hydrated = () => tab.run<string>('document.getElementById("hydrated").textContent')
    await until(async () => await hydrated() === 'connected joined 1 1')
  })
})
