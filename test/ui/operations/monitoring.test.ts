import t from 'tap'
import type { QuotaReading } from '../../../src/alerts/evaluation.ts'
import { SeriesStore } from '../../../src/debugger/series/series-store.ts'
import { floorTo, minuteMs, rowOf } from '../../support/series.ts'
import { noChromium } from '../../support/chromium.ts'
import { accessibilityProblems, screenshot, startConsole } from '../../support/console.ts'

t.test('the overview and monitoring', { skip: noChromium, timeout: 600_000 }, async t => {
  const { app, open, at, topic, publish, user, scope } = await startConsole(t, {
    adapt (config) {
      Object.assign(config.alerts, { intervalMs: 100, resolveAfterMs: 100 })
    }
  })
  const readings: QuotaReading[] = []
  app.alertEvaluator.readQuotasWith(async () => readings)
  const now = floorTo(Date.now(), minuteMs)
  const ago = (minutes: number) => now - minutes * minuteMs
  const isGap = (minutes: number) => minutes >= 20 && minutes < 25

  /** Stores an hour of minutes with 60 events each. In five of them, no node reported. */
  async function storeHour (): Promise<void> {
    const { pool, instruments: metrics } = app
    const store = new SeriesStore({ pool, metrics, log: { warn () {}, error () {} } })
    for (let minutes = 10; minutes < 60; minutes++) {
      if (isGap(minutes)) continue
      const row = rowOf(scope, 'scope', '', { received: 60 }, [5, 20, 80])
      store.add([rowOf(undefined, 'scope', ''), row], { at: ago(minutes), node: 'node_a', batch: minutes })
    }
    await store.flush()
    await store.close()
  }

  await t.test('the overview is calm at first, names the next step, and shows what fires', async t => {
    const tab = await open(at(''))
    const { page } = tab
    await page.getByText('All good.').waitFor()
    await page.getByRole('link', { name: 'Take the first steps' }).waitFor()
    await screenshot(tab, 'overview-empty')
    t.same(await accessibilityProblems(tab), [])
    readings.push({ ...scope, quota: 'topics', percent: 97 })
    await page.getByText('1 problem needs attention').waitFor()
    await page.getByRole('link', { name: 'Open the quotas' }).waitFor()
    readings.pop()
    await page.getByText('All good.').waitFor()
  })

  await t.test('charts show real series, and a gap stays a gap', async t => {
    await storeHour()
    await topic('order.placed')
    await publish('order.placed', { total: 1 })
    const tab = await open(at('/monitoring'), {
      prepare: context => context.addInitScript('localStorage.setItem("realtime.times", "utc")')
    })
    const { page } = tab
    await page.getByText('Database of the platform').waitFor()
    const chart = page.getByRole('img', { name: /^Fan-out latency in ms/ })
    await chart.waitFor()
    await chart.focus()
    await page.keyboard.press('ArrowLeft')
    t.same(await accessibilityProblems(tab), [])
    await page.getByRole('button', { name: 'Events as a table' }).click()
    const table = page.getByRole('region', { name: 'Events, table' })
    const cellsAt = async (minutes: number) => {
      const time = new Date(ago(minutes)).toISOString().slice(0, 19).replace('T', ' ')
      return await table.getByRole('row').filter({ hasText: time }).getByRole('cell').allTextContents()
    }
    t.same((await cellsAt(30)).slice(1), ['1.0', '0'])
    t.same((await cellsAt(22)).slice(1), ['–', '–'])
    await screenshot(tab, 'monitoring-light')
  })

  await t.test('the range and the topic are part of the address', async t => {
    const tab = await open(at('/monitoring'), { theme: 'dark' })
    const { page } = tab
    await page.getByRole('button', { name: 'Last hour' }).click()
    await page.getByRole('menuitemcheckbox', { name: 'Last 24 hours' }).click()
    await page.getByLabel('Topic', { exact: true }).selectOption('order.placed')
    await page.getByText('Events, order.placed').waitFor()
    t.match(page.url(), /range=24h/)
    t.match(page.url(), /topic=order\.placed/)
    t.same(await accessibilityProblems(tab), [])
    await screenshot(tab, 'monitoring-dark')
  })

  await t.test('no chart is wider than a phone', async t => {
    const { token } = await user('viewer')
    const tab = await open(at('/monitoring'), { session: token, width: 390, height: 844 })
    await tab.page.getByRole('img', { name: /^Fan-out latency in ms/ }).waitFor()
    const [width, visible] = await tab.run<[number, number]>(
      '[document.getElementById("content").scrollWidth, document.getElementById("content").clientWidth]'
    )
    t.equal(width, visible)
    await screenshot(tab, 'monitoring-phone')
  })
})
