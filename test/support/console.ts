import { createRequire } from 'node:module'
import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Locator } from 'playwright-core'
import { installFolder } from '../../src/foundation/version.ts'
import { build, type BuildOptions } from './build.ts'
import { startChromium, type Tab, type TabOptions } from './chromium.ts'
import { person, type RoleOf } from './people.ts'
import type { Verdict } from './teardown.ts'
import { tenant } from './tenant.ts'

/*
 * The built console of `ui/dist`, served by a real platform and shown in a real Chromium. `npm run build` builds it.
 * Errors in the browser's log, among them violations of the content security policy, fail the test.
 */

export type Environment = 'development' | 'staging' | 'production'

export interface PageOptions extends TabOptions {
  /** The session token of the tab. Null: nobody is signed in. Default: a super_admin. */
  session?: string | null
  theme?: 'light' | 'dark'
  width?: number
  height?: number
}

const screenshots = process.env['SCREENSHOTS']

export interface ConsoleOptions extends BuildOptions {
  /** Default: any free one. */
  port?: number
}

/** Starts a platform with an application, and a browser for its console. */
export async function startConsole (t: Verdict, { port = 0, ...options }: ConsoleOptions = {}) {
  const { app, databaseUrl } = await build(t, {
    ...options, variables: { CONSOLE_DIR: join(installFolder, 'ui/dist'), ...options.variables }
  })
  const url = await app.listen({ host: '127.0.0.1', port })
  const shop = await tenant(app)
  const admin = await person(app, 'super_admin')
  const openTab = await startChromium(t)

  const tabs: Tab[] = []

  /**
   * Opens a page of the console by its path. The first tab and the three latest ones stay open: each page polls and
   * renders, so many of them would slow each other down.
   */
  async function open (
    path: string, { session = admin.token, theme = 'light', ...more }: PageOptions = {}
  ): Promise<Tab> {
    const tab = await openTab(url + path, {
      expected: /the server responded with a status of 4\d\d/,
      ...more,
      context: {
        viewport: { width: more.width ?? 1280, height: more.height ?? 720 }, reducedMotion: 'reduce', ...more.context
      },
      async prepare (context) {
        await context.grantPermissions(['clipboard-read', 'clipboard-write'])
        await context.addInitScript(([session, theme]) => {
          // `page.evaluate` and init scripts run in the browser.
          const window: Window = Object(globalThis)
          // A refused frame has no storage.
          if (window.top !== window.self) return
          const { sessionStorage, localStorage } = window
          if (session !== null && sessionStorage.getItem('test.signed-in') === null) {
            sessionStorage.setItem('realtime.session', String(session))
            sessionStorage.setItem('test.signed-in', 'true')
          }
          if (localStorage.getItem('realtime.theme') === null) localStorage.setItem('realtime.theme', String(theme))
        }, [session, theme] as const)
        await more.prepare?.(context)
      }
    })
    tabs.push(tab)
    if (tabs.length > 4) await Promise.all(tabs.splice(1, 1).map(({ page }) => page.close()))
    return tab
  }

  return {
    ...shop,
    app,
    databaseUrl,
    url,
    /** The session of a super_admin, and requests with it. */
    admin,
    open,
    /** A user with roles: `await user('viewer')` has the role in the application only. */
    user: (role: string) => person(app, [role, shop.applicationId] satisfies RoleOf),
    /** The path of a page of the application: `at('/topics')`. */
    at: (path: string, environment: Environment = 'development') => `/a/${shop.applicationId}/${environment}${path}`
  }
}

/**
 * Replaces the text of an editor with its own commands. `fill` has the browser replace it, which then copies styles of
 * the old text into style attributes; the policy of the page blocks them and logs an error.
 */
export async function fillEditor (editor: Locator, text: string): Promise<void> {
  await editor.focus()
  await editor.press('ControlOrMeta+a')
  await editor.press('Delete')
  await editor.page().keyboard.insertText(text)
}

interface Window { top: unknown, self: unknown, sessionStorage: Store, localStorage: Store }
interface Store { getItem: (name: string) => string | null, setItem: (name: string, value: string) => void }

/** Writes a screenshot into the folder of the variable SCREENSHOTS, if it is set. */
export async function screenshot ({ page }: Tab, name: string): Promise<void> {
  if (screenshots === undefined) return
  await mkdir(screenshots, { recursive: true })
  await page.screenshot({ path: join(screenshots, `${name}.png`) })
}

let axeSource: Promise<string> | undefined

/**
 * Returns the serious and critical findings of axe-core on a page, as `rule: selector, …`. `isOfColors` checks only
 * what another theme changes.
 */
export async function accessibilityProblems ({ page }: Tab, { isOfColors = false } = {}): Promise<string[]> {
  if (!await page.evaluate<boolean>('"axe" in globalThis')) {
    axeSource ??= readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
    await page.evaluate(await axeSource)
  }
  const rules = isOfColors
    ? { type: 'rule', values: ['color-contrast', 'link-in-text-block'] }
    : { type: 'tag', values: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] }
  // The page filters the findings: the rest of the result is large.
  const violations = await page.evaluate<Violation[]>(`axe.run(document, {
    resultTypes: ['violations'], runOnly: ${JSON.stringify(rules)}
  }).then(({ violations }) => violations.filter(({ impact }) => impact === 'serious' || impact === 'critical'))`)
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map(describe).join(', ')}`)
}

const describe = ({ target, failureSummary }: AxeNode): string => `${target.join(' ')} (${failureSummary})`

interface Violation { id: string, nodes: AxeNode[] }
interface AxeNode { target: string[], failureSummary: string }
