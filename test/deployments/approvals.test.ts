import t from 'tap'
import type { Deployment } from '../../schemas/deployments.ts'
import { createApiKey } from '../support/api-keys.ts'
import { build } from '../support/build.ts'
import { member, team, type Team } from '../support/deployments.ts'
import { requests } from '../support/people.ts'

t.setTimeout(300_000)

const { app } = await build(t)

/** A deployment of a topic to staging, which requires an approval. */
async function guarded () {
  const own = await team(app)
  const admin = await own.join(['admin', own.applicationId])
  const setting = await admin.request('PATCH', `/api/applications/${own.applicationId}`, {
    requireApproval: { staging: true }
  })
  t.match(setting.body, { requireApproval: { staging: true, production: false } })
  await own.topic('order.placed')
  return { ...own, admin, id: await deploy(own) }
}

const deploy = async ({ author }: Pick<Team, 'author'>): Promise<string> => {
  const { status, text, body } = await author.create([{ kind: 'topic', name: 'order.placed' }])
  if (status !== 201) throw new Error(text)
  return (body as Deployment).id
}

const keyOf = async (who: Awaited<ReturnType<Team['join']>>, applicationId: string, more: object = {}) => {
  const permissions = ['deployments:create', 'deployments:read', 'deployments:update', 'topics:read', 'topics:create']
  const { key, id } = await createApiKey(who, applicationId, { permissions, ...more })
  return { id, ...member(requests(app, `Bearer ${key}`), applicationId) }
}

t.test('a deployment is applied only when somebody else has approved it', async t => {
  const { author, join, id, everything, made } = await guarded()
  t.match(await author.get(id), { ready: false, checks: [{ name: 'approval', ok: false, message: /somebody other/ }] })
  const before = await everything()
  t.match((await author.act(id, 'apply')).body, {
    code: 'DEPLOYMENT_NOT_READY', details: [{ path: '', name: 'approval' }]
  })
  t.match((await author.act(id, 'approve')).body, { code: 'SELF_APPROVAL' })
  t.equal(await everything(), before)

  const second = await join()
  const approved = await second.act(id, 'approve')
  t.match(approved.body, {
    status: 'approved', ready: true, approvals: [{ userId: second.id, valid: true }],
    checks: [{ ok: true, message: `Approved by ${second.id}` }]
  })
  t.match((await author.act(id, 'apply')).body, { status: 'applied', approvals: [{ userId: second.id }] })
  t.equal((await made('GET', '/api/topics/order.placed', undefined, 'staging')).name, 'order.placed')
})

t.test('an API key counts as its creator', async t => {
  const { author, admin, applicationId, id } = await guarded()
  await app.db.insertInto('role_assignments').values({
    user_id: author.id, role_id: 'role_admin', application_id: applicationId
  }).execute()
  app.sessions.grantsChanged()
  const own = await keyOf(author, applicationId)
  t.match((await own.act(id, 'approve')).body, { code: 'SELF_APPROVAL' }, 'the author cannot approve with a key')

  // The key creates; its creator cannot approve, another person's key can.
  const made = await own.create([{ kind: 'topic', name: 'order.placed' }])
  t.match(made.body, { createdBy: author.id, createdWith: 'api-key' })
  t.match((await author.act(made.body.id, 'approve')).body, { code: 'SELF_APPROVAL' })
  await author.request('DELETE', `/api/api-keys/${own.id}`)
  t.match((await author.act(made.body.id, 'approve')).body, { code: 'SELF_APPROVAL' }, 'also when the key has ended')
  const other = await keyOf(admin, applicationId)
  t.match((await other.act(made.body.id, 'approve')).body, { approvals: [{ userId: admin.id, valid: true }] })
  t.equal((await author.act(made.body.id, 'apply')).status, 200)
})

t.test('a token neither approves nor stands for an author', async t => {
  const { author, applicationId, id, join } = await guarded()
  const token = app.tokens.mint({
    subject: 'ci', applicationId, permissions: ['admin'], environment: undefined, expiresInS: undefined
  }).token
  const bearer = member(requests(app, `Bearer ${token}`), applicationId)
  t.match((await bearer.act(id, 'approve')).body, { code: 'PERSON_REQUIRED' })
  const made = await bearer.create([{ kind: 'topic', name: 'order.placed' }])
  t.match(made.body, { createdWith: 'token', ready: false })
  const second = await join()
  t.match((await second.act(made.body.id, 'approve')).body, {
    ready: false, checks: [{ ok: false, message: /author of this deployment is unknown/ }]
  })
  t.equal((await second.act(made.body.id, 'apply')).status, 409)
  // Where no approval is required, a token is enough.
  await app.db.updateTable('applications').set({ approval_environments: [] }).where('id', '=', applicationId)
    .execute()
  t.equal((await bearer.act(made.body.id, 'apply')).status, 200)
  t.match(await author.get(made.body.id), { status: 'applied' })
})

t.test('a pinned credential has no access to deployments, which concern two environments', async t => {
  const { admin, applicationId, id } = await guarded()
  const permissions = ['topics:read', 'deployments:update']
  const pinned = await keyOf(admin, applicationId, { permissions, environment: 'staging' })
  for (const action of ['approve', 'apply', 'reject', 'rollback']) {
    const { status, body } = await pinned.request(
      'POST', `/api/deployments/${id}/${action}`, action === 'reject' ? { reason: 'x' } : undefined, 'staging'
    )
    t.equal(status, 403, action)
    t.match(body, { code: 'PERMISSION_DENIED' })
  }
})

t.test('people without access, and viewers, neither approve nor apply', async t => {
  const { id, join, applicationId, author } = await guarded()
  const outsider = await join(['editor', (await team(app)).applicationId])
  const viewer = await join(['viewer', applicationId])
  for (const who of [outsider, viewer]) {
    for (const action of ['approve', 'apply']) t.equal((await who.act(id, action)).status, 403, action)
  }
  t.match(await author.get(id), { status: 'open', approvals: [] })
})

t.test('an approval ends when the user may no longer change deployments', async t => {
  const { id, join, author } = await guarded()
  const second = await join()
  await second.act(id, 'approve')
  await app.db.deleteFrom('role_assignments').where('user_id', '=', second.id).execute()
  t.match(await author.get(id), { ready: false, approvals: [{ userId: second.id, valid: false }] })
  t.equal((await author.act(id, 'apply')).status, 409)
  await app.db.deleteFrom('users').where('id', '=', second.id).execute()
  t.match(await author.get(id), { ready: false, approvals: [{ userId: second.id, valid: false }] })
  const third = await join()
  await third.act(id, 'approve')
  // The deletion of the author changes nothing.
  await app.db.deleteFrom('users').where('id', '=', author.id).execute()
  t.match((await third.act(id, 'apply')).body, {
    status: 'applied', createdBy: author.id, approvals: [{ userId: third.id }]
  }, 'only the approval that counted is kept')
})

t.test('an approval lapses when the target changes', async t => {
  const { id, join, author, topic, made } = await guarded()
  const second = await join()
  const { digest = '' } = await author.get(id)
  t.equal((await second.act(id, `approve?digest=${digest}`)).status, 200)
  await topic('order.placed', 'staging', 'Made by hand')
  t.match(await author.get(id), {
    ready: false, status: 'approved', approvals: [{ valid: false }],
    checks: [{ ok: false, message: /has changed since the approval/ }]
  })
  t.equal((await author.act(id, 'apply')).status, 409)
  t.match((await second.act(id, `approve?digest=${digest}`)).body, { code: 'DEPLOYMENT_CHANGED' })
  t.match((await author.act(id, `apply?digest=${digest}`)).body, { code: 'DEPLOYMENT_CHANGED' })
  const { digest: now = '' } = await author.get(id)
  t.match((await second.act(id, `approve?digest=${now}`)).body, {
    ready: true, approvals: [{ valid: true }]
  }, 'it can be renewed')
  await made('PATCH', '/api/topics/order.placed', { description: 'Later' }, 'development')
  t.match(await author.get(id), { ready: true }, 'changes of the source do not matter')
  t.equal((await author.act(id, 'apply')).status, 200)
})

t.test('the requirement counts when the deployment is applied', async t => {
  const { id, author, admin, applicationId } = await guarded()
  const set = async (requireApproval: object) =>
    await admin.request('PATCH', `/api/applications/${applicationId}`, { requireApproval })
  await set({ staging: false })
  t.match(await author.get(id), { ready: true })
  t.match((await set({ production: true })).body, { requireApproval: { staging: false, production: true } })
  await set({ staging: true })
  t.equal((await author.act(id, 'apply')).status, 409)
  await set({ staging: false })
  t.equal((await author.act(id, 'apply')).status, 200)
  t.equal((await set({ development: true })).status, 400)
  t.equal((await set({})).status, 400)
})

t.test('applying requires the permissions for the changes themselves', async t => {
  const { applicationId, author, topic, admin } = await team(app).then(async own => ({
    ...own, admin: await own.join(['admin', own.applicationId])
  }))
  await topic('order.placed')
  const id = await deploy({ author })
  const limited = async (...permissions: string[]) => await keyOf(admin, applicationId, { permissions })
  const reader = await limited('deployments:read')
  t.match((await reader.request('GET', `/api/deployments/${id}`)).body, { message: /topics:read/ })
  t.equal((await reader.request('GET', '/api/deployments')).status, 200, 'lists have no contents')
  const updater = await limited('deployments:read', 'deployments:update', 'topics:read')
  t.equal((await updater.request('GET', `/api/deployments/${id}`)).status, 200)
  t.match((await updater.act(id, 'apply')).body, { code: 'PERMISSION_DENIED', message: /topics:create/ })
  const creator = await limited('deployments:update', 'topics:read', 'topics:create')
  t.equal((await creator.act(id, 'apply')).status, 200)
  t.match((await creator.act(id, 'rollback')).body, { code: 'PERMISSION_DENIED', message: /topics:delete/ })
})
