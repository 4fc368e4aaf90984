import t from 'tap'
import { noChromium } from '../../support/chromium.ts'
import { accessibilityProblems, fillEditor, screenshot, startConsole } from '../../support/console.ts'

const script = '<img src=x onerror="globalThis.ran = true">'
const editor = '.cm-content[aria-label="Data"]'

t.test('documents', { skip: noChromium, timeout: 600_000 }, async t => {
  const { open, at, request, user } = await startConsole(t)
  const cart = '/api/sync/cart/documents'

  await t.test('a service is created, and the refusal of a name appears at its field', async t => {
    const tab = await open(at('/documents'))
    const { page } = tab
    await page.getByText('There are no services yet').waitFor()
    await screenshot(tab, 'documents-empty')
    t.same(await accessibilityProblems(tab), [])
    await page.getByRole('button', { name: 'Create service' }).first().click()
    const dialog = page.getByRole('dialog')
    await dialog.getByLabel('Name').fill('Not a name')
    await dialog.getByRole('button', { name: 'Create service' }).click()
    await dialog.getByRole('alert').first().waitFor()
    t.equal(await dialog.getByLabel('Name').getAttribute('aria-invalid'), 'true')
    await dialog.getByLabel('Name').fill('cart')
    await dialog.getByLabel('Description').fill(script)
    await dialog.getByRole('button', { name: 'Create service' }).click()
    await page.getByRole('heading', { name: 'cart' }).waitFor()
    await page.getByText(script).waitFor()
    t.equal(await page.evaluate('globalThis.ran'), undefined)
  })

  await t.test('a document is created and changes live', async t => {
    const { page } = await open(at('/documents/cart'))
    await page.getByRole('button', { name: 'Create document' }).first().click()
    const dialog = page.getByRole('dialog')
    await dialog.getByLabel('Id').fill('c1')
    await fillEditor(dialog.locator(editor), '{"total":1,"note":"first"}')
    await dialog.getByRole('button', { name: 'Create document' }).click()
    await page.getByRole('status').getByText('Live', { exact: true }).waitFor()
    await request('PATCH', `${cart}/c1/merge`, { data: { note: script } })
    await page.getByRole('group', { name: 'Data' }).getByText('onerror').waitFor()
    t.equal(await page.evaluate('globalThis.ran'), undefined)
  })

  await t.test('the list counts what changes, and shows it on demand', async () => {
    const { page } = await open(at('/documents/cart'))
    await page.getByRole('link', { name: 'c1' }).waitFor()
    await page.getByText('live', { exact: true }).first().waitFor()
    const pill = page.getByRole('button', { name: '1 changed' })
    let isShown = false
    for (let i = 0; i < 20 && !isShown; i++) {
      // The subscription may begin after the first write.
      await request('PUT', `${cart}/c2`, { data: { i } }).then(({ status }) =>
        status === 404 ? request('POST', cart, { id: 'c2', data: { i } }) : undefined
      )
      isShown = await pill.waitFor({ timeout: 1000 }).then(() => true, () => false)
    }
    await pill.click()
    await page.getByRole('link', { name: 'c2' }).waitFor()
    await page.getByLabel('Filter by id').fill('c2')
    await page.waitForURL(/q=c2/)
    await page.getByRole('link', { name: 'c1' }).waitFor({ state: 'detached' })
  })

  await t.test('an edit meets a write of somebody else, and keeps both', async t => {
    const tab = await open(at('/documents/cart/c1'))
    const { page } = tab
    await page.getByRole('link', { name: 'Edit' }).click()
    await fillEditor(page.locator(editor), '{"total":5,"note":"mine"}')
    await request('PATCH', `${cart}/c1/merge`, { data: { note: 'theirs', coupon: 'A' } })
    await page.getByText('Revision 3 was written while you edit').waitFor()
    await page.getByRole('button', { name: 'Save' }).click()
    const dialog = page.getByRole('dialog')
    await dialog.getByText('Theirs, revision 3').waitFor()
    t.match(await dialog.getByLabel('Their changes').innerText(), '"coupon"')
    t.match(await dialog.getByLabel('Your changes').innerText(), '"mine"')
    t.match(await dialog.innerText(), /Both changed\s+\/note/)
    await screenshot(tab, 'documents-conflict')
    t.same(await accessibilityProblems(tab), [])
    await dialog.getByRole('button', { name: 'Copy mine' }).click()
    t.match(await page.evaluate<string>('navigator.clipboard.readText()'), '"mine"')
    await dialog.getByRole('button', { name: 'Keep mine on top of theirs' }).click()
    await page.getByText('Saved as revision 4').waitFor()
    const { body } = await request('GET', `${cart}/c1`)
    t.same(body.data, { total: 5, note: 'mine', coupon: 'A' })
  })

  await t.test('taking theirs replaces the text of the editor', async t => {
    const { page } = await open(at('/documents/cart/c1?edit=true'))
    await fillEditor(page.locator(editor), '{"total":6}')
    await request('PATCH', `${cart}/c1/merge`, { data: { total: 7 } })
    await page.getByRole('button', { name: 'Compare' }).click()
    await page.getByRole('button', { name: 'Take theirs' }).click()
    await page.getByRole('dialog').waitFor({ state: 'detached' })
    t.match(await page.locator(editor).innerText(), '"total": 7')
  })

  await t.test('the history shows each revision, and restores one', async t => {
    const tab = await open(at('/documents/cart/c1/history'))
    const { page } = tab
    for (const revision of [1, 2, 3, 4, 5]) await page.getByRole('link', { name: `Revision ${revision}` }).waitFor()
    await page.getByRole('link', { name: 'Revision 3' }).click()
    t.match(await page.getByLabel('Changes of revision 3').innerText(), '"coupon": "A"')
    await screenshot(tab, 'documents-history')
    t.same(await accessibilityProblems(tab), [])
    await page.getByRole('button', { name: 'Restore' }).click()
    await page.getByRole('button', { name: 'Restore revision 3' }).click()
    await page.getByRole('link', { name: 'Revision 6' }).waitFor()
    const { body } = await request('GET', `${cart}/c1`)
    t.match(body, { revision: 6, data: { note: 'theirs' } })
  })

  await t.test('a document is deleted, and restored from its history', async t => {
    const { page } = await open(at('/documents/cart/c2'))
    await page.getByRole('button', { name: 'Delete' }).click()
    await page.getByRole('button', { name: 'Delete document' }).click()
    await page.getByRole('heading', { name: 'The document was deleted' }).waitFor()
    await page.getByRole('link', { name: 'Show its history' }).click()
    await page.getByRole('link', { name: /^Revision/ }).first().click()
    await page.getByRole('button', { name: 'Restore' }).click()
    await page.getByRole('button', { name: /^Restore revision/ }).click()
    await page.getByText('Restored as revision').waitFor()
    t.equal((await request('GET', `${cart}/c2`)).status, 200)
  })

  await t.test('two tabs see each other, and who edits', async () => {
    const viewer = await user('viewer')
    await request('POST', cart, { id: 'c3', data: {} })
    const { page } = await open(at('/documents/cart/c3'))
    const viewers = page.getByRole('list', { name: 'Viewers' }).getByRole('listitem')
    await viewers.filter({ hasText: '(you)' }).waitFor()
    const other = await open(at('/documents/cart/c3'), { session: viewer.token })
    await viewers.filter({ hasText: viewer.id }).waitFor()
    await page.getByRole('link', { name: 'Edit' }).click()
    await other.page.getByRole('listitem').filter({ hasText: 'edits' }).waitFor()
    await other.page.close()
    await viewers.filter({ hasText: viewer.id }).waitFor({ state: 'detached' })
  })

  await t.test('a viewer reads documents and cannot change them', async t => {
    const { token } = await user('viewer')
    const { page } = await open(at('/documents/cart/c1'), { session: token })
    await page.getByRole('status').getByText('Live', { exact: true }).waitFor()
    t.equal(await page.getByRole('link', { name: 'Edit' }).count(), 0)
    t.equal(await page.getByRole('button', { name: 'Delete' }).count(), 0)
    await page.goto(new URL(at('/documents/cart'), page.url()).href)
    await page.getByRole('link', { name: 'c1' }).waitFor()
    for (const name of ['Create document', 'Settings', 'Delete service']) {
      t.equal(await page.getByRole('button', { name }).count(), 0, name)
    }
  })

  for (const theme of ['light', 'dark'] as const) {
    await t.test(`the pages are accessible in the ${theme} theme`, async t => {
      const tab = await open(at('/documents'), { theme })
      const { page } = tab
      const ready = {
        '/documents': page.getByRole('link', { name: 'cart' }),
        '/documents/cart': page.getByRole('link', { name: 'c1' }),
        '/documents/cart/c1': page.getByText('(you)'),
        '/documents/cart/c1?edit=true': page.locator(editor),
        '/documents/cart/none': page.getByRole('heading', { name: 'The document does not exist' }),
        '/documents/cart/c1/history?revision=3': page.getByLabel('Changes of revision 3')
      }
      for (const [path, shown] of Object.entries(ready)) {
        await page.goto(new URL(at(path), page.url()).href)
        await shown.first().waitFor()
        await screenshot(tab, `${path.slice(1).replaceAll(/[^\w]+/g, '-')}-${theme}`)
        t.same(await accessibilityProblems(tab), [], path)
      }
    })
  }
})
