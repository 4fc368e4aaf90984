import t from 'tap'
import { noChromium } from '../../support/chromium.ts'
import { accessibilityProblems, screenshot, startConsole } from '../../support/console.ts'
import { requests } from '../../support/people.ts'

t.test('the pages of keys and tokens', { skip: noChromium, timeout: 600_000 }, async t => {
  const { app, open, at, user, applicationId, admin } = await startConsole(t)

  await t.test('an API key is shown once, works, and is revoked', async t => {
    const { page, run } = await open(at('/keys'))
    await page.getByText('There are no API keys yet').waitFor()
    await page.getByRole('button', { name: 'Create API key' }).first().click()
    const dialog = page.getByRole('dialog')
    await dialog.getByLabel('Name').fill('Order service')
    await dialog.getByLabel('Permissions', { exact: true }).selectOption({ label: 'Chosen permissions' })
    await dialog.getByLabel('topics:read').check()
    await dialog.getByLabel('Topics to publish to').fill('order.placed order.paid')
    await dialog.getByRole('button', { name: 'Create API key' }).click()
    await dialog.getByText('It is shown only now').waitFor()
    const key = /rtk_[\w-]+/.exec(await dialog.innerText())?.[0] ?? ''
    const { body } = await requests(app, `Bearer ${key}`).get('/api/auth/me')
    t.match(body, { applicationId, environment: 'development' })
    t.same(body.permissions.toSorted(), ['publish:order.paid', 'publish:order.placed', 'topics:read'])
    await dialog.getByRole('button', { name: 'Done' }).click()
    const stored = await run<string>('JSON.stringify([{ ...localStorage }, { ...sessionStorage }, location.href])')
    t.notOk(stored.includes(key), 'the key is neither stored nor in the URL')
    t.notOk((await page.content()).includes(key))
    await page.getByRole('link', { name: 'Order service' }).click()
    await page.getByRole('button', { name: 'Revoke key' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Revoke key' }).click()
    await page.getByText('There are no API keys yet').waitFor()
    t.equal((await requests(app, `Bearer ${key}`).get('/api/auth/me')).status, 401)
  })

  await t.test('a token is issued, decoded and verified', async t => {
    const { page } = await open(at('/keys/tokens', 'staging'))
    await page.getByLabel('Subject').fill('user-17')
    await page.getByRole('button', { name: 'Issue token' }).click()
    await page.getByText('It is shown only now').waitFor()
    const token = /eyJ[\w.-]+/.exec(await page.locator('main').innerText())?.[0] ?? ''
    await page.getByLabel('Token', { exact: true }).last().fill('nonsense')
    await page.getByText('This is not a JWT').waitFor()
    await page.getByLabel('Token', { exact: true }).last().fill(`Bearer ${token}`)
    await page.getByText('not verified yet').waitFor()
    await page.getByRole('button', { name: 'Verify signature' }).click()
    await page.getByText('valid', { exact: true }).waitFor()
    t.match(await page.getByRole('group', { name: 'Claims' }).innerText(), /"user-17"[\s\S]*"staging"/)
    await page.getByLabel('Token', { exact: true }).last().fill(`${token.slice(0, -4)}AAAA`)
    await page.getByRole('button', { name: 'Verify signature' }).click()
    await page.getByText('refused', { exact: true }).waitFor()
  })

  await t.test('a signing key is rotated and revoked; production asks for its name', async t => {
    const { page } = await open(at('/keys/signing', 'production'))
    await page.getByRole('link', { name: /^key_/ }).first().click()
    await page.getByRole('button', { name: 'Rotate key' }).click()
    const dialog = page.getByRole('dialog')
    t.equal(await dialog.getByRole('button', { name: 'Rotate key' }).isDisabled(), true)
    const keyId = /key_[\w-]+/.exec(await dialog.innerText())?.[0] ?? ''
    await dialog.getByRole('textbox').fill(keyId)
    await dialog.getByRole('button', { name: 'Rotate key' }).click()
    await page.getByText('Key rotated').waitFor()
    await page.getByText('deactivated', { exact: true }).first().waitFor()
    t.equal((await admin.get('/api/admin/keys')).body.length, 2)
  })

  await t.test('a viewer has no keys, and an editor cannot issue tokens', async t => {
    const viewer = await user('viewer')
    const { page } = await open(at('/keys'), { session: viewer.token })
    await page.getByText('api-keys:read').waitFor()
    t.equal(await page.getByRole('link', { name: 'Signing keys' }).count(), 0)
    await page.getByRole('link', { name: 'Tokens' }).click()
    await page.getByRole('heading', { name: 'Decode and verify a token' }).waitFor()
    t.equal(await page.getByRole('button', { name: 'Issue token' }).count(), 0)
  })

  await t.test('the snippets of the API carry a token with the least rights', async t => {
    await admin.post('/api/topics', { name: 'order.placed', description: 'An order', owner: 'shop' }, {
      headers: { 'x-application-id': applicationId, 'x-environment': 'development' }
    })
    const { page } = await open(at('/api-reference'))
    await page.getByText('The snippets read the token from the variable TOKEN').waitFor()
    await page.getByRole('button', { name: 'Fill in a token' }).click()
    await page.getByText(/It expires/).waitFor()
    const token = /eyJ[\w.-]+/.exec(await page.locator('main').innerText())?.[0] ?? ''
    const { body } = await requests(app, `Bearer ${token}`).get('/api/auth/me')
    t.same(body.permissions.toSorted(), ['publish:order.placed', 'subscribe:order.placed'])
    t.ok(body.expiresAt < Date.now() + 16 * 60_000)
  })

  for (const theme of ['light', 'dark'] as const) {
    await t.test(`the pages are accessible in the ${theme} theme`, async t => {
      const tab = await open(at('/keys'), { theme })
      for (const [path, text] of [
        ['/keys', 'Create API key'], ['/keys/tokens', 'Issue token'], ['/keys/signing', 'Create signing key'],
        ['/api-reference', 'Publish with curl']
      ] as const) {
        await tab.page.goto(new URL(at(path), tab.page.url()).href)
        await tab.page.getByText(text).first().waitFor()
        await screenshot(tab, `${path.slice(1).replace('/', '-')}-${theme}`)
        t.same(await accessibilityProblems(tab), [], path)
      }
    })
  }
})
