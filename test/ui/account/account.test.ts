import { Secret, TOTP } from 'otpauth'
import t from 'tap'
import { noChromium } from '../../support/chromium.ts'
import { accessibilityProblems, screenshot, startConsole } from '../../support/console.ts'
import { password, person, requests } from '../../support/people.ts'

t.test('the account', { skip: noChromium, timeout: 600_000 }, async t => {
  const { app, open, user, admin, applicationId } = await startConsole(t)

  await t.test('the profile is changed, a new address with the password', async t => {
    const { page } = await open('/account')
    await page.getByLabel('Name').fill('Ada <img src=x onerror=alert(1)>')
    await page.getByLabel('E-mail').fill('ada.new@example.com')
    await page.getByLabel('Current password').fill('wrong')
    await page.getByRole('button', { name: 'Save profile' }).click()
    await page.getByText('PASSWORD_WRONG').waitFor()
    await page.getByLabel('Current password').fill(password)
    await page.getByRole('button', { name: 'Save profile' }).click()
    await page.getByRole('button', { name: 'Account: Ada <img src=x onerror=alert(1)>' }).waitFor()
    const { body } = await admin.get(`/api/users/${admin.id}`)
    t.match(body, { name: 'Ada <img src=x onerror=alert(1)>', email: 'ada.new@example.com' })
  })

  await t.test('a viewer reads the profile, and sets up and disables a second factor', async t => {
    const viewer = await user('viewer')
    const tab = await open('/account', { session: viewer.token })
    const { page } = tab
    await page.getByText('Only an administrator can change it').waitFor()
    t.equal(await page.getByRole('button', { name: 'Save profile' }).count(), 0)
    await page.getByRole('link', { name: 'Second factor' }).click()
    await page.getByLabel('Current password').fill(password)
    await page.getByRole('button', { name: 'Set up second factor' }).click()
    await page.getByRole('img', { name: 'QR code of the second factor' }).waitFor()
    await screenshot(tab, 'account-second-factor-light')
    t.same(await accessibilityProblems(tab), [])
    const secret = /[A-Z2-7]{26,}/.exec(await page.locator('main').innerText())?.[0] ?? ''
    const code = (steps: number) =>
      new TOTP({ secret: Secret.fromBase32(secret) }).generate({ timestamp: Date.now() + steps * 30_000 })
    await page.getByLabel('Code', { exact: true }).fill(code(0))
    await page.getByRole('button', { name: 'Enable second factor' }).click()
    const codes = page.getByRole('list', { name: 'Recovery codes' }).getByRole('listitem')
    await codes.first().waitFor()
    t.equal(await codes.count(), 10)
    const recovery = await codes.first().innerText()
    const stored = await tab.run<string>('JSON.stringify([{ ...localStorage }, { ...sessionStorage }, location.href])')
    t.notOk(stored.includes(recovery) || stored.includes(secret), 'codes and seed are not stored')
    await page.getByLabel('I have kept the codes').check()
    await page.getByRole('button', { name: 'Done' }).click()
    await page.getByText('enabled', { exact: true }).waitFor()
    const { body } = await requests(app).post('/api/auth/login', { email: viewer.email, password })
    t.match(body, { mfaRequired: true })
    await page.getByLabel('Current password').fill(password)
    await page.getByLabel('Code', { exact: true }).fill(recovery)
    await page.getByRole('button', { name: 'Disable second factor' }).click()
    await page.getByRole('button', { name: 'Set up second factor' }).waitFor()
  })

  await t.test('other sessions end, and this one is marked', async t => {
    const viewer = await user('viewer')
    const { token } = await app.sessions.create(viewer.id, { address: '192.0.2.1', userAgent: 'curl/8.7.1' })
    const tab = await open('/account/sessions', { session: viewer.token })
    const { page } = tab
    await page.getByText('this session').waitFor()
    await screenshot(tab, 'account-sessions-light')
    t.same(await accessibilityProblems(tab), [])
    await page.getByRole('button', { name: 'End the other session' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'End sessions' }).click()
    await page.getByText('1 session ended').waitFor()
    t.equal((await requests(app, token).get('/api/auth/me')).status, 401)
    t.equal((await viewer.get('/api/auth/me')).status, 200)
  })

  await t.test('a revoked session leads to login, and back to the page', async t => {
    const viewer = await user('viewer')
    const { page } = await open('/account/api-keys?q=nothing', { session: viewer.token })
    await page.getByText('No API key contains “nothing”').waitFor()
    await app.sessions.create(viewer.id, { address: '127.0.0.1', userAgent: 'tests' })
    const { body: sessions } = await viewer.get('/api/auth/sessions')
    for (const { id } of sessions) await viewer.remove(`/api/auth/sessions/${id}`)
    await page.getByRole('link', { name: 'Sessions' }).click()
    await page.getByRole('heading', { name: 'Sign in' }).waitFor()
    await page.getByLabel('E-mail').fill(viewer.email)
    await page.getByLabel('Password').fill(password)
    await page.getByRole('button', { name: 'Sign in', exact: true }).click()
    await page.getByText('this session').waitFor()
    t.match(page.url(), /\/account\/sessions/)
  })

  await t.test('a password is changed, and every session ends', async t => {
    const viewer = await user('viewer')
    const { page } = await open('/account/password', { session: viewer.token })
    await page.getByLabel('Current password').fill(password)
    await page.getByLabel('New password', { exact: true }).fill('another long pass phrase')
    await page.getByLabel('New password again').fill('another')
    await page.getByRole('button', { name: 'Change password' }).click()
    await page.getByText('differs from the new password').waitFor()
    await page.getByLabel('New password again').fill('another long pass phrase')
    await page.getByLabel('New password again').press('Control+Enter')
    await page.getByRole('heading', { name: 'Sign in' }).waitFor()
    t.equal((await viewer.get('/api/auth/me')).status, 401)
  })

  await t.test('own API keys are listed and revoked', async t => {
    const owner = await person(app, ['editor', applicationId], ['admin', applicationId])
    await owner.post('/api/api-keys', { name: 'Import <img src=x onerror=alert(1)>', permissions: ['topics:read'] }, {
      headers: { 'x-application-id': applicationId }
    })
    const tab = await open('/account/api-keys', { session: owner.token, theme: 'dark' })
    const { page } = tab
    await page.getByText('Import <img src=x onerror=alert(1)>').waitFor()
    await screenshot(tab, 'account-api-keys-dark')
    t.same(await accessibilityProblems(tab), [])
    await page.getByRole('button', { name: 'Revoke' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Revoke key' }).click()
    await page.getByText('You have created no API keys').waitFor()
  })

  for (const theme of ['light', 'dark'] as const) {
    await t.test(`its tabs are accessible in the ${theme} theme`, async t => {
      for (const path of ['', '/password', '/second-factor']) {
        const tab = await open(`/account${path}`, { theme })
        await tab.page.getByRole('heading', { level: 2 }).first().waitFor()
        await screenshot(tab, `account${path.replace('/', '-')}-${theme}`)
        t.same(await accessibilityProblems(tab), [], path)
      }
    })
  }
})
