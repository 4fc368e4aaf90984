import { join } from 'node:path'
import t from 'tap'
import { installFolder } from '../../../src/foundation/version.ts'
import { noChromium, servePages, startChromium } from '../../support/chromium.ts'
import { accessibilityProblems, screenshot } from '../../support/console.ts'
import { otherRoutes, pagesOf, publicPages, sample } from '../pages.ts'
import { overflow, visitor } from '../visit.ts'
import { startWorld } from '../world.ts'

/* Every page, in both themes. `npm run screenshots` writes a picture of each. */

t.test('every page is accessible in both themes and fits its window', { skip: noChromium, timeout: 600_000 },
  async t => {
    const world = await startWorld(t, 'Orders of the shop')
    const { console } = world
    const pages = pagesOf(world)
    for (const theme of ['light', 'dark'] as const) {
      await t.test(theme, async t => {
        const tab = await console.open('/account', { theme })
        const { visit } = visitor(tab)
        for (const page of theme === 'light' ? pages : sample(pages, 2)) {
          await t.test(page.name, async t => {
            await visit(page)
            await screenshot(tab, `${page.name}-${theme}`)
            t.same(await accessibilityProblems(tab, { isOfColors: theme === 'dark' }), [])
            t.equal(await overflow(tab), 0, 'it fits 1280 pixels')
          })
        }
      })
    }

    await t.test('every route of the console is among the pages', async t => {
      const { add } = await servePages(t)
      const open = await startChromium(t)
      const { run } = await open(await add({
        folder: join(installFolder, 'ui/src'),
        source: `
          import { router } from './router.tsx'
          globalThis.routes = Object.keys(router.routesByPath)
          globalThis.routeOf = path => router.matchRoutes(path).at(-1).fullPath`
      }))
      const paths = [...pages, ...publicPages].map(({ path }) => path.replace(/\?.*/, ''))
      const visited = await run<string[]>(`${JSON.stringify(paths)}.map(routeOf)`)
      const known = new Set([...visited, ...Object.keys(otherRoutes)].map(withoutSlash))
      const routes = await run<string[]>('routes')
      t.ok(routes.length > 60)
      t.same(routes.map(withoutSlash).filter(route => !known.has(route)), [])
    })
  })

const withoutSlash = (path: string): string => path.replace(/(.)\/$/, '$1')
