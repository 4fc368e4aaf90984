import { build } from 'esbuild'
import { once } from 'node:events'
import { accessSync, constants } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { delimiter, join } from 'node:path'
import { chromium, type BrowserContext, type BrowserContextOptions, type CDPSession, type Page } from 'playwright-core'
import type { Teardown, Verdict } from './teardown.ts'

/*
 * Pages in a real Chromium. A test writes the page's script, which may import the client library, serves it with
 * `servePages`, and opens it with `startChromium`. An error in a page fails the test.
 */

const executablePath = findChromium()

/** The value of `skip` for a test that needs a browser: false where one is installed. */
export const noChromium = executablePath === undefined &&
  'Chromium is not installed, so the test in a browser is skipped. Install it, or set CHROMIUM_PATH'

const args = [
  '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync'
]

/** Errors that a browser logs when a connection is lost on purpose. */
export const networkErrors = /WebSocket connection to|Failed to load resource: net::|net::ERR_|blocked by CORS policy/

export interface Pages {
  /** The origin of the pages, for `CORS_ORIGINS`. */
  origin: string
  /** Bundles a script, and returns the URL of a page that runs it. */
  add (script: PageScript): Promise<string>
}

export interface PageScript {
  /** TypeScript or JSX. It imports packages by name, and files relative to `folder`. */
  source: string
  folder?: string
}

/** Serves pages at an address of their own, so that they call the platform from another origin. */
export async function servePages (t: Teardown): Promise<Pages> {
  const scripts: string[] = []
  const server = createServer(({ url = '' }, response) => {
    const [, kind, n] = /^\/(page|script)\/(\d+)$/.exec(url) ?? []
    const script = scripts[Number(n)]
    if (script === undefined) response.writeHead(url === '/favicon.ico' ? 204 : 404).end()
    else if (kind === 'script') response.setHeader('content-type', 'text/javascript').end(script)
    else {
      response.setHeader('content-type', 'text/html; charset=utf-8')
        .end(`<!doctype html><title>Test</title><div id="root"></div>
          <script type="module" src="/script/${n}"></script>`)
    }
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    origin,
    async add (script) {
      const n = scripts.push(await bundle(script)) - 1
      return `${origin}/page/${n}`
    }
  }
}

/** Bundles a script for browsers, as an application would. */
export async function bundle ({ source, folder = import.meta.dirname }: PageScript): Promise<string> {
  const { outputFiles: [output] } = await build({
    stdin: { contents: source, resolveDir: folder, sourcefile: 'page.tsx', loader: 'tsx' },
    bundle: true,
    write: false,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    jsx: 'automatic',
    loader: { '.css': 'empty' },
    define: { 'process.env.NODE_ENV': '"development"' },
    logLevel: 'silent'
  })
  return output?.text ?? ''
}

/** A tab with a page. */
export interface Tab {
  page: Page
  cdp: CDPSession
  /** Errors that the page has logged or thrown. The test fails if there are any at its end. */
  problems: string[]
  /** Returns the value of an expression, or of the promise that it returns. */
  run<T> (expression: string): Promise<T>
  /** Freezes the page, as a browser does with tabs in the background, or continues it. */
  setFrozen (isFrozen: boolean): Promise<void>
  /** Takes the network from all tabs that share this one's storage, or gives it back. */
  setOffline (isOffline: boolean): Promise<void>
}

export interface TabOptions {
  /** Errors that the test provokes. */
  expected?: RegExp
  /** The tab whose storage the new one shares. Default: a storage of its own. */
  beside?: Tab
  /** The options of a new browser context, such as the size of the window. */
  context?: BrowserContextOptions
  /** Prepares the context of the tab before the page is loaded. */
  prepare?: (context: BrowserContext) => Promise<unknown>
}

/** Starts a browser, and returns a function that opens pages in it. */
export async function startChromium (t: Verdict): Promise<(url: string, options?: TabOptions) => Promise<Tab>> {
  const browser = await chromium.launch({ ...(executablePath !== undefined && { executablePath }), args })
  t.teardown(() => browser.close())
  return async (url, { expected, beside, context: options, prepare } = {}) => {
    const context = beside?.page.context() ?? await browser.newContext(options)
    await prepare?.(context)
    const page = await context.newPage()
    page.setDefaultTimeout(60_000)
    const cdp = await context.newCDPSession(page)
    const problems: string[] = []
    const report = (text: string) => { if (expected?.test(text) !== true) problems.push(text) }
    page.on('console', message => { if (message.type() === 'error') report(message.text()) })
    page.on('pageerror', error => report(error.stack ?? error.message))
    page.on('crash', () => report('The page crashed'))
    t.teardown(() => {
      if (problems.length === 0) return
      // After the end of a test, tap reports a failure without its message. A hook that throws would keep the others
      // from closing the browser and the server.
      console.error(`The page ${page.url()} reported errors:\n${problems.join('\n')}`)
      t.fail('The page reported errors')
    })
    await page.goto(url)
    return {
      page,
      cdp,
      problems,
      run: expression => page.evaluate(expression),
      async setFrozen (isFrozen) {
        await cdp.send('Page.setWebLifecycleState', { state: isFrozen ? 'frozen' : 'active' })
      },
      setOffline: isOffline => context.setOffline(isOffline)
    }
  }
}

function findChromium (): string | undefined {
  const { CHROMIUM_PATH: given, PATH: path = '' } = process.env
  if (given !== undefined) return given
  const folders = path.split(delimiter)
  return ['chromium', 'chromium-browser', 'google-chrome'].flatMap(name => folders.map(folder => join(folder, name)))
    .find(isExecutable)
}

function isExecutable (path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
