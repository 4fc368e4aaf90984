import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { build as buildPage, preview } from 'vite'
import { build, listen } from '../support/build.ts'
import { noChromium, startChromium } from '../support/chromium.ts'
import { steadyPort } from '../support/steady-port.ts'
import { until } from '../support/waiting.ts'

/* sdk/examples/live-shop, built as its README says, in two pages of a real browser. */

t.setTimeout(600_000)

const root = 'sdk/examples/live-shop'

t.test('the types of the example fit the library', async t => {
  const { stdout } = await promisify(execFile)(process.execPath, ['node_modules/typescript/bin/tsc', '-p', root])
    .catch((failed: { stdout: string }) => failed)
  t.equal(stdout, '')
})

t.test('the example shows orders, a shared cart and who is here in two pages', { skip: noChromium }, async t => {
  const { app } = await build(t)
  const outDir = await mkdtemp(join(tmpdir(), 'live-shop-'))
  t.teardown(() => rm(outDir, { recursive: true, force: true }))
  process.env['PLATFORM_URL'] = await listen(app)
  const port = await steadyPort()
  const common = { root, logLevel: 'error' as const, build: { outDir, emptyOutDir: true } }
  await buildPage(common)
  const server = await preview({ ...common, preview: { host: '127.0.0.1', port, strictPort: true } })
  t.teardown(() => server.close())

  const open = await startChromium(t)
  const visit = async (name: string) => (await open(`http://127.0.0.1:${port}/?name=${name}`)).page
  const ann = await visit('Ann')
  const bob = await visit('Bob')
  const pages = [ann, bob]
  const both = (selector: string, text: string | RegExp) => Promise.all(pages.map(page =>
    page.locator(selector).filter({ hasText: text }).first().waitFor()))

  await both('.people .count', '2 here')
  await both('.connection', 'connected')

  const more = 'button[aria-label="One Lamp more"]'
  await Promise.all([ann.click(more), bob.click(more), ann.click(more)])
  await both('output[aria-label="Lamp in the cart"]', '3')
  await bob.fill('input[aria-label="Note"]', 'Leave it at the door')
  await until(async () => await ann.inputValue('input[aria-label="Note"]') === 'Leave it at the door')

  await ann.click('button.primary')
  await both('.orders li', '3 × Lamp')
  t.equal(await bob.locator('.orders li').first().locator('span').nth(1).textContent(), '3 × Lamp for Ann')
  await both('output[aria-label="Lamp in the cart"]', '0')

  await ann.reload()
  await ann.locator('.orders li').filter({ hasText: '3 × Lamp for you' }).waitFor()
  await both('.people .count', '2 here')
  await bob.close()
  await ann.locator('.people .count').filter({ hasText: '1 here' }).waitFor()
})
