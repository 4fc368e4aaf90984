import t from 'tap'
import { noChromium } from '../../support/chromium.ts'
import { accessibilityProblems, screenshot } from '../../support/console.ts'
import { pagesOf, publicPages, sample } from '../pages.ts'
import { overflow, visitor } from '../visit.ts'
import { startWorld } from '../world.ts'

/* Pages as a viewer and on a phone, and the pages without a session. */

t.test('pages for other readers', { skip: noChromium, timeout: 600_000 }, async t => {
  const world = await startWorld(t, 'Orders of the shop')
  const { console } = world
  const pages = pagesOf(world)

  await t.test('a viewer', async t => {
    const { token: session } = await console.user('viewer')
    const tab = await console.open('/account', { session })
    const { visit } = visitor(tab)
    // The user of that page has no role in the viewer's application, so it does not exist for the viewer.
    for (const page of sample(pages, 2).filter(({ name }) => name !== 'user')) {
      await t.test(page.name, async t => {
        await visit(page, { isRefusable: true })
        await screenshot(tab, `${page.name}-viewer`)
        t.equal(await overflow(tab), 0, 'it fits 1280 pixels')
      })
    }
  })

  await t.test('a phone', async t => {
    const tab = await console.open('/account', { width: 390, height: 844 })
    const { visit } = visitor(tab)
    for (const page of sample(pages, 2)) {
      await t.test(page.name, async t => {
        await visit(page)
        await screenshot(tab, `${page.name}-phone`)
        t.equal(await overflow(tab), 0, 'it fits 390 pixels')
      })
    }
  })

  for (const theme of ['light', 'dark'] as const) {
    await t.test(`nobody, in the ${theme} theme`, async t => {
      const tab = await console.open('/login', { session: null, theme })
      for (const { name, path, shows } of publicPages) {
        await tab.page.goto(console.url + path)
        await tab.page.getByRole('heading', { name: shows }).waitFor()
        await screenshot(tab, `${name}-${theme}`)
        t.same(await accessibilityProblems(tab), [], name)
      }
    })
  }
})
