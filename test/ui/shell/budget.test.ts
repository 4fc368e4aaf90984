import { gzipSync } from 'node:zlib'
import t from 'tap'
import { noChromium } from '../../support/chromium.ts'
import { startConsole } from '../../support/console.ts'

/* The size of the first load, measured by the scripts that a browser requests. */

const budgetBytes = 200 * 1024

t.test('the first load is at most 200 kB of compressed JavaScript', { skip: noChromium, timeout: 600_000 }, async t => {
  const { open, at, url, topic } = await startConsole(t)
  await topic('order.placed')

  /** Returns the scripts that a path loads, with their compressed sizes. */
  async function load (path: string, session?: null) {
    const { page } = await open('/favicon.svg', session === null ? { session } : {})
    const scripts = new Map<string, number>()
    const reads: Promise<unknown>[] = []
    page.on('response', response => {
      const name = new URL(response.url()).pathname
      if (!name.endsWith('.js')) return
      reads.push(response.body().then(body => scripts.set(name, gzipSync(body).length)))
    })
    await page.goto(url + path)
    await page.getByRole('heading').first().waitFor()
    await page.waitForLoadState('networkidle')
    await Promise.all(reads)
    const bytes = [...scripts.values()].reduce((sum, size) => sum + size, 0)
    t.comment(`${path}: ${Math.round(bytes / 1024)} kB`, Object.fromEntries(scripts))
    return { bytes, names: [...scripts.keys()] }
  }

  for (const [path, session] of [['/login', null], [at(''), undefined], [at('/topics'), undefined]] as const) {
    const { bytes, names } = await load(path, session)
    t.ok(bytes <= budgetBytes, `${path} loads ${Math.round(bytes / 1024)} kB`)
    t.same(names.filter(name => /code-?mirror/i.test(name)), [], `${path} loads no editor`)
  }
  const topics = await load(at('/topics'))
  t.same(topics.names.filter(name => /u-?plot/i.test(name)), [], 'the list of topics loads no charts')

  const { page, cdp } = await open('/favicon.svg')
  await cdp.send('Emulation.setCPUThrottlingRate', { rate: 4 })
  const start = Date.now()
  await page.goto(url + at('/topics'))
  await page.getByRole('link', { name: 'order.placed' }).waitFor()
  t.comment(`With a processor four times slower, the list of topics is there after ${Date.now() - start} ms`)
})
