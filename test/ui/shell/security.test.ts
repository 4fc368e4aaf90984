import { createServer } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { pino } from 'pino'
import t from 'tap'
import { noChromium } from '../../support/chromium.ts'
import { startConsole } from '../../support/console.ts'
import { password } from '../../support/people.ts'
import { pagesOf } from '../pages.ts'
import { visitor } from '../visit.ts'
import { startWorld } from '../world.ts'

/* The console against hostile data, links and sites. A violation of its policy fails each test of the console. */

/** Pages that show no field that takes any text, or none before the reader opens a part of them. */
const pagesWithoutText = [
  'schema-validate', 'debugger', 'debugger-trace', 'debugger-explain', 'debugger-route', 'debugger-replays',
  'debugger-new-replay', 'debugger-replay', 'database', 'document-history', 'webhooks', 'webhooks-new',
  'webhook-verify', 'deliveries', 'alert-rules', 'keys-tokens', 'keys-signing', 'api-reference', 'production',
  'roles-new', 'account-password', 'account-second-factor'
]

const hostile = '<img src=x onerror="document.body.dataset.hacked=1"><b>bold</b>'

t.test('hostile names are shown as text on every page', { skip: noChromium, timeout: 600_000 }, async t => {
  const lines: string[] = []
  const logger = pino({ level: 'debug' }, { write: line => { lines.push(line) } })
  const world = await startWorld(t, hostile, { logger })
  const { console } = world
  const tab = await console.open('/account')
  const { page } = tab
  const { visit } = visitor(tab)
  const withoutText: string[] = []
  for (const one of pagesOf(world)) {
    await visit(one)
    const found = await page.evaluate<{ isHacked: boolean, elements: number, isShown: boolean }>(`({
      isHacked: document.body.dataset.hacked !== undefined,
      elements: document.querySelectorAll('img[src="x"], [onerror], main b').length,
      isShown: [document.querySelector('main').innerText, ...Array.from(
        document.querySelectorAll('main :is(input, textarea)'), ({ value }) => value
      )].some(text => text.includes('<img src=x'))
    })`)
    t.match(found, { isHacked: false, elements: 0 }, one.name)
    if (!found.isShown) withoutText.push(one.name)
    t.notMatch(page.url(), console.admin.token)
  }
  t.same(withoutText, pagesWithoutText, 'the others show the text')
  const stored = await page.evaluate<string[]>(`[sessionStorage, localStorage].flatMap(storage =>
    Object.keys(storage).filter(key => storage.getItem(key).includes('${console.admin.token}')))`)
  t.same(stored, ['realtime.session'], 'the session is stored once, and nothing else is')
  t.notOk(lines.some(line => line.includes(console.admin.token)), 'and it is not logged')
})

t.test('links and other sites', { skip: noChromium, timeout: 600_000 }, async t => {
  const { open, url, user } = await startConsole(t)
  const editor = await user('editor')
  await t.test('a hostile returnTo leads to the console after signing in', async t => {
    const links = [
      'https://evil.example/', '//evil.example/', '/\\evil.example/', 'javascript:alert(1)', '\t//evil.example'
    ]
    for (const link of links) {
      const { page } = await open(`/login?returnTo=${encodeURIComponent(link)}`, { session: null })
      await page.getByLabel('E-mail').fill(editor.email)
      await page.getByLabel('Password').fill(password)
      await page.getByRole('button', { name: 'Sign in', exact: true }).click()
      await page.getByRole('navigation', { name: 'Pages' }).waitFor()
      t.equal(new URL(page.url()).origin, url, link)
    }
  })
  await t.test('another site cannot frame the console', async t => {
    const site = createServer((_request, response) => {
      response.setHeader('content-type', 'text/html')
        .end(`<!doctype html><title>Site</title><iframe src="${url}/login">`)
    }).listen(0, '127.0.0.1')
    await once(site, 'listening')
    t.teardown(() => {
      site.closeAllConnections()
      site.close()
    })
    const { page } = await open('/login', { session: null, expected: /frame|Failed to load resource/i })
    await page.goto(`http://127.0.0.1:${(site.address() as AddressInfo).port}/`)
    const frame = page.frames().find(frame => frame !== page.mainFrame())
    t.equal(await frame?.locator('#root').count(), 0)
  })
})
