import { existsSync } from 'node:fs'
import { chromium } from 'playwright-core'
import t from 'tap'
import { build, listen } from '../support/build.ts'
import { tenant } from '../support/tenant.ts'

/* The page at /docs in a real browser. */

t.setTimeout(600_000)

const executablePath = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(path =>
  existsSync(path)
)

t.test('the page at /docs works without other hosts', {
  skip: executablePath === undefined && 'Chromium is not installed'
}, async t => {
  const { app } = await build(t)
  const { token } = await tenant(app)
  const url = await listen(app)
  const browser = await chromium.launch({
    ...(executablePath !== undefined && { executablePath }),
    args: [
      '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
      '--disable-background-networking', '--disable-component-update', '--disable-sync'
    ]
  })
  t.teardown(() => browser.close())
  const page = await browser.newPage({ viewport: { width: 1440, height: 900 } })
  page.setDefaultTimeout(60_000)
  const problems: string[] = []
  page.on('request', request => {
    if (!request.url().startsWith(url) && !/^(data|blob):/.test(request.url())) problems.push(request.url())
  })
  page.on('console', message => {
    if (message.type() === 'error') problems.push(message.text())
  })
  page.on('pageerror', error => {
    problems.push(error.message)
  })

  await page.goto(`${url}/docs#tag/topics/POST/api/topics`)
  t.equal(await page.title(), 'Realtime Platform')
  t.equal(await page.locator('header .name').textContent(), 'Realtime Platform')
  const operation = page.locator('section[id$="tag/topics/POST/api/topics"]')
  await operation.getByRole('heading', { name: 'Create a topic' }).waitFor()
  t.ok((await operation.boundingBox())?.height as number < 900, 'an operation fits on a screen')

  await operation.getByRole('button', { name: 'Test Request' }).click()
  const dialog = page.getByRole('dialog')
  await dialog.getByText('Bearer Token').waitFor()
  await dialog.getByPlaceholder('Token').fill(token())
  const answer = page.waitForResponse(response => response.url() === `${url}/api/topics`)
  await dialog.getByRole('button', { name: 'Send' }).first().click()
  t.equal((await answer).status(), 201, 'the example succeeds with a token')
  await page.keyboard.press('Escape')

  await page.goto(`${url}/docs`)
  await page.getByRole('link', { name: 'Socket protocol' }).first().click()
  await page.getByRole('heading', { name: 'The socket protocols' }).waitFor()
  await page.locator('main a[href="ERRORS.md"]').first().click()
  await page.getByRole('heading', { name: 'Errors' }).waitFor()
  t.same(await page.locator('main a[href^="../"]').count(), 0, 'every link leads to a served file')
  t.same(problems, [])
})
