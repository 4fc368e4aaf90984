import t from 'tap'
import { build } from '../../support/build.ts'
import { createApiKey } from '../../support/api-keys.ts'
import { mailServer } from '../../support/mail-server.ts'
import { password, person, requests } from '../../support/people.ts'
import { tenant } from '../../support/tenant.ts'
import { eventually } from '../../support/waiting.ts'

t.setTimeout(600_000)

const outcome = ({ status, body }: { status: number, body?: { code?: string } }) =>
  body?.code === undefined ? String(status) : `${status} ${body.code}`

const smtp = await mailServer(t)
const { app } = await build(t, {
  variables: {
    SMTP_URL: smtp.url,
    MAIL_FROM: 'Realtime <hello@example.com>',
    PUBLIC_URL: 'https://realtime.example.com/'
  }
})
const root = await person(app, 'super_admin')
const anybody = requests(app)

await t.test('an invite is mailed, and creates a logged-in user once', async t => {
  const { applicationId } = await tenant(app)
  const invite = await root.post('/api/invites', { email: 'grace@example.com', roleId: 'role_editor', applicationId })
  t.equal(invite.status, 201)
  t.match(invite.body, {
    id: /^inv_/, email: 'grace@example.com', roleId: 'role_editor', role: 'editor', applicationId, invitedBy: root.id,
    token: /^invite_/
  })
  const mail = await eventually(() => smtp.mails.find(({ to }) => to.includes('grace@example.com')))
  t.equal(mail.from, 'hello@example.com')
  t.ok(mail.text.includes(`https://realtime.example.com/accept-invite#token=${invite.body.token}`), mail.text)
  t.equal(invite.body.url, `https://realtime.example.com/accept-invite#token=${invite.body.token}`)
  t.match((await root.get('/api/invites')).body, [{ id: invite.body.id }])
  t.notOk((await root.get('/api/invites')).text.includes(invite.body.token), 'the token is returned once')
  t.notOk(JSON.stringify(await app.db.selectFrom('invites').selectAll().execute()).includes(invite.body.token))

  const accept = (change: object = {}) =>
    anybody.post('/api/auth/accept-invite', { token: invite.body.token, name: 'Grace', password, ...change })
  t.equal(outcome(await accept({ token: 'invite_guess' })), '403 INVITE_INVALID')
  t.equal(outcome(await accept({ password: 'short' })), '400 VALIDATION_FAILED')
  const answers = await Promise.all([accept(), accept(), accept()])
  t.same(answers.map(({ status }) => status === 201).filter(Boolean).length, 1, 'one concurrent request succeeds')
  const accepted = answers.find(({ status }) => status === 201)
  t.match(accepted?.body, { sessionToken: /^sess_/, user: { email: 'grace@example.com', name: 'Grace' } })
  const grace = requests(app, accepted?.body.sessionToken)
  t.match((await grace.get('/api/auth/me')).body.roles, [{ name: 'editor', applicationId }])
  t.equal(outcome(await accept()), '403 INVITE_INVALID')
  t.same((await root.get('/api/invites')).body, [])
})

await t.test('an existing user accepts with their password, and keeps their name', async t => {
  const { applicationId } = await tenant(app)
  const ada = await person(app)
  const { body: invite } = await root.post('/api/invites', {
    email: ada.email.toUpperCase(), roleId: 'role_viewer', applicationId
  })
  const accept = (given: string) =>
    anybody.post('/api/auth/accept-invite', { token: invite.token, name: 'Eve', password: given })
  t.equal(outcome(await accept('not her password')), '401 LOGIN_FAILED')
  t.equal((await accept(password)).status, 201)
  t.match((await root.get(`/api/users/${ada.id}`)).body, { name: ada.id, roles: [{ name: 'viewer', applicationId }] })
})

await t.test('an invite is void if it is withdrawn, expired, or its sender may no longer grant the role', async t => {
  const { applicationId } = await tenant(app)
  const invited = async (by: { post: typeof root.post }, roleId = 'role_viewer') =>
    (await by.post('/api/invites', { email: `x${Math.random()}@example.com`, roleId, applicationId })).body
  const accept = (invite: { token: string }) =>
    anybody.post('/api/auth/accept-invite', { token: invite.token, name: 'Grace', password })
  const withdrawn = await invited(root)
  t.equal((await root.remove(`/api/invites/${withdrawn.id}`)).status, 204)
  t.equal(outcome(await root.remove(`/api/invites/${withdrawn.id}`)), '404 INVITE_NOT_FOUND')
  t.equal(outcome(await accept(withdrawn)), '403 INVITE_INVALID')

  const expired = await invited(root)
  await app.db.updateTable('invites').set({ expires_at: Date.now() }).where('id', '=', expired.id).execute()
  t.equal(outcome(await accept(expired)), '403 INVITE_INVALID')

  const admin = await person(app, 'admin')
  const demoted = await invited(admin)
  await root.remove(`/api/users/${admin.id}/roles/role_admin`)
  t.equal(outcome(await accept(demoted)), '403 INVITE_INVALID')

  const { body: role } = await root.post('/api/roles', {
    name: 'grows', permissions: [{ resource: 'topics', action: 'read' }]
  })
  const other = await person(app, 'admin')
  const grown = await invited(other, role.id)
  await root.patch(`/api/roles/${role.id}`, { permissions: [{ resource: 'keys', action: 'create' }] })
  await app.db.updateTable('invites').set({ application_id: null }).where('id', '=', grown.id).execute()
  t.equal(outcome(await accept(grown)), '403 INVITE_INVALID', 'the role holds more than the sender')

  const left = await invited(await person(app, 'admin'))
  await app.db.deleteFrom('users').where('id', '=', left.invitedBy).execute()
  t.equal(outcome(await accept(left)), '403 INVITE_INVALID')
})

await t.test('an invite grants no more than it promised, and nothing after its sender loses the right', async t => {
  const shop = await tenant(app)
  const pairs = (...names: string[]) =>
    names.map(name => ({ resource: name.split(':')[0], action: name.split(':')[1] }))
  const newRole = async (...names: string[]) =>
    (await root.post('/api/roles', {
      name: `role-${Math.random().toString(36).slice(2)}`,
      permissions: pairs(...names)
    })).body
  /** Returns the token of the mail, because only senders who may manage all users get it in the response. */
  const invited = async (by: { post: typeof root.post }, roleId: string) => {
    const email = `x${Math.random()}@example.com`
    await by.post('/api/invites', { email, roleId, applicationId: shop.applicationId })
    const { text } = await eventually(() => smtp.mails.find(({ to }) => to.includes(email)))
    return { token: /#token=(invite_[\w-]+)/.exec(text)?.[1] ?? '' }
  }
  const accept = (invite: { token: string }) =>
    anybody.post('/api/auth/accept-invite', { token: invite.token, name: 'Grace', password })
  const token = requests(app, `Bearer ${shop.token(['admin'])}`)

  const role = await newRole('topics:read', 'topics:create')
  const [kept, narrowed, grown] = [
    await invited(token, role.id), await invited(token, role.id), await invited(token, role.id)
  ]
  t.equal((await accept(kept)).status, 201, 'sent with a token')
  await root.patch(`/api/roles/${role.id}`, { name: 'renamed-role', permissions: pairs('topics:read') })
  t.equal((await accept(narrowed)).status, 201, 'the role is renamed and holds less')
  await root.patch(`/api/roles/${role.id}`, { permissions: pairs('topics:read', 'topics:create', 'webhooks:create') })
  t.equal(outcome(await accept(grown)), '403 INVITE_INVALID', 'the role holds more than when a token sent the invite')
  t.equal((await accept(await invited(token, role.id))).status, 201, 'an invite that is sent afterwards is valid')

  const { body: key } = await root.post('/api/admin/keys')
  const stolen = await invited(requests(app, `Bearer ${shop.token(['admin'])}`), role.id)
  t.equal((await root.post(`/api/admin/keys/${key.keyId}/revoke`)).status, 200)
  t.equal(outcome(await accept(stolen)), '403 INVITE_INVALID', 'the key of the token that sent it is revoked')

  const inviting = await newRole('invites:create', 'invites:read', 'topics:read')
  const reading = await newRole('topics:read')
  const sender = await person(app, [inviting.id, shop.applicationId])
  const [open, late] = [await invited(sender, reading.id), await invited(sender, reading.id)]
  t.equal((await accept(open)).status, 201)
  await root.patch(`/api/roles/${inviting.id}`, { permissions: pairs('invites:read', 'topics:read') })
  t.equal(
    outcome(await accept(late)), '403 INVITE_INVALID', 'the sender still holds the role, but may no longer invite'
  )

  const { key: apiKey } = await createApiKey(root, shop.applicationId, { permissions: ['admin'] })
  t.equal(
    outcome(
      await requests(app, `Bearer ${apiKey}`).post('/api/invites', {
        email: 'x@example.com', roleId: reading.id, applicationId: shop.applicationId
      })
    ),
    '403 PERMISSION_DENIED',
    'an API key cannot send one'
  )

  const gone = await newRole('topics:read')
  const toGone = await invited(root, gone.id)
  t.equal((await root.remove(`/api/roles/${gone.id}`)).status, 204)
  t.equal(outcome(await accept(toGone)), '403 INVITE_INVALID', 'the role is deleted')
})

await t.test('a sender grants no more than they hold, and sees only invites of their application', async t => {
  const [shop, bank] = [await tenant(app), await tenant(app)]
  const admin = await person(app, 'admin')
  t.equal(
    outcome(await admin.post('/api/invites', { email: 'a@example.com', roleId: 'role_super_admin' })),
    '403 PERMISSION_NOT_HELD'
  )
  const shopAdmin = await person(app, ['admin', shop.applicationId])
  const { body: ofBank } = await root.post('/api/invites', {
    email: 'b@example.com', roleId: 'role_viewer', applicationId: bank.applicationId
  })
  const { body: ofAll } = await root.post('/api/invites', { email: 'b@example.com', roleId: 'role_viewer' })
  for (const ruler of [shopAdmin, requests(app, `Bearer ${shop.token(['admin'])}`)]) {
    t.equal(
      outcome(await ruler.post('/api/invites', { email: 'a@example.com', roleId: 'role_viewer' })),
      '403 PERMISSION_NOT_HELD'
    )
    t.equal(
      outcome(
        await ruler.post('/api/invites', {
          email: 'a@example.com', roleId: 'role_viewer', applicationId: bank.applicationId
        })
      ),
      '403 APPLICATION_FORBIDDEN'
    )
    t.equal(
      outcome(
        await ruler.post('/api/invites', {
          email: 'a@example.com', roleId: 'role_super_admin', applicationId: shop.applicationId
        })
      ),
      ruler === shopAdmin ? '403 PERMISSION_NOT_HELD' : '201'
    )
    const { body: own } = await ruler.post('/api/invites', {
      email: 'a@example.com', roleId: 'role_admin', applicationId: shop.applicationId
    })
    t.ok(
      (await ruler.get('/api/invites')).body.every(({ applicationId }: { applicationId: string }) =>
        applicationId === shop.applicationId
      )
    )
    for (const { id } of [ofBank, ofAll]) {
      t.equal(outcome(await ruler.remove(`/api/invites/${id}`)), '404 INVITE_NOT_FOUND')
    }
    t.equal((await ruler.remove(`/api/invites/${own.id}`)).status, 204)
  }
})
