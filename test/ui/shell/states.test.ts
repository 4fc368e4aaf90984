import t, { type Test } from 'tap'
import type { Route } from 'playwright-core'
import { noChromium, type Tab } from '../../support/chromium.ts'
import { accessibilityProblems } from '../../support/console.ts'
import { tenant } from '../../support/tenant.ts'
import { pagesOf, sample, type ConsolePage } from '../pages.ts'
import { visitor } from '../visit.ts'
import { startWorld } from '../world.ts'

/* Every page while it loads, when it fails, when it is refused, and with nothing in it. */

/** Paths that the frame of every page reads. The page itself reads the rest. */
const frame = /\/api\/(auth\/(me|methods)|applications\/[^/?]+)$/

const requestId = 'req_states00000000'

/** The pages that everybody may see who may see the application, at least in part. */
const forEverybody = [
  'overview', 'keys-tokens', 'api-reference', 'applications', 'application', 'application-quotas', 'application-usage',
  'account', 'account-password', 'account-second-factor', 'account-sessions', 'account-api-keys', 'first-steps'
]

/** Pages that work without what they read: suggestions of a form, or names beside ids. They show no error. */
const working = [
  'debugger-explain', 'debugger-route', 'debugger-new-replay', 'database-new-mapping', 'channel-messages',
  'webhooks-new', 'keys-tokens', 'api-reference', 'application', 'account', 'account-password',
  'account-second-factor'
]

/** A live document is read again until that succeeds. */
const repeating = ['document']

/** Pages of the application without anything, with the sentence that each shows. */
const emptyPages: [string, string][] = [
  ['/topics', 'There are no topics yet'],
  ['/schemas', 'There are no topics yet'],
  ['/debugger', 'There are no traces yet'],
  ['/debugger/replays', 'There are no replays'],
  ['/database/mappings', 'There are no mappings yet'],
  ['/documents', 'There are no services yet'],
  ['/channels', 'No channel has a member'],
  ['/webhooks', 'There are no webhooks yet'],
  ['/deliveries', 'There are no deliveries yet'],
  ['/alerts', 'No alert is firing'],
  ['/deployments', 'Nothing has been deployed yet'],
  ['/keys', 'There are no API keys yet']
]

const textOf = ({ page }: Tab): Promise<string> => page.locator('main').innerText()

t.test('the states of every page', { skip: noChromium, timeout: 600_000 }, async t => {
  const world = await startWorld(t, 'Orders of the shop')
  const { console } = world
  const pages = pagesOf(world)
  const some = sample(pages, 8)

  await t.test('refused: the page names the missing permission', async t => {
    const { id } = await console.admin.post('/api/roles', {
      name: 'applications-only', permissions: [{ resource: 'applications', action: 'read' }]
    }).then(({ body }) => body)
    const { token: session } = await console.user(id)
    const tab = await console.open('/account', { session })
    const { visit } = visitor(tab)
    const unnamed: string[] = []
    for (const page of pages) {
      await t.test(page.name, async t => {
        await visit(page, { isRefusable: true })
        const text = await textOf(tab)
        t.notMatch(text, /undefined|NaN/)
        if (!/None of your roles has the permission [a-z-]+:[a-z-]+/.test(text)) unnamed.push(page.name)
      })
    }
    t.same(unnamed, forEverybody)
  })

  /** Opens each page, and holds or fails what it reads. `check` gets the number of these requests. */
  async function intercepted (
    t: Test, answer: (route: Route) => Promise<unknown>,
    check: (t: Test, tab: Tab & ReturnType<typeof visitor>, page: ConsolePage, count: () => number) => Promise<void>
  ): Promise<void> {
    const tab = await console.open('/account', { expected: /the server responded with a status of [45]\d\d/ })
    const visits = visitor(tab)
    let requests = 0
    for (const page of some) {
      requests = 0
      await tab.page.unrouteAll()
      await tab.page.route('**/api/**', async route => {
        const request = route.request()
        if (request.method() !== 'GET' || frame.test(new URL(request.url()).pathname)) return route.fallback()
        requests++
        await answer(route)
      })
      await t.test(page.name, async t => {
        await tab.page.goto(console.url + page.path)
        await check(t, { ...tab, ...visits }, page, () => requests)
      })
    }
  }

  await t.test('an error is shown with its code and request id, and the page comes when it is repeated', async t => {
    const without: string[] = []
    const body = {
      error: 'InternalServerError', message: 'The server failed to process the request.', code: 'INTERNAL'
    }
    await intercepted(
      t, route => route.fulfill({ status: 500, json: body, headers: { 'x-request-id': requestId } }),
      async (t, tab, one, count) => {
        if (repeating.includes(one.name)) return
        const { page, shown, settled } = tab
        const alert = page.getByRole('main').getByRole('alert').filter({ hasText: requestId }).first()
        await alert.or(page.getByText(one.shows)).filter({ visible: true }).first().waitFor()
        await settled()
        t.notMatch(await textOf(tab), /undefined|NaN/)
        await page.unrouteAll({ behavior: 'wait' })
        if (count() > 0 && !await alert.isVisible()) without.push(one.name)
        else if (count() > 0) {
          t.match(await alert.allInnerTexts(), [/The server failed to process the request.*INTERNAL/s])
          await page.getByRole('navigation', { name: 'Pages' }).waitFor()
          const again = page.getByRole('main').getByRole('button', { name: 'Try again' })
          for (const button of (await again.all()).reverse()) await button.click()
          await again.first().waitFor({ state: 'detached' })
        }
        await shown(one.shows)
      }
    )
    t.same(without, working.filter(name => some.some(page => page.name === name)))
  })

  await t.test('while answers are missing, a skeleton is shown', async t => {
    let release = () => {}
    let held = new Promise<void>(resolve => { release = resolve })
    await intercepted(
      t, async route => {
        await held
        await route.fallback().catch(() => {})
      },
      async (t, tab, one) => {
        const { page } = tab
        const loading = page.locator('[role=status][aria-label=Loading]')
        await loading.or(page.getByText(one.shows)).filter({ visible: true }).first().waitFor()
        t.same(await accessibilityProblems(tab), [])
        t.equal(await page.evaluate('document.documentElement.scrollWidth'), 1280, 'it fits its window')
        t.notMatch(await textOf(tab), /undefined|NaN/)
        release()
        await page.unrouteAll({ behavior: 'wait' })
        held = new Promise(resolve => { release = resolve })
        await tab.shown(one.shows)
      }
    )
  })

  await t.test('a page without anything names the next step', async t => {
    const { applicationId } = await tenant(console.app)
    const tab = await console.open('/account')
    const { follow, shown, settled } = visitor(tab)
    for (const [path, sentence] of emptyPages) {
      await follow(`/a/${applicationId}/development${path}`)
      await shown(sentence)
      await settled()
      const step = tab.page.getByRole('heading', { name: sentence }).locator('..').locator('a, button, pre').first()
      t.ok(await step.isVisible(), `${path} has a next step`)
      t.notMatch(await textOf(tab), /undefined|NaN/, path)
    }
  })
})
