import t from 'tap'
import { networkErrors, noChromium } from '../../support/chromium.ts'
import { accessibilityProblems, screenshot, startConsole } from '../../support/console.ts'
import { password } from '../../support/people.ts'

t.test('the shell', { skip: noChromium, timeout: 600_000 }, async t => {
  const console = await startConsole(t)
  const { open, at, url, user, topic, admin } = console
  await topic('order.placed')

  await t.test('shows the pages that the role covers', async t => {
    const { page } = await open(at('/topics'))
    const rail = page.getByRole('navigation', { name: 'Pages' })
    for (const section of ['Events', 'Data', 'Realtime', 'Webhooks', 'Operations', 'Administration']) {
      await rail.getByText(section, { exact: true }).waitFor()
    }
    await rail.getByRole('link', { name: 'Roles' }).waitFor()
    const { token } = await user('viewer')
    const viewer = await open(at('/topics'), { session: token })
    const links = viewer.page.getByRole('navigation', { name: 'Pages' })
    await links.getByRole('link', { name: 'Topics' }).waitFor()
    for (const name of ['Roles', 'Audit log', 'Keys']) t.equal(await links.getByRole('link', { name }).count(), 0, name)
  })

  await t.test('switches the environment and stays in the section; production is marked', async () => {
    const { page } = await open(at('/topics'))
    await page.getByRole('button', { name: 'Environment: development' }).click()
    await page.getByRole('menuitemcheckbox', { name: 'production' }).click()
    await page.waitForURL(url + at('/topics', 'production'))
    await page.locator('.bg-production').first().waitFor()
  })

  await t.test('finds topics and pages by Ctrl K', async t => {
    const tab = await open(at(''))
    const { page } = tab
    await page.getByRole('heading', { level: 1 }).waitFor()
    await page.keyboard.press('Control+k')
    await page.getByRole('dialog', { name: 'Search' }).waitFor()
    await page.keyboard.type('order')
    await page.getByRole('option', { name: 'order.placed' }).waitFor()
    await screenshot(tab, 'palette')
    t.same(await accessibilityProblems(tab), [])
    await page.keyboard.press('Enter')
    await page.waitForURL(/\/topics\/order\.placed/)
    await page.keyboard.press('Control+k')
    await page.getByRole('dialog', { name: 'Search' }).waitFor()
    await page.keyboard.type('Monit')
    await page.getByRole('option', { name: 'Monitoring' }).waitFor()
    await page.keyboard.press('Enter')
    await page.waitForURL(/\/monitoring/)
  })

  await t.test('lists its shortcuts by ?, and opens pages by g and a key', async t => {
    const tab = await open(at(''))
    const { page } = tab
    await page.getByRole('heading', { level: 1 }).waitFor()
    await page.keyboard.press('?')
    const dialog = page.getByRole('dialog', { name: 'Keyboard shortcuts' })
    await dialog.waitFor()
    await screenshot(tab, 'shortcuts')
    t.same(await accessibilityProblems(tab), [])
    await page.keyboard.press('Escape')
    await dialog.waitFor({ state: 'detached' })
    await page.keyboard.press('g')
    await page.keyboard.press('t')
    await page.waitForURL(url + at('/topics'))
  })

  await t.test('an application that does not exist has a page of its own', async () => {
    const { page } = await open('/a/app_nothere/development/topics')
    await page.getByText('This application does not exist, or you have no access to it').waitFor()
    await page.getByRole('link', { name: 'Show your applications' }).click()
    await page.waitForURL(`${url}/applications`)
  })

  await t.test('an error in one page leaves the others alive', async () => {
    const { page } = await open('/audit', {
      expected: /./,
      prepare: context => context.route(/\/api\/topics(\?|$)/, route => route.fulfill({ json: [null] }))
    })
    const rail = page.getByRole('navigation', { name: 'Pages' })
    await rail.getByRole('link', { name: 'Topics' }).click()
    await page.getByText('The page failed').waitFor()
    await rail.getByRole('link', { name: 'Users' }).click()
    await page.getByRole('heading', { level: 1, name: 'Users' }).waitFor()
  })

  await t.test('a session that ends elsewhere leads to signing in, and back to the page', async t => {
    const editor = await user('editor')
    const tab = await open(at('/topics'), { session: editor.token, expected: /401/ })
    const { page } = tab
    await page.getByRole('status').getByText('live').waitFor()
    await editor.post('/api/auth/logout')
    await page.waitForURL(/\/login\?returnTo=/)
    await page.getByLabel('E-mail').fill(editor.email)
    await page.getByLabel('Password').fill(password)
    await page.getByRole('button', { name: 'Sign in', exact: true }).click()
    await page.waitForURL(url + at('/topics'))
    t.same(await page.evaluate('Object.keys(localStorage).includes("realtime.session")'), false)
  })

  await t.test('signing out in one tab signs out the other', async () => {
    const { token } = await admin.post('/api/auth/login', { email: admin.email, password })
      .then(({ body }) => ({ token: body.sessionToken as string }))
    const kept = (context: Parameters<NonNullable<Parameters<typeof open>[1]>['prepare'] & object>[0]) =>
      context.addInitScript(`if (localStorage.getItem('test.kept') === null) {
        localStorage.setItem('realtime.session', '${token}'); localStorage.setItem('test.kept', 'true') }`)
    const first = await open(at('/topics'), { session: null, prepare: kept, expected: /401/ })
    const second = await open(at('/topics'), { session: null, beside: first, expected: /401/ })
    await first.page.getByRole('button', { name: /^Account/ }).click()
    await first.page.getByRole('menuitem', { name: 'Log out' }).click()
    await first.page.waitForURL(/\/login/)
    await second.page.waitForURL(/\/login/)
  })

  await t.test('a lost connection is shown, and the page goes on after it', async () => {
    const tab = await open(at('/topics'), { expected: networkErrors })
    const { page } = tab
    await page.getByRole('status').getByText('live').waitFor()
    await tab.setOffline(true)
    await page.getByRole('status').getByText(/reconnecting since/).waitFor()
    await topic('order.shipped')
    await tab.setOffline(false)
    await page.getByRole('status').getByText('live').waitFor()
    await page.getByRole('link', { name: 'order.shipped' }).waitFor()
  })

  await t.test('on a phone, the pages are behind a button', async () => {
    const { page } = await open(at('/topics'), { width: 390, height: 844 })
    await page.getByRole('button', { name: 'Pages' }).click()
    await page.getByRole('navigation', { name: 'Pages' }).getByRole('link', { name: 'Schemas' }).click()
    await page.waitForURL(url + at('/schemas'))
    await page.getByRole('navigation', { name: 'Pages' }).waitFor({ state: 'hidden' })
  })
})
