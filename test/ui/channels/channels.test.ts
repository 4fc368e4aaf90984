import t from 'tap'
import { noChromium } from '../../support/chromium.ts'
import { transports, type Client } from '../../support/clients.ts'
import { accessibilityProblems, screenshot, startConsole } from '../../support/console.ts'
import { ask, idOf, join, messagesOf } from '../../support/room.ts'
import { until } from '../../support/waiting.ts'

t.test('channels', { skip: noChromium, timeout: 600_000 }, async t => {
  const { open, at, token, url, user } = await startConsole(t)
  const clients: Client[] = []
  t.teardown(() => { for (const client of clients) client.close() })
  const connect = async (subject: string) => {
    const { connect } = transports[1] as typeof transports[number]
    const client = await connect(url, { token: token(['admin'], { subject }) })
    clients.push(client)
    return client
  }

  await t.test('without a member, the list shows how to join a channel', async t => {
    const tab = await open(at('/channels'))
    await tab.page.getByText('No channel has a member').waitFor()
    await screenshot(tab, 'channels-empty')
    t.same(await accessibilityProblems(tab), [])
  })

  const [ada, bob] = [await connect('ada'), await connect('bob')]
  const view = await join(ada, 'chat:room1', { state: { status: '<img src=x onerror=alert(1)>' } })
  await join(ada, 'doc:cart:c1')

  await t.test('the list shows channels, and marks those of documents', async t => {
    const tab = await open(at('/channels'))
    const { page } = tab
    await page.getByRole('row').filter({ hasText: 'doc:cart:c1' }).getByText('document').waitFor()
    await page.getByRole('link', { name: 'chat:room1' }).waitFor()
    await screenshot(tab, 'channels-light')
    t.same(await accessibilityProblems(tab), [])
    await page.getByRole('link', { name: 'chat:room1' }).click()
    await page.getByRole('heading', { name: 'chat:room1' }).waitFor()
  })

  await t.test('the members follow joins, states and leaves, without the page being a member', async t => {
    const tab = await open(at('/channels/chat%3Aroom1'))
    const { page } = tab
    const row = (text: string) => page.getByRole('row').filter({ hasText: text })
    await row('ada').getByText('<img src=x onerror=alert(1)>').waitFor()
    await join(bob, 'chat:room1', { state: { status: 'here' } })
    await row('bob').getByText('"here"').waitFor()
    await ask(bob, 'presence', { channel: 'chat:room1', state: { status: 'away' } })
    await row('bob').getByText('"away"').waitFor()
    t.same(view.view().map(({ userId }) => userId).sort(), ['ada', 'bob'])
    await row('bob').getByRole('link').click()
    await page.getByLabel('Details').getByRole('link', { name: /Show the connection/ }).waitFor()
    t.match(page.url(), new RegExp(`open=${idOf(bob)}`))
    await screenshot(tab, 'channel-members-light')
    t.same(await accessibilityProblems(tab), [])
    await ask(bob, 'leave', { channel: 'chat:room1' })
    await page.getByText('This member has left').waitFor()
    t.equal(await row('bob').count(), 0)
  })

  await t.test('a broadcast reaches a real client, and messages are shown once the page has joined', async t => {
    const tab = await open(at('/channels/chat%3Aroom1/messages'))
    const { page } = tab
    await page.getByRole('textbox', { name: 'Event' }).fill('announcement')
    await page.getByRole('button', { name: 'Broadcast' }).click()
    await page.getByText('Delivered to 1 member.').waitFor()
    await until(() => messagesOf(ada).length === 1, 'the broadcast')
    t.match(messagesOf(ada)[0], { event: 'announcement', data: { text: 'Hello' }, from: { socketId: null } })

    await page.getByRole('main').getByRole('button', { name: 'Join and watch' }).last().click()
    await page.getByText('you are a member').waitFor()
    await until(() => view.view().length === 2, 'the page to be a member')
    await ask(ada, 'publish', { channel: 'chat:room1', event: 'typing', data: { html: '<b>hi</b>' } })
    await page.getByRole('button', { name: /typing/ }).waitFor()
    await page.getByRole('button', { name: 'Pause' }).click()
    await ask(ada, 'publish', { channel: 'chat:room1', event: 'second', data: 2 })
    await page.getByRole('button', { name: '1 new' }).waitFor()
    t.equal(await page.getByRole('button', { name: /second/ }).count(), 0)
    await page.getByRole('button', { name: '1 new' }).click()
    await page.getByRole('button', { name: /second/ }).waitFor()
    await page.getByRole('button', { name: /typing/ }).click()
    await page.getByLabel('Details').getByText('"<b>hi</b>"').waitFor()
    await screenshot(tab, 'channel-messages-light')
    t.same(await accessibilityProblems(tab), [])
    await page.getByRole('button', { name: 'Leave' }).click()
    await until(() => view.view().length === 1, 'the page to leave')
  })

  await t.test('a viewer sees members and cannot broadcast', async t => {
    const viewer = await user('viewer')
    const tab = await open(at('/channels/chat%3Aroom1/messages'), { session: viewer.token, theme: 'dark' })
    await tab.page.getByRole('heading', { name: 'Messages are sent to members only' }).waitFor()
    t.equal(await tab.page.getByRole('button', { name: 'Broadcast' }).count(), 0)
    await screenshot(tab, 'channel-viewer-dark')
    t.same(await accessibilityProblems(tab), [])
  })
})
