import t from 'tap'
import { isJwt } from '../../../src/identity/access/principal.ts'
import { build, listen } from '../../support/build.ts'
import { transports } from '../../support/clients.ts'
import { createDatabase } from '../../support/database.ts'
import { person, requests } from '../../support/people.ts'
import { tenant } from '../../support/tenant.ts'
import { eventually } from '../../support/waiting.ts'

/* Open sockets when a session, a role or an application changes, on this node or on another. */

t.setTimeout(600_000)

const databaseUrl = await createDatabase(t)
const { app } = await build(t, { databaseUrl })
const { app: otherNode } = await build(t, { databaseUrl })
const url = await listen(app)
const root = await person(app, 'super_admin')
const revoked = { code: 4403, reason: 'CREDENTIAL_REVOKED' }

for (const { name, connect } of transports) {
  for (const [where, node] of [['here', app], ['on another node', otherNode]] as const) {
    await t.test(`over ${name}, changed ${where}`, async t => {
      const shop = await tenant(app)
      const topic = await shop.topic('watched.events')
      const { applicationId } = shop
      const rules = requests(node, root.token)
      const enter = async (...roles: Parameters<typeof person>[1][]) => {
        const ada = await person(app, ...roles)
        return { ada, socket: await connect(url, { token: ada.token, applicationId }) }
      }

      const loggedOut = await enter('viewer')
      const ended = await enter('viewer')
      const renewed = await enter('viewer')
      const deleted = await enter('viewer')
      const barred = await enter(['viewer', applicationId])
      const kept = await enter('viewer')
      t.equal((await requests(node, loggedOut.ada.token).post('/api/auth/logout')).status, 204)
      const [session] = (await requests(node, ended.ada.token).get('/api/auth/sessions')).body
      t.match(session, { current: true, userAgent: 'tests', address: '127.0.0.1' })
      t.equal((await requests(node, ended.ada.token).remove(`/api/auth/sessions/${session.id}`)).status, 204)
      t.equal(
        (await rules.post(`/api/users/${renewed.ada.id}/change-password`, { newPassword: 'another long one' })).status,
        204
      )
      t.equal((await rules.remove(`/api/users/${deleted.ada.id}`)).status, 204)
      t.equal((await rules.remove(`/api/users/${barred.ada.id}/roles/role_viewer`)).status, 204)
      for (const { socket } of [loggedOut, ended, renewed, deleted, barred]) t.match(await socket.closed, revoked)

      const { subscriptionId } = await kept.socket.request('subscribe', { topic })
      await shop.publish(topic, 1)
      await kept.socket.received(1)
      const { body: role } = await root.post('/api/roles', {
        name: `less-${Math.random().toString(36).slice(2)}`,
        permissions: [{ resource: 'topics', action: 'read' }]
      })
      await rules.post(`/api/users/${kept.ada.id}/roles`, { roleId: role.id })
      await rules.remove(`/api/users/${kept.ada.id}/roles/role_viewer`)
      t.match(
        await kept.socket.message('resync'), { subscriptionId, topic, code: 'PERMISSION_DENIED' },
        'the socket continues with fewer permissions'
      )
      t.match(await kept.socket.request('subscribe', { topic }), { ok: false, code: 'PERMISSION_DENIED' })
      await rules.post(`/api/users/${kept.ada.id}/roles`, { roleId: 'role_viewer' })
      await eventually(async () => (await kept.socket.request('subscribe', { topic })).ok)
      kept.socket.close()
    })
  }
}

for (const { name, connect } of transports) {
  for (const [where, node] of [['here', app], ['on another node', otherNode]] as const) {
    await t.test(`over ${name}, an application deleted ${where} closes its own sockets only`, async t => {
      const [doomed, spared] = [await tenant(app), await tenant(app)]
      const ofTokens = await Promise.all([doomed, spared].map(shop => connect(url, { token: shop.token() })))
      const ofSessions = await Promise.all(
        [doomed, spared].map(({ applicationId }) => connect(url, { token: root.token, applicationId }))
      )
      t.equal((await requests(node, root.token).remove(`/api/applications/${doomed.applicationId}`)).status, 204)
      for (const socket of [ofTokens[0], ofSessions[0]]) {
        t.match(await socket?.closed, { code: 4410, reason: 'APPLICATION_DELETED' })
      }
      for (const socket of [ofTokens[1], ofSessions[1]]) {
        t.match(await socket?.request('join', { channel: 'room' }), { ok: true })
        socket?.close()
      }
    })
  }

  await t.test(`over ${name}, a socket that opens during a revocation is closed`, async t => {
    const shop = await tenant(app)
    const [slipped, other] = [await connect(url, { token: shop.token() }), await connect(url, { token: shop.token() })]
    // Simulates that the key was read for the last time between the check of the token and the opening of the
    // connection.
    const [connection] = [...app.connections.all()].filter(({ scope }) => scope.applicationId === shop.applicationId)
    if (connection === undefined || !isJwt(connection.principal)) throw new Error('no connection of a token')
    connection.principal = { ...connection.principal, keyId: 'key_gone' }
    t.match(await slipped.closed, revoked)
    t.match(await other.request('join', { channel: 'room' }), { ok: true })
    other.close()
  })
}

await t.test('a user sees and ends only their own sessions', async t => {
  const [ada, eve] = [await person(app, 'viewer'), await person(app, 'super_admin')]
  const other = await app.sessions.create(ada.id, { address: '203.0.113.7', userAgent: 'phone' })
  const list = await ada.get('/api/auth/sessions')
  t.same(
    list.body.map(({ current, userAgent }: { current: boolean, userAgent: string }) =>
      `${userAgent} ${String(current)}`
    ).sort(),
    ['phone false', 'tests true']
  )
  t.notOk(list.text.includes(other.token) || list.text.includes(ada.token))
  const phone = list.body.find(({ userAgent }: { userAgent: string }) => userAgent === 'phone')
  t.match(await eve.remove(`/api/auth/sessions/${phone.id}`), { status: 404, body: { code: 'SESSION_NOT_FOUND' } })
  t.equal((await requests(app, other.token).get('/api/auth/me')).status, 200)
  t.equal((await ada.remove(`/api/auth/sessions/${phone.id}`)).status, 204)
  t.equal((await requests(app, other.token).get('/api/auth/me')).status, 401)
  t.equal((await ada.get('/api/auth/me')).status, 200)
  const shop = await tenant(app)
  t.match(await requests(app, `Bearer ${shop.token(['admin'])}`).get('/api/auth/sessions'), {
    status: 403,
    body: { code: 'SESSION_REQUIRED' }
  })
  t.equal((await requests(app, phone.id).get('/api/auth/me')).status, 401, 'the id of a session is not a credential')
})
