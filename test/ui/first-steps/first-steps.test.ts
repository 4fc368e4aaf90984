import t from 'tap'
import { noChromium } from '../../support/chromium.ts'
import { accessibilityProblems, screenshot, startConsole } from '../../support/console.ts'
import { password } from '../../support/people.ts'

t.test('from the set-up to the first event', { skip: noChromium, timeout: 600_000 }, async t => {
  const { app, open, url } = await startConsole(t)
  // As on a new platform: no user, no application.
  await app.db.deleteFrom('sessions').execute()
  await app.db.deleteFrom('users').execute()
  await app.db.deleteFrom('applications').execute()

  const tab = await open('/', { session: null })
  const { page } = tab
  await t.test('the first user is created', async t => {
    await page.getByRole('heading', { name: 'Set up the platform' }).waitFor()
    await screenshot(tab, 'setup-light')
    t.same(await accessibilityProblems(tab), [])
    await page.getByLabel('Name').fill('Ada')
    await page.getByLabel('E-mail').fill('ada@example.com')
    await page.getByLabel('Password').fill('short')
    await page.getByRole('button', { name: 'Create user' }).click()
    await page.getByRole('alert').first().waitFor()
    t.equal(await page.getByLabel('Password').getAttribute('aria-invalid'), 'true')
    await page.getByLabel('Password').fill(password)
    await page.getByRole('button', { name: 'Create user' }).click()
    await page.getByRole('heading', { name: 'First steps' }).waitFor()
  })

  await t.test('an application, a topic and an event follow, and the event arrives', async t => {
    await page.getByRole('button', { name: 'Create application' }).click()
    await page.getByText('with development, staging and production').waitFor()
    await page.getByRole('button', { name: 'Create topic' }).click()
    await page.getByText('subscribed', { exact: true }).waitFor()
    await page.getByLabel('Payload').fill('{ total: 42 }')
    await page.getByRole('button', { name: 'Publish event' }).click()
    await page.getByText('is not valid JSON').waitFor()
    await page.getByLabel('Payload').fill('{ "total": 42 }')
    await page.getByRole('button', { name: 'Publish event' }).click()
    await page.getByText('Stored at offset 1').waitFor()
    await page.getByRole('cell', { name: '{"total":42}' }).waitFor()
    await screenshot(tab, 'first-steps-light')
    t.same(await accessibilityProblems(tab), [])
  })

  await t.test('the snippet works with its token, which may do nothing else', async t => {
    await page.getByText('From your terminal or your program').click()
    await page.getByRole('button', { name: 'Issue a token for 15 minutes' }).click()
    await page.getByText('The token is in the snippet').waitFor()
    const token = /eyJ[\w.-]+/.exec(await page.locator('main').innerText())?.[0] ?? ''
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
    const send = (path: string, init: RequestInit = {}) => fetch(url + path, { ...init, headers })
    const published = await send('/api/topics/order.placed/events', {
      method: 'POST', body: '{"payload":{"from":"<img src=x onerror=alert(1)>"}}'
    })
    t.equal(published.status, 201)
    await page.getByRole('cell', { name: '{"from":"<img src=x onerror=alert(1)>"}' }).waitFor()
    t.equal((await send('/api/topics')).status, 403)
    const stored = await tab.run<string>('JSON.stringify([{ ...localStorage }, { ...sessionStorage }, location.href])')
    t.notOk(stored.includes(token), 'the token is neither stored nor in the URL')
  })

  await t.test('a reload continues with the last step', async () => {
    await page.reload()
    await page.getByRole('cell', { name: '{"total":42}' }).waitFor()
    await page.getByRole('link', { name: /^Explore the events/ }).click()
    await page.getByRole('heading', { name: 'order.placed' }).waitFor()
  })
})
