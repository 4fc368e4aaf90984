import t from 'tap'
import type { QuotaReading } from '../../../src/alerts/evaluation.ts'
import { noChromium } from '../../support/chromium.ts'
import { accessibilityProblems, screenshot, startConsole } from '../../support/console.ts'

/** A name that would run code if it were not rendered as text. */
const hostile = '<img src=x onerror="document.title = 1">'

t.test('alerts and their rules', { skip: noChromium, timeout: 600_000 }, async t => {
  const { app, open, at, request, user, scope } = await startConsole(t, {
    adapt (config) {
      Object.assign(config.alerts, { intervalMs: 100, resolveAfterMs: 100 })
    }
  })
  /* The readings of quotas are the condition that the test controls. */
  const readings: QuotaReading[] = []
  app.alertEvaluator.readQuotasWith(async () => readings)

  await t.test('an alert that fires appears by itself, and is acknowledged', async t => {
    const tab = await open(at('/alerts'))
    const { page } = tab
    await page.getByText('No alert is firing').waitFor()
    await screenshot(tab, 'alerts-empty')
    t.same(await accessibilityProblems(tab), [])
    readings.push({ ...scope, quota: hostile, percent: 93 })
    const link = page.getByRole('link', { name: hostile })
    await link.waitFor()
    await link.click()
    const panel = page.getByRole('complementary', { name: 'Details' })
    await panel.getByText('93 %, threshold 80 %').waitFor()
    t.match(page.url(), /open=alr_/, 'the details have a permalink')
    await panel.getByRole('button', { name: 'Acknowledge' }).click()
    await panel.getByText('by you').waitFor()
    await screenshot(tab, 'alerts-details')
    const { body } = await request('GET', '/api/alerts')
    t.match(body, [{ status: 'firing', acknowledgedBy: /^usr_/ }])
    t.equal(await page.locator('img[src="x"]').count(), 0, 'the name is text')
    await page.keyboard.press('Escape')
    await panel.waitFor({ state: 'detached' })
  })

  await t.test('a refused threshold is shown at its rule, and the accepted one is saved alone', async t => {
    const tab = await open(at('/alerts/rules'))
    const { page } = tab
    const threshold = page.getByLabel('Threshold of Quota nearly used, percent')
    await threshold.fill('200')
    await page.getByText('1 rule changed, not saved yet').waitFor()
    await page.getByRole('button', { name: 'Save rules' }).click()
    await page.getByRole('alert').first().waitFor()
    t.equal(await threshold.getAttribute('aria-invalid'), 'true')
    await screenshot(tab, 'alert-rules-refused')
    await threshold.fill('95')
    await page.getByRole('button', { name: 'Save rules' }).click()
    await page.getByText('No changes').waitFor()
    const { body } = await request('GET', '/api/alerts/rules')
    t.match(
      (body as { rule: string }[]).find(({ rule }) => rule === 'quota_nearly_used'), { threshold: 95, enabled: true }
    )
    t.same(await accessibilityProblems(tab), [])
  })

  await t.test('the alert has ended with its condition, and is found among the past ones', async () => {
    const { page } = await open(at('/alerts?status=resolved'))
    const link = page.getByRole('link', { name: hostile })
    await link.waitFor()
    await link.click()
    await page.getByText('The condition no longer holds').waitFor()
  })

  await t.test('a viewer sees the alerts and rules, and no write action', async t => {
    const { token } = await user('viewer')
    const tab = await open(at('/alerts/rules'), { session: token, theme: 'dark' })
    const { page } = tab
    await page.getByText('at least 95 %').waitFor()
    t.equal(await page.getByRole('button', { name: 'Save rules' }).count(), 0)
    t.equal(await page.getByRole('checkbox').count(), 0)
    t.same(await accessibilityProblems(tab), [])
    await screenshot(tab, 'alert-rules-viewer-dark')
    readings[0] = { ...scope, quota: 'topics', percent: 99 }
    await page.getByRole('link', { name: 'Alerts' }).last().click()
    await page.getByRole('grid').getByRole('link', { name: 'topics' }).click()
    await page.getByRole('complementary', { name: 'Details' }).getByText('99 %, threshold 95 %').waitFor()
    t.equal(await page.getByRole('button', { name: 'Acknowledge' }).count(), 0)
    t.same(await accessibilityProblems(tab), [])
  })
})
