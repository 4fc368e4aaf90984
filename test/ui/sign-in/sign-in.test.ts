import { Secret, TOTP } from 'otpauth'
import t from 'tap'
import { noChromium } from '../../support/chromium.ts'
import { accessibilityProblems, screenshot, startConsole } from '../../support/console.ts'
import { identityProvider } from '../../support/identity-provider.ts'
import { mailServer } from '../../support/mail-server.ts'
import { password, person, requests } from '../../support/people.ts'
import { steadyPort } from '../../support/steady-port.ts'
import { eventually } from '../../support/waiting.ts'

t.test('signing in', { skip: noChromium, timeout: 600_000 }, async t => {
  const port = await steadyPort()
  const mail = await mailServer(t)
  const provider = await identityProvider(t, `http://127.0.0.1:${port}`)
  const { app, open, admin, applicationId } = await startConsole(t, {
    port, variables: { ...provider.variables, SMTP_URL: mail.url }
  })
  const anonymous = { session: null }

  /** Waits for a mail with a link to an address, and returns the path of the link. */
  async function linkTo (address: string): Promise<string> {
    const link = await eventually(() =>
      mail.mails.filter(({ to }) => to.includes(address)).map(({ text }) => /https?:\/\/\S+/.exec(text)?.[0])
        .findLast(link => link !== undefined))
    return link.slice(new URL(link).origin.length)
  }

  await t.test('a page without a session leads to login and back', async t => {
    const tab = await open('/users?sort=email', anonymous)
    const { page } = tab
    await page.getByRole('heading', { name: 'Sign in' }).waitFor()
    await screenshot(tab, 'login-light')
    t.same(await accessibilityProblems(tab), [])
    await page.getByLabel('E-mail').fill(admin.email)
    await page.getByLabel('Password').fill('wrong')
    await page.getByLabel('Password').press('Enter')
    await page.getByText('LOGIN_FAILED').waitFor()
    await page.getByLabel('Password').fill(password)
    await page.getByRole('button', { name: 'Sign in', exact: true }).click()
    await page.getByRole('heading', { name: 'Users' }).waitFor()
    t.match(page.url(), /\/users\?sort=email$/)
  })

  await t.test('a link does not lead to a foreign page after signing in', async t => {
    for (const target of ['https://evil.example/', '//evil.example/', '/\\evil.example']) {
      const { page } = await open(`/login?returnTo=${encodeURIComponent(target)}`)
      await page.getByRole('button', { name: /^Account/ }).waitFor()
      t.equal(new URL(page.url()).port, String(port))
    }
  })

  await t.test('a second factor asks for a code, or a recovery code', async t => {
    const user = await person(app, 'viewer')
    const { body: { secret } } = await user.post(`/api/users/${user.id}/mfa/setup`, { currentPassword: password })
    const code = (steps: number) =>
      new TOTP({ secret: Secret.fromBase32(secret) }).generate({ timestamp: Date.now() + steps * 30_000 })
    const { body: { recoveryCodes } } = await user.post(`/api/users/${user.id}/mfa/confirm`, { code: code(0) })
    const tab = await open('/login', anonymous)
    const { page } = tab
    await page.getByLabel('E-mail').fill(user.email)
    await page.getByLabel('Password').fill(password)
    await page.getByRole('button', { name: 'Sign in', exact: true }).click()
    await page.getByLabel('Code of your authenticator app').fill('000000')
    await page.getByRole('button', { name: 'Verify code' }).click()
    await page.getByText('MFA_CODE_INVALID').waitFor()
    await screenshot(tab, 'login-second-factor-light')
    t.same(await accessibilityProblems(tab), [])
    await page.getByLabel('Code of your authenticator app').fill(code(1))
    await page.getByRole('button', { name: 'Verify code' }).click()
    await page.getByRole('button', { name: /^Account/ }).click()
    await page.getByRole('menuitem', { name: 'Log out' }).click()
    await page.getByLabel('E-mail').fill(user.email)
    await page.getByLabel('Password').fill(password)
    await page.getByLabel('Stay signed in').check()
    await page.getByRole('button', { name: 'Sign in', exact: true }).click()
    await page.getByRole('button', { name: 'Use a recovery code' }).click()
    await page.getByLabel('Recovery code').fill(recoveryCodes[0])
    await page.getByRole('button', { name: 'Verify code' }).click()
    await page.getByRole('button', { name: /^Account/ }).waitFor()
    t.ok(await tab.run('localStorage.getItem("realtime.session")?.startsWith("sess_")'), 'it stays signed in')
  })

  await t.test('an invite arrives by mail, and makes a new user', async t => {
    const email = 'grace@example.com'
    const { page: sender } = await open('/invites')
    await sender.getByText('No invites are open').waitFor()
    await sender.getByRole('button', { name: 'Invite user' }).first().click()
    const dialog = sender.getByRole('dialog')
    await dialog.getByLabel('E-mail').fill('not an address')
    await dialog.getByLabel('Role').selectOption({ label: 'viewer' })
    await dialog.getByLabel('Applies to').selectOption({ label: 'Test' })
    await dialog.getByRole('button', { name: 'Send invite' }).click()
    await dialog.getByRole('alert').first().waitFor()
    t.equal(await dialog.getByLabel('E-mail').getAttribute('aria-invalid'), 'true')
    await dialog.getByLabel('E-mail').fill(email)
    await dialog.getByRole('button', { name: 'Send invite' }).click()
    await dialog.getByText('It is shown only now').waitFor()
    await dialog.getByRole('button', { name: 'Done' }).click()
    await sender.getByRole('gridcell', { name: email }).waitFor()

    const tab = await open(await linkTo(email), anonymous)
    const { page } = tab
    await page.getByRole('heading', { name: 'Accept the invite' }).waitFor()
    t.equal(await tab.run('location.hash'), '', 'the token is not in the URL')
    t.same(await accessibilityProblems(tab), [])
    await screenshot(tab, 'accept-invite-light')
    await page.getByLabel('Name').fill('Grace <img src=x onerror=alert(1)>')
    await page.getByLabel('Password').fill(password)
    await page.getByRole('button', { name: 'Accept invite' }).click()
    await page.getByRole('button', { name: 'Account: Grace <img src=x onerror=alert(1)>' }).waitFor()
    const { body: [user] } = await admin.get(`/api/users?email=${email}`)
    t.match(user, { roles: [{ name: 'viewer', applicationId }] })
  })

  await t.test('an existing user accepts an invite with their password and a code', async t => {
    const user = await person(app)
    const { body: { secret } } = await user.post(`/api/users/${user.id}/mfa/setup`, { currentPassword: password })
    const code = (steps: number) =>
      new TOTP({ secret: Secret.fromBase32(secret) }).generate({ timestamp: Date.now() + steps * 30_000 })
    await user.post(`/api/users/${user.id}/mfa/confirm`, { code: code(0) })
    await admin.post('/api/invites', { email: user.email, roleId: 'role_editor', applicationId })
    const { page } = await open(await linkTo(user.email), anonymous)
    await page.getByLabel('Name').fill('Ignored')
    await page.getByLabel('Password').fill('not the password')
    await page.getByRole('button', { name: 'Accept invite' }).click()
    await page.getByText('Your address already has an account').waitFor()
    await page.getByLabel('Password').fill(password)
    await page.getByRole('button', { name: 'Accept invite' }).click()
    await page.getByLabel('Code of your authenticator app').fill(code(1))
    await page.getByRole('button', { name: 'Verify code' }).click()
    await page.getByRole('button', { name: `Account: ${user.id}` }).waitFor()
    const { body } = await admin.get(`/api/users/${user.id}`)
    t.match(body, { name: user.id, roles: [{ name: 'editor', applicationId }] })
  })

  await t.test('a mailed link sets a new password', async t => {
    const user = await person(app, 'viewer')
    const { page } = await open('/forgot-password', anonymous)
    await page.getByLabel('E-mail').fill('nobody@example.com')
    await page.getByRole('button', { name: 'Send link' }).click()
    const shown = page.getByText('has an account, a mail with a link is on its way')
    await shown.waitFor()
    await page.getByRole('button', { name: 'Use another address' }).click()
    await page.getByLabel('E-mail').fill(user.email)
    await page.getByRole('button', { name: 'Send link' }).click()
    await shown.waitFor()
    const tab = await open(await linkTo(user.email), anonymous)
    await tab.page.getByRole('heading', { name: 'Set a new password' }).waitFor()
    t.equal(await tab.run('location.hash'), '', 'the token is not in the URL')
    t.same(await accessibilityProblems(tab), [])
    await tab.page.getByLabel('New password').fill('short')
    await tab.page.getByRole('button', { name: 'Set password' }).click()
    await tab.page.getByRole('alert').first().waitFor()
    await tab.page.getByLabel('New password').fill('another long pass phrase')
    await tab.page.getByRole('button', { name: 'Set password' }).click()
    await tab.page.getByRole('heading', { name: 'Your password is changed' }).waitFor()
    await tab.page.reload()
    await tab.page.getByRole('heading', { name: 'Open the link of the mail' }).waitFor()
    const { status } = await requests(app).post('/api/auth/login', {
      email: user.email, password: 'another long pass phrase'
    })
    t.equal(status, 200)
  })

  await t.test('the identity provider opens a session, and its refusals are sentences', async t => {
    provider.users.set('lin', { email: 'lin@example.com', email_verified: true, name: 'Lin', groups: ['admins'] })
    provider.state.user = 'lin'
    const tab = await open('/roles', anonymous)
    const { page } = tab
    await page.getByRole('link', { name: /^Sign in with 127\.0\.0\.1/ }).click()
    await page.getByRole('button', { name: 'Account: Lin' }).waitFor()
    t.match(page.url(), /\/roles$/)
    t.ok(await tab.run('sessionStorage.getItem("realtime.session")?.startsWith("sess_")'))
    provider.state.user = undefined
    const { page: refused } = await open('/login', anonymous)
    await refused.getByRole('link', { name: /^Sign in with 127\.0\.0\.1/ }).click()
    await refused.getByText('The identity provider refused the sign-in, or you cancelled it.').waitFor()
    t.equal(new URL(refused.url()).hash, '')
    const unknown = await open('/login#error=OIDC_%3Cimg%20src=x%20onerror=alert(1)%3E', anonymous)
    await unknown.page.getByText('The sign-in with the identity provider failed').waitFor()
  })

  await t.test('a delay after wrong passwords counts down', async t => {
    const user = await person(app, 'viewer')
    const body = { email: user.email, password: 'wrong' }
    for (let i = 0; i < 7; i++) {
      await requests(app).post('/api/auth/login', body, { remoteAddress: '127.0.0.1' })
    }
    const tab = await open('/login', { ...anonymous, theme: 'dark' })
    await tab.page.getByLabel('E-mail').fill(user.email)
    await tab.page.getByLabel('Password').fill('wrong')
    for (;;) {
      await tab.page.getByRole('button', { name: 'Sign in', exact: true }).click()
      const counting = tab.page.getByRole('button', { name: /^Try again in \d+ s$/, disabled: true })
      const failed = tab.page.getByText('LOGIN_FAILED')
      await counting.or(failed).first().waitFor()
      if (await counting.isVisible()) break
    }
    await screenshot(tab, 'login-delayed-dark')
    t.same(await accessibilityProblems(tab), [])
  })
})
