import type { Request } from 'playwright-core'
import type { Tab } from '../support/chromium.ts'
import type { ConsolePage } from './pages.ts'

/** Requests that last as long as the page is open. */
const streams = /\/api\/debugger\/stream/

/** Opens pages of the console in a tab, and waits until they have loaded. */
export function visitor ({ page }: Tab) {
  const running = new Set<Request>()
  page.on('request', request => {
    if (!request.isNavigationRequest() && !streams.test(request.url())) running.add(request)
  })
  page.on('requestfinished', request => running.delete(request))
  page.on('requestfailed', request => running.delete(request))
  const loading = page.locator('[aria-label=Loading], [aria-busy=true]').first()

  /** Opens a path as a link does, without loading the console again. Elements of another page before it are marked. */
  async function follow (path: string): Promise<void> {
    // The router follows each entry of the history.
    await page.evaluate(`{
      const before = location.pathname
      history.pushState(null, '', ${JSON.stringify(path)})
      if (location.pathname !== before) {
        for (const element of document.querySelectorAll('main *')) element.dataset.before = ''
      }
    }`)
  }

  /** Resolves when an element with one of the texts is shown that was not there before the page. */
  const shown = (...texts: string[]): Promise<void> =>
    texts.map(text => page.getByRole('main').getByText(text)).reduce((one, other) => one.or(other))
      .and(page.locator(':not([data-before])')).filter({ visible: true }).first().waitFor()

  /** Resolves when nothing is loading: no request is running, and no skeleton is shown. */
  async function settled (): Promise<void> {
    do {
      await loading.waitFor({ state: 'detached' })
      await page.evaluate('new Promise(resolve => requestAnimationFrame(() => requestAnimationFrame(resolve)))')
    } while (running.size > 0)
  }

  return {
    follow,
    shown,
    settled,
    /** Opens a page. A reader may be refused, if `isRefusable`. */
    async visit ({ path, shows }: ConsolePage, { isRefusable = false } = {}): Promise<void> {
      await follow(path)
      await shown(shows, ...isRefusable ? ['You may not see this'] : [])
      await settled()
    }
  }
}

/** Returns by how many pixels the page is wider than the window. */
export const overflow = ({ page }: Tab): Promise<number> =>
  page.evaluate(`Math.max(...[document.documentElement, document.querySelector('main')]
    .map(element => element === null ? 0 : element.scrollWidth - element.clientWidth))`)
