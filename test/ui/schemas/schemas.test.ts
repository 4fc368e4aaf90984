import t from 'tap'
import { noChromium } from '../../support/chromium.ts'
import { accessibilityProblems, fillEditor, screenshot, startConsole } from '../../support/console.ts'

const script = '<img src=x onerror="globalThis.ran = true">'
const first = { type: 'object', properties: { total: { type: 'number', description: script } } }
const editor = (label: string) => `.cm-content[aria-label="${label}"]`

t.test('schemas', { skip: noChromium, timeout: 600_000 }, async t => {
  const { open, at, request, topic, user } = await startConsole(t)

  await t.test('without topics, the list names the next step', async t => {
    const tab = await open(at('/schemas'))
    await tab.page.getByText('There are no topics yet').waitFor()
    await screenshot(tab, 'schemas-empty')
    t.same(await accessibilityProblems(tab), [])
  })

  await t.test('the first version of a topic is registered and active', async t => {
    await topic('order.placed')
    const { page } = await open(at('/schemas'))
    await page.getByRole('link', { name: 'Add a schema for order.placed' }).click()
    await fillEditor(page.locator(editor('JSON Schema')), JSON.stringify(first))
    await page.getByText('There is no earlier version to compare with').waitFor()
    await page.getByRole('button', { name: 'Register version 1' }).click()
    await page.getByRole('region', { name: 'Version 1', exact: true }).getByText('Active', { exact: true }).waitFor()
    t.match(await page.getByRole('group', { name: 'Schema, version 1' }).innerText(), 'onerror')
    t.equal(await page.evaluate('globalThis.ran'), undefined)
    const { body } = await request('GET', '/api/schemas/order.placed/latest')
    t.same(body.schema, first)
  })

  await t.test('a refused schema is shown with its witness while typing, and registered in another mode', async t => {
    const tab = await open(at('/schemas/order.placed/editor'))
    const { page } = tab
    const next = { ...first, required: ['total'] }
    await fillEditor(page.locator(editor('JSON Schema')), JSON.stringify(next))
    const change = page.getByRole('article')
    await change.getByText('Version 1 accepts it').waitFor()
    await change.getByText('The new schema rejects it').waitFor()
    t.match(await change.innerText(), /"total" is now required[^]*\/required[^]*Witness document\s+\{\}/)
    t.equal(await page.getByRole('status').getByText('Incompatible').count(), 1)
    await page.locator('.cm-lintRange-warning').first().waitFor()
    await screenshot(tab, 'schemas-witness')
    t.same(await accessibilityProblems(tab), [])
    await page.getByRole('button', { name: 'Register version 2' }).click()
    await page.getByText('SCHEMA_INCOMPATIBLE').waitFor()
    await page.getByLabel('Compatibility', { exact: true }).selectOption('none')
    await page.getByText('Versions are not compared in this mode').waitFor()
    await page.getByLabel('Activate the version').check()
    await page.getByRole('button', { name: 'Register version 2' }).click()
    await page.getByRole('region', { name: 'Version 2', exact: true }).getByText('Active', { exact: true }).waitFor()
    t.match(page.url(), /version=2&against=1/)
    t.match(await page.getByLabel('Changes from version 1 to version 2').innerText(), '"required"')
  })

  await t.test('a late verdict never replaces that of the current text', async t => {
    const { page } = await open(at('/schemas/order.placed/editor'))
    await page.getByText('Nothing that matters for compatibility has changed').waitFor()
    const late: (() => void)[] = []
    await page.route('**/compatibility', async route => {
      if (late.length === 0) await new Promise<void>(resolve => { late.push(resolve) })
      await route.continue().catch(() => {})
    })
    const held = page.waitForRequest('**/compatibility')
    await fillEditor(page.locator(editor('JSON Schema')), JSON.stringify({ ...first, required: ['total', 'id'] }))
    await held
    await fillEditor(page.locator(editor('JSON Schema')), JSON.stringify({ ...first, required: [] }))
    await page.getByRole('status').getByText('Compatible', { exact: true }).waitFor()
    for (const release of late) release()
    await page.unroute('**/compatibility')
    t.equal(await page.getByRole('article').count(), 0)
  })

  await t.test('a schema that cannot be used is marked in the editor', async t => {
    const { page } = await open(at('/schemas/order.placed/editor'))
    await fillEditor(page.locator(editor('JSON Schema')), '{"type":"object","properties":{"total":{"type":"numbr"}}}')
    await page.getByText('Not a valid schema').waitFor()
    t.equal(await page.locator('.cm-lintRange-error').first().innerText(), '"type"')
  })

  await t.test('a pasted payload is checked, with its errors at their places', async t => {
    const tab = await open(at('/schemas/order.placed/validate'))
    const { page } = tab
    await page.getByText('The payload is valid under version 2').waitFor()
    await fillEditor(page.locator(editor('Payload')), '{"total":"much"}')
    await page.getByText('Not valid').waitFor()
    t.match(await page.getByRole('list').filter({ hasText: 'must be number' }).innerText(), '/total')
    t.equal(await page.locator('.cm-lintRange-error').first().innerText(), '"total"')
    await page.getByLabel('Version', { exact: true }).selectOption('1')
    t.match(page.url(), 'version=1')
    await screenshot(tab, 'schemas-validate')
    t.same(await accessibilityProblems(tab), [])
  })

  await t.test('the types of a topic and of all topics are shown, and saved as a file', async t => {
    const { page } = await open(at('/schemas/order.placed/types'))
    await page.getByText('total: number').waitFor()
    await page.goto(new URL(at('/schemas/_types'), page.url()).href)
    await page.getByText('export interface TopicMap').waitFor()
    await page.getByText('npx realtime-platform generate -o src/topics.ts --check').waitFor()
    const saved = page.waitForEvent('download')
    await page.getByRole('button', { name: 'Download types' }).click()
    t.equal((await saved).suggestedFilename(), 'topics.ts')
    const document = page.waitForEvent('download')
    await page.getByRole('button', { name: 'AsyncAPI document' }).click()
    t.equal((await document).suggestedFilename(), 'asyncapi.json')
  })

  await t.test('a viewer reads the versions and cannot change them', async t => {
    const { token } = await user('viewer')
    const { page } = await open(at('/schemas/order.placed'), { session: token })
    await page.getByRole('region', { name: 'Version 2', exact: true }).waitFor()
    for (const name of ['New version', 'Editor', 'Edit']) {
      t.equal(await page.getByRole('link', { name, exact: true }).count(), 0, name)
    }
    t.equal(await page.getByRole('button', { name: 'Deactivate' }).count(), 0)
    await page.goto(new URL(at('/schemas/order.placed/editor'), page.url()).href)
    await page.getByText('schemas:create').waitFor()
  })

  for (const theme of ['light', 'dark'] as const) {
    await t.test(`the pages are accessible in the ${theme} theme`, async t => {
      const tab = await open(at('/schemas'), { theme })
      const { page } = tab
      const ready = {
        '/schemas': page.getByRole('link', { name: 'order.placed' }),
        '/schemas/order.placed': page.getByRole('region', { name: 'Version 2', exact: true }),
        '/schemas/order.placed/editor': page.locator(editor('JSON Schema')),
        '/schemas/_types': page.getByText('export interface TopicMap')
      }
      for (const [path, shown] of Object.entries(ready)) {
        await page.goto(new URL(at(path), page.url()).href)
        await shown.first().waitFor()
        await screenshot(tab, `${path.slice(1).replaceAll('/', '-')}-${theme}`)
        t.same(await accessibilityProblems(tab), [], path)
      }
    })
  }
})
