import t from 'tap'
import { noChromium } from '../../support/chromium.ts'
import { accessibilityProblems, screenshot, startConsole } from '../../support/console.ts'
import { password, person, requests } from '../../support/people.ts'

t.test('users and roles', { skip: noChromium, timeout: 600_000 }, async t => {
  const { app, open, user, admin, applicationId } = await startConsole(t)
  const viewer = await user('viewer')
  const editor = await user('editor')
  await admin.patch(`/api/users/${editor.id}`, { name: 'Evil <img src=x onerror=alert(1)>' })

  await t.test('users are searched and filtered by the URL', async t => {
    const tab = await open('/users')
    const { page } = tab
    await page.getByRole('link', { name: 'Evil <img src=x onerror=alert(1)>' }).waitFor()
    await screenshot(tab, 'users-light')
    t.same(await accessibilityProblems(tab), [])
    await page.getByLabel('Role', { exact: true }).selectOption({ label: 'viewer' })
    await page.getByRole('link', { name: viewer.id, exact: true }).waitFor()
    await page.getByRole('link', { name: /^Evil/ }).waitFor({ state: 'detached' })
    t.match(page.url(), /role=role_viewer/)
    await page.reload()
    await page.getByRole('link', { name: viewer.id, exact: true }).waitFor()
    await page.getByLabel('Filter users').fill('nobody at all')
    await page.getByText('No user matches the filter').waitFor()
  })

  await t.test('roles of a user are assigned and removed, by application', async t => {
    const other = await person(app, ['viewer', applicationId])
    const tab = await open(`/users/${other.id}`)
    const { page } = tab
    await page.getByRole('heading', { name: 'Assign a role' }).waitFor()
    await page.getByLabel('Role', { exact: true }).selectOption({ label: 'editor' })
    await page.getByLabel('Applies to').selectOption({ label: 'Test' })
    await page.getByRole('button', { name: 'Assign role' }).click()
    await page.getByRole('button', { name: 'Remove editor, Test' }).waitFor()
    await screenshot(tab, 'user-light')
    t.same(await accessibilityProblems(tab), [])
    await page.getByRole('button', { name: 'Remove viewer, Test' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Remove role' }).click()
    await page.getByRole('button', { name: 'Remove viewer, Test' }).waitFor({ state: 'detached' })
    const { body } = await admin.get(`/api/users/${other.id}`)
    t.match(body.roles, [{ name: 'editor', applicationId }])
  })

  await t.test('an administrator sets a password, and deletes a user', async t => {
    const other = await person(app, ['viewer', applicationId])
    const { page } = await open(`/users/${other.id}`)
    await page.getByRole('button', { name: 'Set password' }).click()
    const dialog = page.getByRole('dialog')
    await dialog.getByLabel('New password').fill('a pass phrase that is new')
    await dialog.getByRole('button', { name: 'Set password' }).click()
    await dialog.waitFor({ state: 'detached' })
    t.equal((await other.get('/api/auth/me')).status, 401)
    const login = (word: string) => requests(app).post('/api/auth/login', { email: other.email, password: word })
    t.equal((await login('a pass phrase that is new')).status, 200)
    t.equal((await login(password)).status, 401)
    await page.getByRole('button', { name: 'Delete user' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Delete user' }).click()
    await page.getByRole('heading', { name: 'Users' }).waitFor()
    t.equal((await admin.get(`/api/users/${other.id}`)).status, 404)
  })

  await t.test('a role is made in the matrix by keyboard, changed, and deleted', async t => {
    const tab = await open('/roles/new')
    const { page } = tab
    await page.getByLabel('Name').fill('support')
    await page.getByRole('checkbox', { name: 'topics:create' }).focus()
    await page.keyboard.press('ArrowRight')
    await page.keyboard.press('Space')
    await page.keyboard.press('ArrowDown')
    await page.keyboard.press('Space')
    await page.getByText('2 selected').waitFor()
    t.same(await accessibilityProblems(tab), [])
    await page.getByRole('button', { name: 'Create role' }).click()
    await page.getByRole('heading', { name: 'support' }).waitFor()
    await page.getByText('Nobody has it.').waitFor()
    const find = async () => (await admin.get('/api/roles?q=support')).body[0]
    const { id, permissions } = await find()
    const namesOf = (list: { resource: string, action: string }[]) =>
      list.map(({ resource, action }) => `${resource}:${action}`).sort()
    t.same(namesOf(permissions), ['schemas:read', 'topics:read'])
    await page.getByRole('button', { name: 'webhooks', exact: true }).click()
    await page.getByText('4 added').waitFor()
    await screenshot(tab, 'role-light')
    await page.getByRole('button', { name: 'Save role' }).click()
    await page.getByText('Role saved').waitFor()
    t.equal((await find()).permissions.length, 6)
    await page.getByRole('button', { name: 'Delete role' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Delete role' }).click()
    await page.getByRole('heading', { name: 'Roles' }).waitFor()
    t.notOk((await admin.get('/api/roles')).body.some((role: { id: string }) => role.id === id))
  })

  await t.test('a built-in role is read-only', async t => {
    const tab = await open('/roles/role_viewer', { theme: 'dark' })
    await tab.page.getByText('built in, read-only').waitFor()
    await tab.page.getByRole('link', { name: viewer.id }).waitFor()
    t.equal(await tab.page.getByRole('checkbox').count(), 0)
    await screenshot(tab, 'role-built-in-dark')
    t.same(await accessibilityProblems(tab), [])
  })

  await t.test('the matrix has every permission of the API', async t => {
    const { body } = await admin.get('/openapi.json')
    const { PermissionResource: resource, PermissionAction: action } = body.components.schemas
    const { page, run } = await open('/roles/new')
    await page.getByRole('checkbox').first().waitFor()
    const labels = await run<string[]>('[...document.querySelectorAll("td input")].map(cell => cell.ariaLabel)')
    const names = valuesOf(resource).flatMap(name => valuesOf(action).map(verb => `${name}:${verb}`))
    t.same(labels.toSorted(), names.toSorted())
  })

  await t.test('a viewer sees users, and no action that writes', async t => {
    const { page } = await open('/users', { session: viewer.token })
    await page.getByRole('link', { name: /^Evil/ }).click()
    await page.getByRole('heading', { name: /^Evil/ }).waitFor()
    for (const name of ['Invite user', 'Create user', 'Edit', 'Delete user', 'Set password', 'Assign role']) {
      t.equal(await page.getByRole('button', { name, exact: true }).count(), 0, name)
    }
    await page.goto(`${new URL(page.url()).origin}/roles`)
    await page.getByText('roles:read').waitFor()
  })

  for (const theme of ['light', 'dark'] as const) {
    await t.test(`the lists are accessible in the ${theme} theme`, async t => {
      for (const path of ['/users', '/invites', '/roles']) {
        const tab = await open(path, { theme })
        await tab.page.getByRole('link', { name: viewer.id, exact: true })
          .or(tab.page.getByText('No invites are open'))
          .or(tab.page.getByRole('link', { name: 'super_admin' })).first().waitFor()
        await screenshot(tab, `${path.slice(1)}-list-${theme}`)
        t.same(await accessibilityProblems(tab), [], path)
      }
    })
  }
})

const valuesOf = (schema: { enum?: string[], anyOf?: { const: string }[] }): string[] =>
  schema.enum ?? schema.anyOf?.map(one => one.const) ?? []
