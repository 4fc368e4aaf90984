import t from 'tap'
import { noChromium } from '../../support/chromium.ts'
import { accessibilityProblems, screenshot, startConsole } from '../../support/console.ts'

t.test('the pages of applications', { skip: noChromium, timeout: 600_000 }, async t => {
  const { open, admin, user, applicationId, topic, publish } = await startConsole(t)
  const place = `/applications/${applicationId}`

  await t.test('an application is created, changed and deleted by its name', async t => {
    const { page } = await open('/applications')
    await page.getByRole('button', { name: 'Create application' }).click()
    const dialog = page.getByRole('dialog')
    await dialog.getByRole('button', { name: 'Create application' }).click()
    await dialog.getByRole('alert').first().waitFor()
    await dialog.getByLabel('Name').fill('<img src=x onerror=alert(1)>')
    await dialog.getByRole('button', { name: 'Create application' }).click()
    await page.getByRole('heading', { name: '<img src=x onerror=alert(1)>' }).waitFor()
    const id = new URL(page.url()).pathname.split('/').at(-1) ?? ''
    await page.getByLabel('Name', { exact: true }).fill('Warehouse')
    await page.getByLabel('To production').check()
    await page.getByRole('button', { name: 'Save settings' }).click()
    await page.getByRole('heading', { name: 'Warehouse' }).waitFor()
    const { body } = await admin.get(`/api/applications/${id}`)
    t.match(body, { name: 'Warehouse', requireApproval: { staging: false, production: true } })
    await page.getByRole('button', { name: 'Delete application' }).click()
    const confirm = page.getByRole('dialog')
    const remove = confirm.getByRole('button', { name: 'Delete application' })
    t.equal(await remove.isDisabled(), true, 'the name must be typed')
    await confirm.getByRole('textbox').fill('Warehouse')
    await remove.click()
    await page.getByRole('heading', { name: 'Applications' }).waitFor()
    t.equal((await admin.get(`/api/applications/${id}`)).status, 404)
  })

  await t.test('an application that owns data is deleted only on request', async t => {
    await topic('order.placed')
    await publish('order.placed', { total: 42 })
    const { page } = await open(place)
    await page.getByRole('button', { name: 'Delete application' }).click()
    await page.getByRole('dialog').getByRole('textbox').fill('Test')
    await page.getByRole('dialog').getByRole('button', { name: 'Delete application' }).click()
    await page.getByText('APPLICATION_NOT_EMPTY').waitFor()
    t.equal((await admin.get(`/api/applications/${applicationId}`)).status, 200)
  })

  await t.test('quotas are set by a user who may change every application', async t => {
    const { page } = await open(`${place}/quotas`)
    await page.getByLabel('Sockets').fill('-1')
    await page.getByRole('button', { name: 'Save quotas' }).click()
    await page.getByRole('alert').first().waitFor()
    t.equal(await page.getByLabel('Sockets').getAttribute('aria-invalid'), 'true')
    await page.getByLabel('Sockets').fill('250')
    await page.getByRole('button', { name: 'Save quotas' }).click()
    await page.getByText('Quotas saved').waitFor()
    t.match((await admin.get(`/api/applications/${applicationId}/quotas`)).body, { sockets: 250, webhooks: null })
    const editor = await user('admin')
    const other = await open(`${place}/quotas`, { session: editor.token })
    await other.page.getByText('Only users who may change every application can set quotas').waitFor()
    t.equal(await other.page.getByLabel('Sockets').isDisabled(), true)
  })

  await t.test('a viewer sees the settings, and cannot change them', async t => {
    const viewer = await user('viewer')
    const { page } = await open(place, { session: viewer.token })
    await page.getByLabel('Name', { exact: true }).waitFor()
    t.equal(await page.getByLabel('Name', { exact: true }).isDisabled(), true)
    t.equal(await page.getByRole('button', { name: /Save|Delete/ }).count(), 0)
    await page.getByRole('link', { name: 'Access' }).click()
    await page.getByRole('link', { name: viewer.id }).waitFor()
  })

  for (const theme of ['light', 'dark'] as const) {
    await t.test(`the pages are accessible in the ${theme} theme`, async t => {
      const tab = await open('/applications', { theme })
      for (const [path, text] of [
        ['/applications', 'Create application'], [place, 'Save settings'], [`${place}/quotas`, 'Save quotas'],
        [`${place}/access`, admin.id]
      ] as const) {
        await tab.page.goto(new URL(path, tab.page.url()).href)
        await tab.page.getByText(text).first().waitFor()
        await screenshot(tab, `applications-${path.split('/')[3] ?? 'settings'}-${theme}`)
        t.same(await accessibilityProblems(tab), [], path)
      }
    })
  }
})
