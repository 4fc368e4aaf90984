import t from 'tap'
import { insertUser } from '../../../src/identity/auth/users.ts'
import { build, listen } from '../../support/build.ts'
import { transports } from '../../support/clients.ts'
import { tenant } from '../../support/tenant.ts'

/* An open socket when its credential changes or ends. */

const { app } = await build(t)
const url = await listen(app)

await t.test('a socket closes after its token expires, unless it gets a fresh one for the same subject', async t => {
  // Both transports at once, because each has to wait.
  await Promise.all(transports.map(async ({ name, connect }) => {
    const shop = await tenant(app)
    const topic = await shop.topic('ending.events')
    const expiresInS = 10
    const [left, kept] = [
      await connect(url, { token: shop.token(['client'], { expiresInS }) }),
      await connect(url, { token: shop.token(['client'], { expiresInS }) })
    ]
    const since = Date.now()
    const { subscriptionId } = await kept.request('subscribe', { topic })
    t.match(await kept.request('auth', { token: 'nonsense' }), {
      ok: false, error: 'UnauthorizedError', code: 'CREDENTIAL_INVALID'
    })
    t.match(await kept.request('auth', { token: shop.token(['client'], { subject: 'another' }) }), {
      ok: false, code: 'PERMISSION_DENIED'
    })
    t.match(await kept.request('auth', { token: (await tenant(app)).token(['client']) }), {
      ok: false, code: 'PERMISSION_DENIED'
    })
    const { expiresAt = 0 } = await kept.request('auth', { token: shop.token(['client'], { expiresInS: 60 }) })
    t.ok(expiresAt > since + 50_000)
    t.match(await left.closed, { code: 4402, reason: 'CREDENTIAL_EXPIRED' }, name)
    const elapsedMs = Date.now() - since
    t.ok(elapsedMs > 900, `${name}: not before, after ${elapsedMs} ms`)
    await shop.publish(topic, 1)
    t.match(await kept.received(1), [{ offset: 1, subscriptionIds: [subscriptionId] }])
    kept.close()
  }))
})

for (const { name, connect } of transports) {
  await t.test(`over ${name}`, async t => {
    const shop = await tenant(app)

    await t.test('a narrower token ends the subscriptions that it does not cover, with resync', async t => {
      const [a, b] = [await shop.topic('narrow.a'), await shop.topic('narrow.b')]
      const client = await connect(url, { token: shop.token(['subscribe:narrow.**']) })
      const onA = await client.request('subscribe', { topic: a })
      const onB = await client.request('subscribe', { topic: b })
      await client.request('auth', { token: shop.token(['subscribe:narrow.b']) })
      t.match(await client.message('resync'), {
        subscriptionId: onA.subscriptionId, topic: a, code: 'PERMISSION_DENIED'
      })
      await shop.publish(a, 1)
      await shop.publish(b, 1)
      t.match(await client.received(1), [{ topic: b, subscriptionIds: [onB.subscriptionId] }])
      t.match(await client.request('subscribe', { topic: a }), { ok: false, code: 'PERMISSION_DENIED' })
      t.equal(client.messages.filter(message => message.name === 'resync').length, 1)
      client.close()
    })

    await t.test('a subscribe in progress while the token narrows is refused', async t => {
      const topic = await shop.topic('racing.events')
      for (let i = 0; i < 20; i++) {
        const client = await connect(url, { token: shop.token(['subscribe:racing.**']) })
        const [subscribed] = await Promise.all([
          client.request('subscribe', { topic: i % 2 === 0 ? topic : 'racing.*' }),
          client.request('auth', { token: shop.token(['subscribe:other.**']) })
        ])
        const resync = subscribed.ok ? await client.message('resync') : undefined
        t.ok(!subscribed.ok || resync !== undefined)
        client.close()
      }
    })

    await t.test('a logout closes its own sockets at once', async t => {
      const topic = await shop.topic('session.events')
      const user = await insertUser(app.db, {
        name: 'Ada', email: `ada-${name.length}@example.com`, passwordHash: 'x', passwordSetBy: 'other'
      })
      await app.db.insertInto('role_assignments').values({
        user_id: user?.id ?? '', role_id: 'role_super_admin', application_id: null
      }).execute()
      const [one, two] = await Promise.all(
        [1, 2].map(() => app.sessions.create(user?.id ?? '', { address: undefined, userAgent: undefined }))
      )
      const options = { applicationId: shop.applicationId }
      const [left, stays] = [
        await connect(url, { token: one?.token ?? '', ...options }),
        await connect(url, { token: two?.token ?? '', ...options })
      ]
      t.match(await left.request('subscribe', { topic }), { ok: true })
      t.match(await stays.request('subscribe', { topic }), { ok: true })
      const { statusCode } = await app.inject({
        method: 'POST', url: '/api/auth/logout', headers: { authorization: one?.token ?? '' }
      })
      t.equal(statusCode < 300, true)
      t.match(await left.closed, { code: 4403, reason: 'CREDENTIAL_REVOKED' })
      await shop.publish(topic, 1)
      await stays.received(1)
      stays.close()
    })

    await t.test('a revoked key closes the sockets of its tokens at once, and only theirs', async t => {
      const old = await connect(url, { token: shop.token() })
      const revoked = app.signingKeys.active?.id ?? ''
      await app.db.updateTable('signing_keys').set({
        active: false, deactivated_at: Date.now(), revoked_at: Date.now()
      }).where('id', '=', revoked).execute()
      await app.signingKeys.ensure()
      t.match(await old.closed, { code: 4403, reason: 'CREDENTIAL_REVOKED' })
      const fresh = await connect(url, { token: shop.token() })
      t.match(await fresh.request('subscribe', { topic: 'ending.*' }), { ok: true })
      fresh.close()
    })
  })
}
