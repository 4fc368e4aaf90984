import t from 'tap'
import { noChromium } from '../../support/chromium.ts'
import { accessibilityProblems, screenshot, startConsole } from '../../support/console.ts'

const hostile = '<img src=x onerror="document.title = 1">'

t.test('deployments', { skip: noChromium, timeout: 600_000 }, async t => {
  const { open, at, admin, request, user, applicationId } = await startConsole(t)
  const author = await user('editor')
  const second = await user('editor')
  await request('POST', '/api/topics', { name: 'order.placed', description: hostile, owner: 'shop' })
  await request('POST', '/api/schemas/order.placed', {
    schema: { type: 'object', properties: { total: { type: 'number' } } }, activate: true
  })
  await admin.patch(`/api/applications/${applicationId}`, { requireApproval: { staging: true } })
  const inStaging = async () =>
    (await request('GET', '/api/topics/order.placed', undefined, { 'x-environment': 'staging' })).status
  let path = ''

  await t.test('are empty at first', async t => {
    const tab = await open(at('/deployments'))
    await tab.page.getByText('Nothing has been deployed yet').waitFor()
    t.same(await accessibilityProblems(tab), [])
  })

  await t.test('one is composed from the differences, and refused without an approval', async t => {
    const tab = await open(at('/deployments/new'), { session: author.token })
    const { page } = tab
    await page.getByText('2 differences').waitFor()
    await page.getByText('Changes').first().click()
    t.same(await accessibilityProblems(tab), [])
    await screenshot(tab, 'deployment-compose')
    await page.getByRole('checkbox', { name: 'order.placed v1' }).check()
    t.ok(await page.getByRole('checkbox', { name: 'order.placed', exact: true }).isChecked(), 'the topic comes along')
    await page.getByLabel('Title').fill(hostile)
    await page.getByRole('button', { name: 'Create deployment of 2 items' }).click()
    await page.getByText('You created it, so somebody else has to approve it.').waitFor()
    path = new URL(page.url()).pathname
    t.equal(await page.getByRole('button', { name: 'Approve' }).count(), 0)
    await page.getByRole('button', { name: 'Apply', exact: true }).click()
    const dialog = page.getByRole('dialog')
    await dialog.getByText('These checks fail now').waitFor()
    await dialog.getByRole('button', { name: 'Apply in staging' }).click()
    await dialog.getByText('DEPLOYMENT_NOT_READY').waitFor()
    await dialog.getByText(/somebody other/).first().waitFor()
    await screenshot(tab, 'deployment-refused')
    t.same(await accessibilityProblems(tab), [])
    t.equal(await inStaging(), 404, 'nothing was changed')
    await page.keyboard.press('Escape')
    await page.getByLabel('Comment').fill('Please look')
    await page.getByRole('button', { name: 'Comment' }).click()
    await page.getByRole('listitem').filter({ hasText: 'Please look' }).waitFor()
    t.equal(await page.locator('img[src="x"]').count(), 0, 'names are text')
  })

  await t.test('a second user approves it, applies it and rolls it back', async t => {
    const tab = await open(path, { session: second.token, theme: 'dark' })
    const { page } = tab
    await page.getByRole('button', { name: 'Approve' }).click()
    await page.getByText('ready to apply').waitFor()
    t.same(await accessibilityProblems(tab), [])
    await screenshot(tab, 'deployment-dark')
    await page.getByRole('button', { name: 'Apply', exact: true }).click()
    await page.getByRole('button', { name: 'Apply in staging' }).click()
    await page.getByText('can be rolled back').waitFor()
    t.equal(await inStaging(), 200)
    await page.getByRole('button', { name: 'Roll back', exact: true }).click()
    await page.getByRole('button', { name: 'Roll back in staging' }).click()
    await page.getByText('rolled back', { exact: true }).waitFor()
    await page.getByText('rolled it back').waitFor()
    t.equal(await page.getByRole('button', { name: /Apply|Roll back/ }).count(), 0)
  })

  await t.test('a viewer reads it and sees no write action', async t => {
    const viewer = await user('viewer')
    const tab = await open(path, { session: viewer.token })
    const { page } = tab
    await page.getByText('rolled it back').waitFor()
    t.equal(await page.getByRole('button', { name: /Apply|Approve|Reject|Comment|Roll back/ }).count(), 0)
    await page.getByRole('link', { name: 'Deployments' }).first().click()
    await page.getByRole('link', { name: hostile }).waitFor()
    t.equal(await page.getByRole('link', { name: 'Compose deployment' }).count(), 0)
    t.same(await accessibilityProblems(tab), [])
    await screenshot(tab, 'deployments-viewer')
  })
})
