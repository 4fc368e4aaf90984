import t from 'tap'
import { noChromium } from '../../support/chromium.ts'
import { startConsole } from '../../support/console.ts'
import { pace, until } from '../../support/waiting.ts'

const ratePerSecond = 2000
const seconds = 6
const batch = 200
const total = ratePerSecond * seconds
/** The explorer keeps as many rows as this in memory. */
const ringSize = 10_000

const observe = `
  globalThis.tasks = []
  new PerformanceObserver(list => {
    for (const { duration } of list.getEntries()) globalThis.tasks.push(duration)
  }).observe({ type: 'longtask' })`

/** Scrolls the list for three seconds, and returns the frames of each second. */
const scroll = `new Promise(resolve => {
  const grid = document.querySelector('[role=grid]')
  const frames = []
  const begun = performance.now()
  const step = now => {
    frames.push(now)
    grid.scrollTop += 40
    if (now - begun < 3000) requestAnimationFrame(step)
    else resolve(frames.length / ((frames.at(-1) - frames[0]) / 1000))
  }
  requestAnimationFrame(step)
})`

t.test('2,000 events/s arrive in the explorer', { skip: noChromium, timeout: 600_000 }, async t => {
  const { app, open, at, topic, publish } = await startConsole(t)
  await topic('order.placed')
  await publish('order.placed', { n: 0 })
  const { page, run, cdp } = await open(at('/topics/order.placed'))
  const grid = page.getByRole('grid', { name: 'Events' })
  const counters = page.getByTestId('counters')
  const counter = async (name: string) => Number(await counters.getAttribute(`data-${name}`))
  await grid.locator('[data-offset="1"]').waitFor()
  await until(() => [...app.connections.all()].some(({ subscriptions }) => subscriptions.length > 0), 'a subscription')
  await run(observe)

  await t.test('every event is received, and rows in memory and in the page are limited', async t => {
    let rowsMax = 0
    const written: Promise<unknown>[] = []
    const begun = performance.now()
    for (let sent = 0; sent < total; sent += batch) {
      const due = begun + sent / ratePerSecond * 1000
      if (due > performance.now()) await pace(due - performance.now())
      // Batches do not wait for each other, so that a slow answer does not lower the rate.
      written.push(publish('order.placed', ...Array.from({ length: batch }, (_, i) => ({ n: sent + i, text: 'a' }))))
      if (sent % 2000 === 0) rowsMax = Math.max(rowsMax, await grid.locator('[data-offset]').count())
    }
    await Promise.all(written)
    const took = (performance.now() - begun) / 1000
    await until(async () => await counter('received') === total, 'every event')
    await grid.locator(`[data-offset="${total + 1}"]`).waitFor()
    rowsMax = Math.max(rowsMax, await grid.locator('[data-offset]').count())
    t.equal(await counter('received'), total)
    t.equal(await counter('kept'), ringSize)
    t.equal(await counter('pending'), 0)
    t.ok(rowsMax <= 60, `${rowsMax} rows in the page`)
    const tasks = await run<number[]>('globalThis.tasks')
    t.comment(`${Math.round(total / took)} events/s; ${tasks.length} tasks above 50 ms, the longest ` +
      `${Math.round(Math.max(0, ...tasks))} ms; at most ${rowsMax} rows in the page`)
  })

  await t.test('a paused list counts what arrives and does not move or grow', async t => {
    await grid.focus()
    await page.keyboard.press('Space')
    await page.getByText('paused').waitFor()
    const before = await grid.locator('[data-offset]').first().getAttribute('data-offset')
    await publish('order.placed', ...Array.from({ length: 3000 }, (_, n) => ({ n })))
    await until(async () => await counter('pending') === 3000, 'what waits')
    t.equal(await grid.locator('[data-offset]').first().getAttribute('data-offset'), before)
    t.ok(await counter('kept') <= ringSize)
    await page.getByRole('button', { name: '3,000 new' }).click()
    await grid.locator(`[data-offset="${total + 3001}"]`).waitFor()
  })

  await t.test('the whole log scrolls with few rows in the page', async t => {
    const fps = await run<number>(scroll)
    await cdp.send('HeapProfiler.collectGarbage')
    const { usedSize } = await cdp.send('Runtime.getHeapUsage')
    const rows = await grid.locator('[data-offset]').count()
    t.ok(rows <= 60, `${rows} rows in the page`)
    t.ok(await counter('kept') <= ringSize)
    t.comment(`${Math.round(fps)} frames/s while scrolling; ${Math.round(usedSize / 1e6)} MB of heap`)
  })
})
