import t from 'tap'
import { noChromium } from '../../support/chromium.ts'
import { accessibilityProblems, screenshot, startConsole } from '../../support/console.ts'
import { allSettled, answer, receiver } from '../../support/webhook-receiver.ts'
import { variables } from '../../support/webhooks.ts'

const hostile = '<img src=x onerror=alert(1)>'

t.test('webhooks and deliveries', { skip: noChromium, timeout: 600_000 }, async t => {
  const { open, at, request, topic, publish, app, applicationId, url, user, admin } = await startConsole(t, {
    variables: { ...variables, WEBHOOK_RETRY_SCHEDULE: '10ms,10ms' },
    adapt: config => Object.assign(config.webhooks, { circuitFailures: 1000, pollMs: 50 })
  })
  const sink = await receiver(t, answer(500, { 'content-type': 'text/plain', 'x-reason': hostile }, hostile))
  await topic('order.placed')
  await topic('order.paid')
  const tab = await open(at('/webhooks'))
  const { page } = tab
  let id = ''

  await t.test('the list is empty at first, and names the next step', async t => {
    await page.getByText('There are no webhooks yet').waitFor()
    await screenshot(tab, 'webhooks-empty')
    t.same(await accessibilityProblems(tab), [])
  })

  await t.test('a refused webhook shows the problem at its field', async t => {
    await page.getByRole('link', { name: 'Create webhook' }).first().click()
    await page.getByLabel('URL', { exact: true }).fill('ftp://example.com')
    await page.getByRole('button', { name: 'Create webhook' }).click()
    await page.getByRole('alert').first().waitFor()
    t.equal(await page.getByLabel('URL', { exact: true }).getAttribute('aria-invalid'), 'true')
  })

  await t.test('existing topics and patterns over them are suggested', async t => {
    await page.locator('datalist option[value="order.placed"]').waitFor({ state: 'attached' })
    t.ok(await page.locator('datalist option[value="order.*"]').count())
  })

  await t.test('a webhook is created, and its secret shown once', async t => {
    await page.getByLabel('URL', { exact: true }).fill(sink.url)
    await page.getByLabel('Topics').fill('order.*')
    await page.getByLabel('Topics').press('Enter')
    await page.getByLabel('Description').fill(hostile)
    await page.getByLabel('Description').press('Control+Enter')
    const secret = await page.getByLabel('Secret', { exact: true }).innerText()
    t.match(secret, /^whsec_/)
    await screenshot(tab, 'webhook-created')
    t.same(await accessibilityProblems(tab), [])
    await page.getByRole('button', { name: 'Edge' }).click()
    await page.getByText('receiver.verifyAsync').waitFor()
    await page.getByRole('button', { name: 'Send a test request' }).click()
    await page.getByText('Responded with 500').waitFor()
    t.equal(sink.received.length, 1)
    await page.getByRole('link', { name: 'Open the webhook' }).click()
    await page.getByRole('heading', { name: 'Latest deliveries' }).waitFor()
    t.notOk((await page.content()).includes(secret), 'the page no longer contains it')
    id = new URL(page.url()).pathname.split('/').at(-1) ?? ''
    const { body } = await request('GET', `/api/webhooks/${id}`)
    t.match(body, { topics: ['order.*'], events: ['*'], environments: ['development'], description: hostile })
    const stored = await page.evaluate<string>('JSON.stringify([sessionStorage, localStorage])')
    t.notOk(stored.includes(secret), 'nor does the storage')
  })

  await t.test('a stored name is shown as text', async t => {
    await page.getByText(hostile).first().waitFor()
    t.equal(await page.locator('img[src="x"]').count(), 0)
  })

  await t.test('a failing receiver shows in the delivery: request, and every attempt with its answer', async t => {
    await publish('order.placed', { n: 1 }, { n: 2 }, { n: 3 })
    await allSettled(app, { applicationId }, 3)
    await page.goto(url + at('/deliveries'))
    await page.getByRole('grid', { name: 'Deliveries' }).getByText('dead').nth(2).waitFor()
    await page.getByRole('grid', { name: 'Deliveries' }).focus()
    await page.keyboard.press('e')
    await page.keyboard.press('Enter')
    const panel = page.getByRole('complementary', { name: 'Details' })
    await panel.getByText('Attempts (3)').waitFor()
    await panel.getByText('given up after 3 failures').first().waitFor()
    for (const attempt of [1, 2, 3]) await panel.getByText(`Attempt ${attempt}`, { exact: true }).waitFor()
    const answered = panel.getByRole('group', { name: 'Response headers' }).first()
    await answered.getByText(hostile).waitFor()
    await panel.getByText(hostile).nth(1).waitFor()
    t.equal(await page.locator('img[src="x"]').count(), 0, 'the answer is rendered as text')
    const sent = panel.getByRole('group', { name: 'Request headers' })
    t.match(await sent.innerText(), /webhook-signature: v1,/)
    await panel.getByText('Signed body, byte for byte').waitFor()
    t.match(new URL(page.url()).pathname, /\/deliveries\/dlv_/, 'it has a permalink')
    await screenshot(tab, 'delivery')
    t.same(await accessibilityProblems(tab), [])
    await page.keyboard.press('Escape')
    await panel.waitFor({ state: 'detached' })
  })

  await t.test('one delivery is retried', async t => {
    sink.behave(answer(200))
    await page.getByRole('grid').getByRole('link', { name: 'order.placed' }).first().click()
    const panel = page.getByRole('complementary', { name: 'Details' })
    await panel.getByRole('button', { name: 'Retry now' }).click()
    await panel.getByText('Accepted').waitFor()
    await panel.getByText('Attempts (4)').waitFor()
    await panel.getByRole('button', { name: 'Close' }).click()
    t.pass()
  })

  await t.test('the filter is redriven after the server has counted it', async t => {
    await page.goto(url + at('/deliveries?state=dead&status=5xx&topic=order.placed'))
    await page.getByRole('button', { name: 'Redrive 2 deliveries' }).click()
    const dialog = page.getByRole('dialog')
    await dialog.getByText('answer 5xx').waitFor()
    await screenshot(tab, 'redrive')
    await dialog.getByRole('button', { name: 'Redrive 2 deliveries' }).click()
    await page.getByText('2 deliveries pending again').waitFor()
    await page.getByText('No delivery matches the filter').waitFor()
    await allSettled(app, { applicationId }, 3)
    await page.goto(url + at('/deliveries?state=delivered'))
    await page.getByRole('grid').getByText('delivered').nth(2).waitFor()
    t.equal((await request('GET', '/api/webhooks/deliveries?state=delivered')).body.length, 3)
  })

  await t.test('a webhook is edited, its secret rotated, and it is disabled and enabled', async t => {
    await page.goto(url + at(`/webhooks/${id}/settings`))
    await page.getByLabel('Rate limit').fill('none')
    await page.getByRole('button', { name: 'Save settings' }).click()
    await page.getByRole('alert').first().waitFor()
    await page.getByLabel('Rate limit').fill('50')
    await page.getByRole('button', { name: 'Save settings' }).click()
    await page.getByText('Settings saved').waitFor()
    t.match((await request('GET', `/api/webhooks/${id}`)).body, { rateLimit: 50 })
    await screenshot(tab, 'webhook-settings')
    t.same(await accessibilityProblems(tab), [])
    await page.getByRole('button', { name: 'More actions' }).click()
    await page.getByRole('menuitem', { name: 'Rotate secret…' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Rotate secret' }).click()
    t.match(await page.getByRole('dialog').getByLabel('Secret', { exact: true }).innerText(), /^whsec_/)
    await page.keyboard.press('Escape')
    await page.getByRole('button', { name: 'Disable' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Disable webhook' }).click()
    await page.getByText('Disabled', { exact: true }).waitFor()
    await page.getByRole('button', { name: 'Enable' }).click()
    await page.getByText('Active', { exact: true }).waitFor()
  })

  await t.test('a viewer sees no write action', async t => {
    const viewer = await user('viewer')
    const reader = await open(at('/webhooks'), { session: viewer.token })
    await reader.page.getByRole('grid').getByRole('link').first().waitFor()
    t.equal(await reader.page.getByRole('link', { name: 'Create webhook' }).count(), 0)
    await reader.page.getByRole('grid').getByRole('link').first().click()
    await reader.page.getByRole('heading', { name: 'Latest deliveries' }).waitFor()
    for (const name of ['Disable', 'Enable', 'More actions']) {
      t.equal(await reader.page.getByRole('button', { name, exact: true }).count(), 0, name)
    }
    await reader.page.getByRole('link', { name: 'Settings' }).click()
    await reader.page.getByText('Rate limit').waitFor()
    t.equal(await reader.page.getByRole('textbox').count(), 0)
    await reader.page.goto(url + at('/deliveries'))
    await reader.page.getByRole('grid').getByRole('link').first().waitFor()
    t.equal(await reader.page.getByRole('button', { name: /Redrive/ }).count(), 0)
    await reader.page.goto(url + at('/webhooks/new'))
    await reader.page.getByText('webhooks:create').waitFor()
  })

  await t.test('a page that the role does not cover names the permission', async t => {
    const { body: role } = await admin.post('/api/roles', {
      name: 'publisher', permissions: [{ resource: 'topics', action: 'read' }]
    })
    const publisher = await user(role.id)
    const other = await open(at('/deliveries'), { session: publisher.token })
    await other.page.getByText('webhooks:read').waitFor()
    t.pass()
  })

  for (const theme of ['light', 'dark'] as const) {
    await t.test(`the pages are accessible in the ${theme} theme`, async t => {
      const tab = await open(at('/webhooks'), { theme })
      await tab.page.getByRole('grid').getByRole('link').first().waitFor()
      await screenshot(tab, `webhooks-${theme}`)
      t.same(await accessibilityProblems(tab), [])
      await tab.page.goto(url + at(`/webhooks/${id}`))
      await tab.page.getByRole('heading', { name: 'Latest deliveries' }).waitFor()
      await screenshot(tab, `webhook-${theme}`)
      t.same(await accessibilityProblems(tab), [])
      await tab.page.goto(url + at('/deliveries'))
      await tab.page.getByRole('grid').getByRole('link').first().click()
      await tab.page.getByText('Signed body, byte for byte').waitFor()
      await screenshot(tab, `deliveries-${theme}`)
      t.same(await accessibilityProblems(tab), [])
    })
  }

  await t.test('a deleted webhook is gone after the name is typed in production', async t => {
    await page.goto(url + at(`/webhooks/${id}`, 'production'))
    await page.getByRole('button', { name: 'More actions' }).click()
    await page.getByRole('menuitem', { name: 'Delete webhook…' }).click()
    const button = page.getByRole('dialog').getByRole('button', { name: 'Delete webhook' })
    t.ok(await button.isDisabled())
    await page.getByRole('dialog').getByRole('textbox').fill(sink.url.replace('http://', ''))
    await button.click()
    await page.getByText('There are no webhooks yet').waitFor()
    t.same((await request('GET', '/api/webhooks')).body, [])
  })
})
