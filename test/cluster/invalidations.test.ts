import t from 'tap'
import { transports, type Client } from '../support/clients.ts'
import { createApiKey } from '../support/api-keys.ts'
import { person, requests } from '../support/people.ts'
import { nodeLinks } from '../support/node-links.ts'
import { ask, join } from '../support/room.ts'
import { tenant } from '../support/tenant.ts'
import { follow } from '../support/trace-stream.ts'
import { eventually } from '../support/waiting.ts'
import { acquainted, startNodes } from '../support/nodes.ts'

/*
 * A revocation on one node takes effect on the others. It arrives over the bus, because their periodic queries are
 * disabled here.
 */

const links = await nodeLinks(t)

for (const link of links) {
  await t.test(`a revocation on one node takes effect on the other, over ${link.name}`, async t => {
    const nodes = await startNodes(t, link, 2, { adapt: config => { config.webhooks.pollMs = 60_000 } })
    const [one, two] = nodes
    await acquainted(nodes)
    two.app.revocation.close()
    two.app.signingKeys.close()
    const root = await person(one.app, 'super_admin')
    const revoked = { code: 4403, reason: 'CREDENTIAL_REVOKED' }
    const connect = async (token: string, applicationId?: string): Promise<Client[]> =>
      await Promise.all(
        transports.map(transport =>
          transport.connect(two.url, { token, ...(applicationId !== undefined && { applicationId }) })
        )
      )

    await t.test('sessions and roles', async t => {
      const shop = await tenant(one.app)
      const topic = await shop.topic('watched.events')
      const { applicationId } = shop
      const [ended, kept] = [await person(one.app, 'viewer'), await person(one.app, 'viewer')]
      const over = await connect(ended.token, applicationId)
      const stream = await follow(two.url, shop, '', { 'x-application-id': applicationId }, ended.token)
      t.equal(stream.status, 200)
      const less = await connect(kept.token, applicationId)
      for (const socket of less) t.match(await socket.request('subscribe', { topic }), { ok: true })
      t.equal((await requests(one.app, ended.token).post('/api/auth/logout')).status, 204)
      for (const socket of over) t.match(await socket.closed, revoked)
      await stream.closed
      t.match(stream.messages.at(-1), { event: 'closing', data: revoked }, 'a trace stream ends as well')
      const { body: role } = await root.post('/api/roles', {
        name: 'less', permissions: [{ resource: 'topics', action: 'read' }]
      })
      await root.post(`/api/users/${kept.id}/roles`, { roleId: role.id })
      await root.remove(`/api/users/${kept.id}/roles/role_viewer`)
      for (const socket of less) {
        t.match(await socket.message('resync'), { topic, code: 'PERMISSION_DENIED' }, 'the socket stays open')
        socket.close()
      }
    })

    await t.test('API keys, and the roles of their creators', async t => {
      const shop = await tenant(one.app)
      const { applicationId } = shop
      const creator = await person(one.app, ['admin', applicationId])
      const ended = await createApiKey(root, applicationId, { permissions: ['topics:read'] })
      const orphaned = await createApiKey(creator, applicationId, { permissions: ['topics:read'] })
      for (const { key } of [ended, orphaned]) {
        t.equal((await requests(two.app, `Bearer ${key}`).get('/api/topics')).status, 200)
      }
      const [ofEnded, ofOrphaned] = [await connect(ended.key), await connect(orphaned.key)]
      t.equal(
        (await root.request('DELETE', `/api/api-keys/${ended.id}`, undefined, {
          headers: { 'x-application-id': applicationId }
        })).status,
        204
      )
      for (const socket of ofEnded) t.match(await socket.closed, revoked)
      t.equal((await root.remove(`/api/users/${creator.id}`)).status, 204)
      for (const socket of ofOrphaned) t.match(await socket.closed, revoked)
      for (const { key } of [ended, orphaned]) {
        t.equal((await requests(two.app, `Bearer ${key}`).get('/api/topics')).status, 401, 'the memory is cleared')
      }
    })

    await t.test('an application with its tokens and sockets', async t => {
      const { body: application } = await root.post('/api/applications', { name: 'Short-lived' })
      const token =
      one.app.tokens.mint({
        subject: 's', applicationId: application.id, permissions: ['admin'], environment: undefined,
        expiresInS: undefined
      }).token
      const sockets = await connect(token)
      t.equal((await requests(two.app, `Bearer ${token}`).get('/api/topics')).status, 200)
      t.equal((await root.remove(`/api/applications/${application.id}?force=true`)).status, 204)
      for (const socket of sockets) t.match(await socket.closed, { code: 4410, reason: 'APPLICATION_DELETED' })
      t.equal((await requests(two.app, `Bearer ${token}`).get('/api/topics')).status, 401, 'its token is refused')
    })

    await t.test('the grace period, and webhooks for socket events', async t => {
      const shop = await tenant(one.app)
      t.equal(await two.app.gracePeriods.of(shop.applicationId), 3000)
      await shop.request('PATCH', `/api/applications/${shop.applicationId}`, { presenceGraceMs: 77 })
      await eventually(async () => await two.app.gracePeriods.of(shop.applicationId) === 77)
      one.app.config.webhooks.resolve = async () => ['93.184.216.34']
      t.match(
        await shop.request('POST', '/api/webhooks', { url: 'https://example.com/hook', events: ['socket.message'] }),
        { status: 201 }
      )
      await eventually(() => two.app.socketListeners.hasListeners(shop.scope, 'socket.message'))
      const [client] = await connect(shop.token()) as [Client]
      await join(client, 'c')
      t.match(await ask(client, 'publish', { channel: 'c', event: 'e', data: 1 }), { ok: true })
      t.equal(
        (await one.app.db.selectFrom('events').select('id').where('application_id', '=', shop.applicationId).execute())
          .length,
        1
      )
      client.close()
    })

    await t.test('a signing key', async t => {
      const shop = await tenant(one.app)
      const sockets = await connect(shop.token())
      const keyId = one.app.signingKeys.active?.id as string
      t.equal((await root.post(`/api/admin/keys/${keyId}/revoke`)).status, 200)
      for (const socket of sockets) t.match(await socket.closed, revoked)
      t.not(two.app.signingKeys.active?.id, keyId, 'the other node signs with another key')
    })
  })
}
