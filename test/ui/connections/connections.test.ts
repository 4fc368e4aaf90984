import t from 'tap'
import { noChromium } from '../../support/chromium.ts'
import { transports, type Client } from '../../support/clients.ts'
import { accessibilityProblems, screenshot, startConsole } from '../../support/console.ts'
import { idOf } from '../../support/room.ts'
import { until } from '../../support/waiting.ts'

t.test('the connections of an environment', { skip: noChromium, timeout: 600_000 }, async t => {
  const { open, at, request, token, url, user, admin } = await startConsole(t)
  const clients: Client[] = []
  t.teardown(() => { for (const client of clients) client.close() })
  const connect = async (subject: string, kind: 0 | 1 = 1) => {
    const { connect } = transports[kind] as typeof transports[number]
    const client = await connect(url, { token: token(['admin'], { subject }) })
    clients.push(client)
    return client
  }

  await t.test('without a client, the page shows how to connect one', async t => {
    const tab = await open(at('/connections', 'staging'))
    await tab.page.getByText('No client is connected').waitFor()
    await screenshot(tab, 'connections-empty')
    t.same(await accessibilityProblems(tab), [])
  })

  await request('POST', '/api/topics', { name: 'order.placed', description: 'Orders', owner: 'shop' })
  const ada = await connect('<img src=x onerror=alert(1)>')
  const adaId = idOf(ada)
  await ada.request('subscribe', { topic: 'order.placed', filter: { total: { gte: 100 } } })
  await ada.request('subscribe', { topic: 'order.*' })
  await ada.request('join', { channel: 'chat:room1' })

  await t.test('a connection is found, its subscriptions are shown, and closing it disconnects the client', async t => {
    const tab = await open(at('/connections'))
    const { page } = tab
    const row = page.getByRole('link', { name: '<img src=x onerror=alert(1)>' })
    await row.waitFor()
    const bob = await connect('bob', 0)
    // The connection of the page itself is new as well.
    await until(async () => {
      if (await page.getByRole('link', { name: 'bob' }).isVisible()) return true
      const pill = page.getByRole('button', { name: /^\d+ new$/ })
      if (await pill.isVisible()) await pill.click()
      return false
    }, 'the new connection')
    await row.click()
    const panel = page.getByLabel('Details')
    await panel.getByRole('article', { name: 'Subscription to order.placed' }).getByText('"gte"').waitFor()
    await panel.getByRole('article', { name: 'Subscription to order.*' }).waitFor()
    await panel.getByRole('link', { name: 'chat:room1' }).waitFor()
    t.match(page.url(), new RegExp(`open=${adaId}`))
    t.match(
      await panel.getByRole('link', { name: 'Why did it not get an event?' }).first().getAttribute('href'),
      /\/debugger\/explain\?subscriptionId=sub_/
    )
    await screenshot(tab, 'connections-light')
    t.same(await accessibilityProblems(tab), [])
    await panel.getByRole('button', { name: 'Close connection' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Close connection' }).click()
    await page.getByText('Connection closed').waitFor()
    t.match(await ada.closed, { code: 4411 })
    await page.getByRole('row').filter({ hasText: 'onerror' }).getByText('closed').waitFor()
    bob.close()
  })

  await t.test('the permalink of a connection that is closed says so', async () => {
    const { page } = await open(at(`/connections?open=${adaId}`))
    await page.getByText('There is no open connection with this id').waitFor()
  })

  await t.test('a viewer sees connections and cannot close them', async t => {
    const viewer = await user('viewer')
    const eve = await connect('eve')
    const tab = await open(at(`/connections?open=${idOf(eve)}`), { session: viewer.token, theme: 'dark' })
    await tab.page.getByLabel('Details').getByText(idOf(eve)).waitFor()
    t.equal(await tab.page.getByRole('button', { name: 'Close connection' }).count(), 0)
    await screenshot(tab, 'connections-dark')
    t.same(await accessibilityProblems(tab), [])
  })

  await t.test('a user without the permission sees which one is missing', async () => {
    const { body: role } = await admin.post('/api/roles', {
      name: 'topics-only', permissions: [{ resource: 'topics', action: 'read' }]
    })
    const { token: session } = await user((role as { id: string }).id)
    const { page } = await open(at('/connections'), { session })
    await page.getByRole('alert').getByText('socket:read').waitFor()
  })
})
