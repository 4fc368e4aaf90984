import t from 'tap'
import { noChromium } from '../../support/chromium.ts'
import { accessibilityProblems, screenshot, startConsole } from '../../support/console.ts'

t.test('the list of topics', { skip: noChromium, timeout: 600_000 }, async t => {
  const { open, at, request } = await startConsole(t)
  await t.test('is empty at first, and names the next step', async t => {
    const tab = await open(at('/topics'))
    await tab.page.getByText('There are no topics yet').waitFor()
    await screenshot(tab, 'topics-empty')
    t.same(await accessibilityProblems(tab), [])
  })
  await t.test('a topic is created, and the server\'s refusal appears at its field', async t => {
    const { page } = await open(at('/topics'))
    await page.getByRole('button', { name: 'Create topic' }).first().click()
    const dialog = page.getByRole('dialog')
    await dialog.getByLabel('Name').fill('not a topic')
    await dialog.getByLabel('Description').fill('An order was placed')
    await dialog.getByLabel('Owner').fill('shop')
    await dialog.getByRole('button', { name: 'Create topic' }).click()
    await dialog.getByRole('alert').first().waitFor()
    t.equal(await dialog.getByLabel('Name').getAttribute('aria-invalid'), 'true')
    await dialog.getByLabel('Name').fill('order.placed')
    await dialog.getByRole('button', { name: 'Create topic' }).click()
    await page.getByRole('heading', { name: 'order.placed' }).waitFor()
    const { body } = await request('GET', '/api/topics/order.placed')
    t.match(body, { name: 'order.placed', owner: 'shop' })
  })
  for (const theme of ['light', 'dark'] as const) {
    await t.test(`is accessible in the ${theme} theme`, async t => {
      const tab = await open(at('/topics'), { theme })
      await tab.page.getByRole('link', { name: 'order.placed' }).waitFor()
      await screenshot(tab, `topics-${theme}`)
      t.same(await accessibilityProblems(tab), [])
    })
  }
})
