import t from 'tap'
import type { ChannelMember } from '../../schemas/channels.ts'
import { build, listen } from '../support/build.ts'
import { transports, type Client } from '../support/clients.ts'
import { ask, idOf, join, messagesOf, presenceOf } from '../support/room.ts'
import { tenant, type Tenant } from '../support/tenant.ts'
import { pace, until } from '../support/waiting.ts'

const { app } = await build(t, {
  adapt: config => {
    config.delivery.requestsPerSecond = config.delivery.bytesPerSecond = 0
  }
})
const url = await listen(app)
const upTo = (last: number, first = 1) => Array.from({ length: last - first + 1 }, (_, i) => first + i)
/** A request whose answer follows every message that the connection got before it. */
const inOrder = (client: Client) => ask(client, 'leave', { channel: 'no member of it' })

const setGrace = async (shop: Tenant, presenceGraceMs: number) => {
  const { status, text } = await shop.request('PATCH', `/api/applications/${shop.applicationId}`, { presenceGraceMs })
  if (status !== 200) throw new Error(text)
}
const membersBy = async (shop: Tenant, channel: string) =>
  (await shop.request('GET', `/api/socket/channels/${encodeURIComponent(channel)}/members?limit=1000`))
    .body as ChannelMember[]

for (const { name, connect } of transports) {
  await t.test(`over ${name}`, async t => {
    const shop = await tenant(app)
    const clients: Client[] = []
    t.teardown(() => { for (const client of clients) client.close() })
    const open = async (subject: string) => {
      const client = await connect(url, { token: shop.token(['admin'], { subject }) })
      clients.push(client)
      return client
    }

    await t.test('a member that returns within the grace period has not left', async t => {
      await setGrace(shop, 10_000)
      const watcher = await open('watcher')
      const seen = await join(watcher, 'room')
      for (const end of ['cut', 'close'] as const) {
        const first = await open('ann')
        const before = (await join(first, 'room', { state: { n: 1 } })).answer.members.find(({ userId }) =>
          userId === 'ann'
        )
        await until(() => presenceOf(watcher).at(-1)?.action === 'join', 'the join')
        const told = presenceOf(watcher).length
        first[end]()
        await first.closed
        await until(() => app.channels.directory.connectionCount(shop.scope) === 1, 'the end')
        t.equal((await membersBy(shop, 'room')).length, 2, 'an away member counts')
        const second = await open('ann')
        const { answer } = await join(second, 'room', end === 'cut' ? {} : { state: { n: 2 } })
        t.equal(answer.members.length, 2, 'the member counts once')
        await until(() => presenceOf(watcher).length > told, 'the update')
        await inOrder(watcher)
        t.match(presenceOf(watcher).slice(told), [{
          action: 'update',
          member: {
            userId: 'ann', previousSocketId: before?.socketId, joinedAt: before?.joinedAt,
            state: { n: end === 'cut' ? 1 : 2 }
          }
        }])
        t.equal(presenceOf(watcher).length, told + 1)
        t.same(seen.view(), (await membersBy(shop, 'room')).sort((a, b) => a.socketId < b.socketId ? -1 : 1))
        await ask(watcher, 'publish', { channel: 'room', event: 'e', data: end })
        await until(() => messagesOf(second).length === 1, 'a message to the new connection')
        await ask(second, 'leave', { channel: 'room' })
        await until(() => presenceOf(watcher).at(-1)?.action === 'leave', 'an explicit leave, at once')
        second.close()
        await second.closed
      }
    })

    await t.test('a member that does not return leaves when the grace period is over, not before', async t => {
      await setGrace(shop, 300)
      const [watcher, ann] = [await open('watcher'), await open('ann')]
      await join(watcher, 'later')
      await join(ann, 'later')
      ann.cut()
      const since = Date.now()
      await until(() => presenceOf(watcher, 'later').some(({ action }) => action === 'leave'), 'the leave')
      t.ok(Date.now() - since >= 290, `${Date.now() - since} ms`)
      t.same((await membersBy(shop, 'later')).map(({ userId }) => userId), ['watcher'])
      const again = await open('ann')
      await join(again, 'later')
      await until(() => presenceOf(watcher, 'later').length === 3, 'the join')
      t.same(presenceOf(watcher, 'later').map(({ action }) => action), ['join', 'leave', 'join'])
      await setGrace(shop, 0)
      again.cut()
      await until(() => presenceOf(watcher, 'later').length === 4, 'the leave at once')
    })

    await t.test('with previousSocketId a client takes over its member before the old connection ends', async t => {
      const [watcher, old, other] = [await open('watcher'), await open('ann'), await open('bob')]
      for (const client of [watcher, old, other]) await join(client, 'half')
      const [again, previousSocketId] = [await open('ann'), idOf(old)]
      t.equal((await join(again, 'half', { previousSocketId })).answer.members.length, 3)
      t.match(await old.message('resync'), { channel: 'half', code: 'NOT_A_MEMBER' })
      old.cut()
      await until(() => presenceOf(watcher, 'half').length === 3, 'the update')
      t.match(presenceOf(watcher, 'half')[2], { action: 'update', member: { userId: 'ann', previousSocketId } })
      const thief = await open('ann')
      t.equal(
        (await join(thief, 'half', { previousSocketId: idOf(other) })).answer.members.length, 4,
        'the member of another user is not taken over'
      )
      t.equal((await join(other, 'half')).answer.members.length, 4)
    })

    await t.test('a fresh token that covers less ends the memberships that it does not cover', async t => {
      const watcher = await open('watcher')
      const ann = await connect(url, { token: shop.token(['client'], { subject: 'ann' }) })
      clients.push(ann)
      for (const channel of ['doc:board:x', 'plain']) {
        await join(watcher, channel)
        await join(ann, channel)
      }
      t.match(await ask(ann, 'auth', { token: shop.token(['subscribe'], { subject: 'ann' }) }), { ok: true })
      t.match(await ann.message('resync'), { channel: 'doc:board:x', code: 'PERMISSION_DENIED' })
      await until(() => presenceOf(watcher, 'doc:board:x').at(-1)?.action === 'leave', 'the leave')
      t.match(await ask(ann, 'presence', { channel: 'plain', state: 1 }), { ok: true })
      t.match(await ask(ann, 'auth', { token: shop.token(['publish'], { subject: 'ann' }) }), { ok: true })
      await until(() => presenceOf(watcher, 'plain').at(-1)?.action === 'leave', 'the leave')
    })

    await t.test('the presence of a document is that of its channel', async t => {
      await shop.request('POST', '/api/sync/board/documents', { id: 'one:a', data: {} })
      const path = '/api/sync/board/documents/one:a/presence'
      t.match(await shop.request('GET', path), { status: 200, body: [] })
      const ann = await open('ann')
      await join(ann, 'doc:board:one:a', { state: { cursor: 3 } })
      t.match(await shop.request('GET', path), { status: 200, body: [{ userId: 'ann', state: { cursor: 3 } }] })
      t.match(await shop.request('GET', '/api/sync/board/documents/none/presence'), {
        status: 404, body: { code: 'DOCUMENT_NOT_FOUND' }
      })
      t.match(await shop.request('GET', path, undefined, { 'x-environment': 'staging' }), { status: 404 })
      t.match(await (await tenant(app)).request('GET', path), { status: 404 })
      t.match(await shop.request('GET', `${path}?limit=0`), { status: 400 })
      t.match(await shop.request('GET', path, undefined, { authorization: `Bearer ${shop.token(['subscribe'])}` }), {
        status: 403
      })
      t.match(await shop.request('GET', path, undefined, { authorization: 'Bearer x' }), { status: 401 })
      await shop.request('DELETE', '/api/sync/board/documents/one:a')
      t.match(await shop.request('GET', path), { status: 404 })
    })
  })
}

await t.test('another tab of the same user takes over an away member, another user does not', async t => {
  // Both transports at once, because each has to wait.
  await Promise.all(transports.map(async ({ name, connect }) => {
    const shop = await tenant(app)
    await setGrace(shop, 8000)
    const open = async (subject: string) => await connect(url, { token: shop.token(['admin'], { subject }) })
    const [watcher, tab1, tab2] = [await open('watcher'), await open('ann'), await open('ann')]
    for (const client of [watcher, tab1, tab2]) await join(client, 'tabs')
    tab1.cut()
    tab2.cut()
    await until(
      () =>
        [...app.channels.directory.channel(shop.scope, 'tabs')?.members.values() ?? []].filter(({ connection }) =>
          connection === undefined
        ).length === 2,
      'two waiting'
    )
    const [tab3, bob] = [await open('ann'), await open('bob')]
    await join(bob, 'tabs')
    await join(tab3, 'tabs')
    await until(
      () => presenceOf(watcher, 'tabs').some(({ action }) => action === 'leave'), 'the leave of the other tab'
    )
    await until(async () => (await membersBy(shop, 'tabs')).length === 3, 'the members that stay')
    await inOrder(watcher)
    t.same(presenceOf(watcher, 'tabs').map(({ action, member }) => `${member.userId} ${action}`), [
      'ann join',
      'ann join',
      'bob join',
      'ann update',
      'ann leave'
    ], name)
    t.same((await membersBy(shop, 'tabs')).map(({ userId }) => userId).sort(), ['ann', 'bob', 'watcher'], name)
    for (const client of [watcher, tab3, bob]) client.close()
  }))
})

await t.test('the grace period is a setting of the application', async t => {
  const shop = await tenant(app)
  const path = `/api/applications/${shop.applicationId}`
  t.match((await shop.request('GET', path)).body, { presenceGraceMs: 3000 })
  for (const presenceGraceMs of [-1, 60_001, 1.5, '5', null]) {
    t.match(await shop.request('PATCH', path, { presenceGraceMs }), { status: 400 }, String(presenceGraceMs))
  }
  for (const presenceGraceMs of [0, 60_000]) {
    t.match(await shop.request('PATCH', path, { presenceGraceMs }), { status: 200, body: { presenceGraceMs } })
    t.equal(await app.gracePeriods.of(shop.applicationId), presenceGraceMs)
  }
  t.match((await shop.request('PATCH', path, { name: 'Other' })).body, { presenceGraceMs: 60_000 })
})

const seconds = Number(process.env['PRESENCE_SECONDS'] ?? 6)
await t.test(`200 clients that join, update, drop and rejoin at random for ${seconds} s agree afterwards`, async t => {
  const shop = await tenant(app)
  await setGrace(shop, 1000)
  const tokens = upTo(200).map(n => shop.token(['admin'], { subject: `u${n % 150}` }))
  const end = Date.now() + seconds * 1000
  const counts = { join: 0, update: 0, leave: 0, cut: 0, close: 0 }
  // A busy machine does not get far in the time.
  const isEnough = () => Date.now() >= end && counts.cut + counts.close > 50
  const survivors = await Promise.all(tokens.map(async (token, n) => {
    const { connect } = transports[n % 2] as typeof transports[number]
    await pace(Math.random() * 1000)
    let client: Client | undefined
    let room: Awaited<ReturnType<typeof join>> | undefined
    while (!isEnough() || room === undefined) {
      client ??= await connect(url, { token })
      const dice = Math.random()
      if (room === undefined) {
        room = await join(client, 'crowd', dice < 0.5 ? { state: { n, dice } } : {})
        counts.join++
      } else if (dice < 0.5) {
        await room.update({ n, dice })
        counts.update++
      } else if (dice < 0.6) {
        await ask(client, 'leave', { channel: 'crowd' })
        room = undefined
        counts.leave++
      } else {
        const how = dice < 0.9 ? 'cut' : 'close'
        counts[how]++
        client[how]()
        await client.closed
        client = undefined
        room = undefined
        // Some return within the grace period, some after it; some reconnect before the others notice.
        if (Math.random() < 0.3) await pace(Math.random() * 2000)
      }
      await pace(200 + Math.random() * 600)
    }
    return room
  }))
  const truth = async () =>
    JSON.stringify((await membersBy(shop, 'crowd')).sort((a, b) => a.socketId < b.socketId ? -1 : 1))
  const differing = async () => {
    const wanted = await truth()
    return survivors.filter(room => JSON.stringify(room.view()) !== wanted).length
  }
  await until(
    async () => (await membersBy(shop, 'crowd')).length === 200 && await differing() === 0, 'all clients to agree'
  )
  t.comment(JSON.stringify(counts))
  t.same((await shop.request('GET', '/api/socket/channels')).body, [{ name: 'crowd', memberCount: 200 }])
  for (const { client } of survivors) client.close()
})
