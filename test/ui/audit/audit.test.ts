import { readFile } from 'node:fs/promises'
import t from 'tap'
import { noChromium } from '../../support/chromium.ts'
import { accessibilityProblems, screenshot, startConsole } from '../../support/console.ts'

t.test('the audit log', { skip: noChromium, timeout: 600_000 }, async t => {
  const { open, user, admin, applicationId } = await startConsole(t)
  const path = `/api/applications/${applicationId}`
  const name = 'Shop <img src=x onerror=alert(1)>'
  await admin.patch(path, { name })
  await admin.patch(path, { description: 'Sells things' })

  await t.test('an entry shows both sides of the change, and has a permalink', async t => {
    const tab = await open('/audit?resource=application&action=application.updated')
    const { page } = tab
    await page.getByRole('gridcell', { name: 'application.updated' }).first().click()
    const details = page.getByRole('complementary', { name: 'Details' })
    await details.getByText('"description": "Sells things"').waitFor()
    t.match(await details.innerText(), /−\s+"description": ""/)
    await screenshot(tab, 'audit-light')
    t.same(await accessibilityProblems(tab), [])
    const link = page.url()
    await details.getByRole('link', { name: 'Only this actor' }).click()
    await page.getByRole('button', { name: 'Remove the filter Actor' }).waitFor()
    const filtered = link.slice(new URL(link).origin.length).replace('application.updated', 'user.deleted')
    const { page: shared } = await open(filtered)
    await shared.getByRole('complementary', { name: 'Details' }).getByText('"description": "Sells things"').waitFor()
  })

  await t.test('the filter is exported, all of its pages', async t => {
    for (let i = 0; i < 120; i++) await admin.patch(path, { description: `Number ${i}` })
    const { page } = await open(`/audit?action=application.updated&application=${applicationId}`)
    await page.getByText('100+ rows').or(page.getByText('122 rows')).first().waitFor()
    await page.getByRole('button', { name: 'Export filter' }).click()
    const [download] = await Promise.all([
      page.waitForEvent('download'), page.getByRole('menuitem', { name: 'NDJSON' }).click()
    ])
    const lines = (await readFile(await download.path(), 'utf8')).trim().split('\n').map(line => JSON.parse(line))
    t.equal(lines.length, 122)
    t.match(lines[0], { action: 'application.updated', after: { description: 'Number 119' } })
  })

  await t.test('names are text, and the keyboard moves through the list', async () => {
    const { page } = await open('/audit')
    await page.getByRole('gridcell', { name: 'application.updated' }).first().waitFor()
    await page.getByLabel('Application', { exact: true }).selectOption({ label: name })
    await page.getByRole('grid').press('j')
    await page.getByRole('grid').press('Enter')
    await page.getByRole('complementary', { name: 'Details' }).getByText(`${name}`).first().waitFor()
    await page.keyboard.press('Escape')
    await page.getByRole('complementary', { name: 'Details' }).waitFor({ state: 'detached' })
    await page.getByLabel('Resource').selectOption({ label: 'replay' })
    await page.getByText('No entry matches the filter and the range').waitFor()
  })

  await t.test('a viewer sees which permission is missing', async () => {
    const viewer = await user('viewer')
    const { page } = await open('/audit', { session: viewer.token })
    await page.getByText('audit:read').waitFor()
  })

  await t.test('is accessible in the dark theme', async t => {
    const tab = await open('/audit', { theme: 'dark' })
    await tab.page.getByRole('gridcell', { name: 'application.updated' }).first().waitFor()
    await screenshot(tab, 'audit-dark')
    t.same(await accessibilityProblems(tab), [])
  })
})
