import t from 'tap'
import { build, listen, unpinged } from '../support/build.ts'
import { transports } from '../support/clients.ts'
import { ask, join, messagesOf, presenceOf } from '../support/room.ts'
import { tenant } from '../support/tenant.ts'
import { until } from '../support/waiting.ts'

t.setTimeout(600_000)

const { app } = await build(t, {
  adapt ({ delivery }) {
    Object.assign(delivery, unpinged, { socketBufferBytesMax: 256 * 1024 })
  }
})
const url = await listen(app)

for (const { name, connect } of transports) {
  await t.test(`a member that does not read is given up within its limit, others are unaffected (${name})`, async t => {
    // Shorter than the grace period: the leave below comes after the connection is closed.
    app.config.delivery.drainTimeoutMs = 1000
    const shop = await tenant(app)
    await shop.request('PATCH', `/api/applications/${shop.applicationId}`, { presenceGraceMs: 3000 })
    const [sender, fast, slow] = await Promise.all(
      ['sender', 'fast', 'slow'].map(subject => connect(url, { token: shop.token(['admin'], { subject }) }))
    )
    if (sender === undefined || fast === undefined || slow === undefined) throw new Error('no clients')
    for (const client of [fast, slow]) await join(client, 'room')
    await join(slow, 'other')
    slow.pause()
    const data = 'x'.repeat(50_000)
    const delivered: number[] = []
    for (let n = 0; n < 200; n++) {
      delivered.push((await ask(sender, 'publish', { channel: 'room', event: 'n', data: { n, data } })).delivered)
    }
    await until(() => messagesOf(fast).length === 200, 'every message')
    t.same(messagesOf(fast).map(({ data }) => (data as { n: number }).n), delivered.map((_, n) => n))
    t.equal(delivered[0], 2)
    t.equal(delivered.at(-1), 1, 'a message that it does not accept is not counted')
    await until(
      () => presenceOf(fast).some(({ action, member }) => action === 'leave' && member.userId === 'slow'),
      'the leave after the grace period'
    )
    slow.resume()
    await slow.closed
    const got = messagesOf(slow).map(({ data }) => (data as { n: number }).n)
    t.same(got, got.map((_, n) => n), 'the messages it got have no gap')
    t.ok(got.length < 200)
    await until(() => app.channels.directory.connectionCount(shop.scope) === 2, 'its end')
    t.match((await shop.request('GET', '/api/socket/channels')).body, [{ name: 'room', memberCount: 1 }])
    for (const client of [sender, fast]) client.close()
  })

  await t.test(`a member that reads again in time gets resync and rejoins, unnoticed by others (${name})`, async t => {
    app.config.delivery.drainTimeoutMs = 10_000
    const shop = await tenant(app)
    await shop.request('PATCH', `/api/applications/${shop.applicationId}`, { presenceGraceMs: 30_000 })
    const [sender, fast, slow] = await Promise.all(
      ['sender', 'fast', 'slow'].map(subject => connect(url, { token: shop.token(['admin'], { subject }) }))
    )
    if (sender === undefined || fast === undefined || slow === undefined) throw new Error('no clients')
    for (const client of [fast, slow]) await join(client, 'room')
    await until(() => presenceOf(fast).length === 1, 'the join')
    slow.pause()
    const data = 'x'.repeat(50_000)
    for (let last = 2; last === 2;) {
      last = (await ask(sender, 'publish', { channel: 'room', event: 'n', data })).delivered
    }
    slow.resume()
    t.match(await slow.message('resync'), { channel: 'room', code: 'SLOW_CONSUMER' })
    t.match(await ask(slow, 'presence', { channel: 'room', state: 1 }), { code: 'NOT_A_MEMBER' })
    t.equal((await join(slow, 'room')).answer.members.length, 2)
    t.match(await ask(sender, 'publish', { channel: 'room', event: 'n', data: 1 }), { delivered: 2 })
    await until(() => presenceOf(fast).length === 2, 'the update')
    t.same(presenceOf(fast).map(({ action }) => action), ['join', 'update'])
    t.notOk('previousSocketId' in (presenceOf(fast)[1]?.member ?? {}))
    for (const client of [sender, fast, slow]) client.close()
  })
}
