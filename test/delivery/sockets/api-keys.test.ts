import { once } from 'node:events'
import t from 'tap'
import { WebSocket } from 'ws'
import { build, listen } from '../../support/build.ts'
import { createApiKey } from '../../support/api-keys.ts'
import { connectWs, transports } from '../../support/clients.ts'
import { createDatabase } from '../../support/database.ts'
import { person, requests } from '../../support/people.ts'
import { ask, join } from '../../support/room.ts'
import { tenant } from '../../support/tenant.ts'
import { follow } from '../../support/trace-stream.ts'
import { eventually } from '../../support/waiting.ts'

/* Sockets of API keys, on both transports, and what ends or narrows them, on this node or on another. */

t.setTimeout(300_000)

const databaseUrl = await createDatabase(t)
const { app } = await build(t, { databaseUrl })
const { app: otherNode } = await build(t, { databaseUrl })
const url = await listen(app)
const root = await person(app, 'super_admin')
const revoked = { code: 4403, reason: 'CREDENTIAL_REVOKED' }
const removeKey = (node: typeof app, id: string, applicationId: string) =>
  requests(node, root.token).request('DELETE', `/api/api-keys/${id}`, undefined, {
    headers: { 'x-application-id': applicationId }
  })

for (const { name, connect } of transports) {
  await t.test(`over ${name}, a key connects, subscribes and publishes within its permissions`, async t => {
    const shop = await tenant(app)
    const topic = await shop.topic('order.placed')
    await shop.topic('refund.made')
    const { id, key } = await createApiKey(root, shop.applicationId, {
      permissions: ['subscribe:order.*', 'subscribe:socket.*', 'subscribe:presence.*', 'publish']
    })
    const [one, two] = [await connect(url, { token: key }), await connect(url, { token: key })]
    const { subscriptionId } = await one.request('subscribe', { topic })
    t.match(await one.request('subscribe', { topic: 'refund.made' }), { ok: false, code: 'PERMISSION_DENIED' })
    t.equal((await requests(app, `Bearer ${key}`).post(`/api/topics/${topic}/events`, { payload: 1 })).status, 201)
    t.match(await one.received(1), [{ topic, subscriptionIds: [subscriptionId] }])
    await join(one, 'room')
    await join(two, 'room')
    t.match(await ask(two, 'publish', { channel: 'room', event: 'said', data: 1 }), { ok: true })
    t.match(await one.message('message'), { from: { userId: id } }, 'other clients see the id of the key')

    t.match(await one.request('auth', { token: key }), { ok: true, expiresAt: null }, 'the same key may refresh itself')
    const other = await createApiKey(root, shop.applicationId)
    t.match(await one.request('auth', { token: other.key }), { ok: false, code: 'PERMISSION_DENIED' })
    t.match(await one.request('auth', { token: `${key.slice(0, -1)}-` }), { ok: false, code: 'CREDENTIAL_INVALID' })
    one.close()
    two.close()
  })

  await t.test(`over ${name}, a key of another environment or application is refused`, async t => {
    const shop = await tenant(app)
    const { key } = await createApiKey(root, shop.applicationId, { environment: 'staging' })
    const pinned = await connect(url, { token: key, environment: 'staging' })
    t.match(await pinned.request('join', { channel: 'room' }), { ok: true })
    pinned.close()
    const refused = async (options: object) => {
      try {
        return await (await connect(url, { token: key, ...options })).closed
      } catch (error) {
        return (error as { data: object }).data
      }
    }
    for (
      const [options, code] of [
        [{ environment: 'production' }, 'ENVIRONMENT_FORBIDDEN'],
        [{ applicationId: (await tenant(app)).applicationId }, 'APPLICATION_FORBIDDEN'],
        [{ token: `${key.slice(0, -1)}-` }, 'CREDENTIAL_INVALID']
      ] as const
    ) t.match(await refused(options), name === '/ws' ? { code: 4401 } : { code })
  })

  for (const [where, node] of [['here', app], ['on another node', otherNode]] as const) {
    await t.test(`over ${name}, what ends or narrows a key ${where} ends or narrows its sockets`, async t => {
      const shop = await tenant(app)
      const { applicationId } = shop
      const topic = await shop.topic('watched.events')
      const rules = requests(node, root.token)
      const enter = async (...roles: Parameters<typeof person>[1][]) => {
        const creator = await person(app, ...roles)
        const made = await createApiKey(creator, applicationId, { permissions: ['topics:read', 'subscribe'] })
        return { creator, ...made, socket: await connect(url, { token: made.key }) }
      }
      const ended = await enter('admin')
      const orphaned = await enter('admin')
      const barred = await enter(['admin', applicationId])
      const narrowed = await enter('admin')
      const spared = await enter('admin')
      t.equal((await removeKey(node, ended.id, applicationId)).status, 204)
      t.equal((await rules.remove(`/api/users/${orphaned.creator.id}`)).status, 204)
      t.equal((await rules.remove(`/api/users/${barred.creator.id}/roles/role_admin`)).status, 204)
      for (const { socket } of [ended, orphaned, barred]) t.match(await socket.closed, revoked)
      for (const { key } of [ended, orphaned, barred]) {
        await eventually(async () => (await requests(app, `Bearer ${key}`).get('/api/topics')).status === 401)
      }

      const { subscriptionId } = await narrowed.socket.request('subscribe', { topic })
      const { body: role } = await root.post('/api/roles', {
        name: `less-${Math.random().toString(36).slice(2)}`, permissions: [{ resource: 'topics', action: 'read' }]
      })
      await rules.post(`/api/users/${narrowed.creator.id}/roles`, { roleId: role.id })
      await rules.remove(`/api/users/${narrowed.creator.id}/roles/role_admin`)
      t.match(await narrowed.socket.message('resync'), { subscriptionId, topic, code: 'PERMISSION_DENIED' })
      t.match(await narrowed.socket.request('subscribe', { topic }), { ok: false, code: 'PERMISSION_DENIED' })
      await rules.post(`/api/users/${narrowed.creator.id}/roles`, { roleId: 'role_admin' })
      await eventually(async () => (await narrowed.socket.request('subscribe', { topic })).ok)

      await spared.socket.request('subscribe', { topic })
      await shop.publish(topic, 1)
      await spared.socket.received(1)
      t.equal((await rules.remove(`/api/applications/${applicationId}?force=true`)).status, 204)
      for (const { socket } of [narrowed, spared]) {
        t.match(await socket.closed, { code: 4410, reason: 'APPLICATION_DELETED' })
      }
      await eventually(async () => (await requests(app, `Bearer ${spared.key}`).get('/api/topics')).status === 401)
    })
  }

  await t.test(`over ${name}, a socket closes when its key expires`, async t => {
    const shop = await tenant(app)
    const { key } = await createApiKey(root, shop.applicationId, { expiresAt: Date.now() + 3000 })
    const socket = await connect(url, { token: key })
    t.match(await socket.closed, { code: 4402, reason: 'CREDENTIAL_EXPIRED' })
  })
}

await t.test('/ws accepts a key in its URL and in the first frame', async t => {
  const shop = await tenant(app)
  const { key } = await createApiKey(root, shop.applicationId)
  const socket = `${url.replace(/^http/, 'ws')}/ws`
  const inUrl = new WebSocket(`${socket}?token=${key}`)
  t.match(JSON.parse(String((await once(inUrl, 'message'))[0])), { type: 'authenticated', expiresAt: null })
  inUrl.close()
  const inFrame = new WebSocket(socket)
  await once(inFrame, 'open')
  inFrame.send(JSON.stringify({ type: 'auth', token: key }))
  t.match(JSON.parse(String((await once(inFrame, 'message'))[0])), {
    type: 'authenticated', applicationId: shop.applicationId, expiresAt: null
  })
  inFrame.close()
})

await t.test('a trace stream ends with its key, and when its creator may no longer read traces', async t => {
  const shop = await tenant(app)
  const creator = await person(app, ['admin', shop.applicationId])
  const permissions = ['debugger:read', 'topics:read']
  const made = async () => await createApiKey(creator, shop.applicationId, { permissions })
  const [ended, narrowed] = [await made(), await made()]
  const streams = await Promise.all([ended, narrowed].map(({ key }) => follow(url, shop, '', {}, key)))
  t.same(streams.map(({ status }) => status), [200, 200])
  t.equal((await removeKey(app, ended.id, shop.applicationId)).status, 204)
  await streams[0]?.closed
  t.match(streams[0]?.messages.at(-1), { event: 'closing', data: revoked })
  const { body: role } = await root.post('/api/roles', {
    name: 'only-topics', permissions: [{ resource: 'topics', action: 'read' }]
  })
  await root.post(`/api/users/${creator.id}/roles`, { roleId: role.id })
  await root.remove(`/api/users/${creator.id}/roles/role_admin`)
  await streams[1]?.closed
  t.match(streams[1]?.messages.at(-1), { event: 'closing', data: revoked })
})

await t.test('a socket that opens during a revocation is closed', async t => {
  const shop = await tenant(app)
  const [slipped, other] = await Promise.all([1, 2].map(async () => {
    const { key, id } = await createApiKey(root, shop.applicationId)
    return { id, socket: await connectWs(url, { token: key }) }
  }))
  // Deleted behind the server's back, as if the key was read before the deletion and the socket opened after it.
  await app.db.deleteFrom('api_keys').where('id', '=', slipped?.id ?? '').execute()
  t.match(await slipped?.socket.closed, revoked)
  t.match(await other?.socket.request('join', { channel: 'room' }), { ok: true })
  other?.socket.close()
})
