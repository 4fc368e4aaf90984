import t from 'tap'
import { transports, type Client } from '../support/clients.ts'
import { nodeLinks } from '../support/node-links.ts'
import { ask, idOf, join, messagesOf, presenceOf } from '../support/room.ts'
import { tenant } from '../support/tenant.ts'
import { until } from '../support/waiting.ts'
import { acquainted, startNodes } from '../support/nodes.ts'

/* Channels over three nodes: a member on one node is a member for all. */

const upTo = (last: number, first = 1) => Array.from({ length: last - first + 1 }, (_, i) => first + i)
const links = await nodeLinks(t)

for (const link of links) {
  await t.test(`channels over nodes, over ${link.name}`, async t => {
  // Waits for other nodes however late they answer.
    const nodes = await startNodes(t, link, 3, { adapt: config => { config.cluster.answerMs = 10_000 } })
    await acquainted(nodes)
    const [one, two] = nodes
    const three = nodes[2] as typeof one
    let shop = await tenant(one.app)
    t.beforeEach(async () => { shop = await tenant(one.app) })
    const clients: Client[] = []
    t.teardown(() => { for (const client of clients) client.close() })
    let opened = 0
    const open = async (node: { url: string }, subject: string) => {
      const { connect } = transports[opened++ % 2] as typeof transports[number]
      const client = await connect(node.url, { token: shop.token(['admin'], { subject }) })
      clients.push(client)
      return client
    }
    const leaveAll = async () => {
      for (const client of clients) client.close()
      await Promise.all(clients.splice(0).map(({ closed }) => closed))
    }
    const by = (node: typeof one) => async (method: 'GET' | 'POST', url: string, payload?: object, headers = {}) => {
      const answer = await node.app.inject({
        method,
        url,
        headers: { authorization: `Bearer ${shop.token()}`, ...headers },
        ...(payload !== undefined && { payload })
      })
      return { status: answer.statusCode, headers: answer.headers, body: answer.json<unknown>() }
    }

    await t.test('a message published on any node reaches every member once, in the order of its sender', async t => {
      const members = await Promise.all(nodes.flatMap((node, n) => upTo(3).map(m => open(node, `m${n}${m}`))))
      for (const member of members) await join(member, 'all')
      await until(
        () => nodes.every(({ app }) => app.channels.directory.channel(shop.scope, 'all')?.members.size === 9),
        'every node to have all members'
      )
      const senders = await Promise.all(nodes.map((node, n) => open(node, `s${n}`)))
      const answers = await Promise.all(
        senders.flatMap(sender => upTo(100).map(n => ask(sender, 'publish', { channel: 'all', event: 'n', data: n })))
      )
      t.ok(answers.every(({ ok, delivered }) => ok && delivered === 9), 'each answer counts receivers on all nodes')
      for (const member of members) {
        await until(() => messagesOf(member).length >= 300, '300 messages')
        for (const sender of senders) {
          t.same(
            messagesOf(member).filter(({ from }) => from.socketId === idOf(sender)).map(({ data }) => data), upTo(100)
          )
        }
      }
      const own = members[0] as Client
      t.match(
        await ask(own, 'publish', { channel: 'all', event: 'own', data: 0 }), { delivered: 8 },
        'a sender that is a member does not count'
      )
      await until(() => members.slice(1).every(member => messagesOf(member).length === 301), 'the last')
      t.equal(messagesOf(own).length, 300)
      t.same(
        await one.app.db.selectFrom('events').select('id').where('application_id', '=', shop.applicationId).execute(),
        [],
        'nothing is stored in the database'
      )
      await leaveAll()
    })

    await t.test('REST on any node covers all nodes', async t => {
      const channel = 'chat:room 1/ü'
      const members = await Promise.all(nodes.flatMap((node, n) => upTo(2).map(m => open(node, `r${n}${m}`))))
      for (const [n, member] of members.entries()) await join(member, channel, { state: { n } })
      await until(
        () => nodes.every(({ app }) => app.channels.directory.channel(shop.scope, channel)?.members.size === 6),
        'every node to have all members'
      )
      for (const [n, node] of nodes.entries()) {
        const request = by(node)
        t.match(await request('GET', '/api/socket/channels'), {
          status: 200, body: [{ name: channel, memberCount: 6 }]
        })
        const listed = await request('GET', `/api/socket/channels/${encodeURIComponent(channel)}/members`)
        const found = listed.body as { socketId: string, joinedAt: number, state: { n: number } }[]
        t.same(
          found.map(({ socketId, state }) => `${socketId} ${state.n}`).sort(),
          members.map((member, n) => `${idOf(member)} ${n}`).sort()
        )
        t.ok(found.every(({ joinedAt }, i) => i === 0 || joinedAt >= (found[i - 1]?.joinedAt ?? 0)), 'oldest first')
        const counted = await request('GET', '/api/socket/connections')
        t.match(counted, { status: 200, body: { count: 6 } })
        t.notOk('x-nodes-missing' in counted.headers)
        t.match(await request('POST', '/api/socket/broadcast', { channel, event: 'news', data: n }), {
          status: 200, body: { delivered: 6 }
        })
        const once = () =>
          request('POST', '/api/socket/broadcast', { channel, event: 'once', data: n }, { 'idempotency-key': `k${n}` })
        t.same(
          (await Promise.all(upTo(3).map(once))).map(({ body }) => body), Array(3).fill({ delivered: 6 }),
          'with an idempotency key, every node gives the first answer'
        )
      }
      const [first] = members as [Client]
      for (const member of members) {
        await until(() => messagesOf(member).length === 6, 'six messages')
        t.same(messagesOf(member).map(({ event, data }) => `${event} ${data as number}`).sort(), [
          'news 0',
          'news 1',
          'news 2',
          'once 0',
          'once 1',
          'once 2'
        ])
      }
      const left = idOf(first)
      first.cut()
      await until(() =>
        nodes.every(({ app }) => {
          const everybody = app.channels.directory.channel(shop.scope, channel)
          const member = everybody?.members.get(left)
          return member !== undefined && everybody?.isAway(member)
        }), 'one connection to end')
      t.match((await by(two)('POST', '/api/socket/broadcast', { channel, event: 'news', data: 9 })).body, {
        delivered: 5
      }, 'an away member gets nothing')
      t.match((await by(three)('GET', '/api/socket/channels')).body, [{ memberCount: 6 }], 'but is still a member')
      await leaveAll()
      await until(
        () => nodes.every(({ app }) => app.channels.directory.channel(shop.scope, channel) === undefined),
        'the empty channel to be removed'
      )
    })

    await t.test('a direct message reaches a socket of another node, in order', async t => {
      const [ann, bob] = [await open(one, 'ann'), await open(two, 'bob')]
      const answers = await Promise.all(
        upTo(50).map(n => ask(ann, 'direct', { socketId: idOf(bob), event: 'psst', data: n }))
      )
      t.ok(answers.every(({ delivered }) => delivered === 1))
      await until(() => messagesOf(bob).length === 50, 'the messages')
      t.same(messagesOf(bob).map(({ data }) => data), upTo(50))
      t.match(messagesOf(bob)[0], { event: 'psst', from: { socketId: idOf(ann), userId: 'ann' } })
      t.match(await ask(ann, 'direct', { socketId: 'conn_none', event: 'psst', data: 0 }), {
        ok: false, code: 'SOCKET_NOT_FOUND'
      })
      t.match(await ask(ann, 'direct', { socketId: `${idOf(bob)}\n{"event":"forged"}`, event: 'psst', data: 0 }), {
        ok: false,
        code: 'SOCKET_NOT_FOUND'
      })
      const stranger = await tenant(one.app)
      const eve = await transports[0]?.connect(three.url, { token: stranger.token() }) as Client
      clients.push(eve)
      t.match(await ask(eve, 'direct', { socketId: idOf(bob), event: 'psst', data: 0 }), {
        ok: false, code: 'SOCKET_NOT_FOUND'
      }, 'another tenant cannot reach it')
      const left = idOf(bob)
      bob.close()
      await bob.closed
      await until(() => two.app.channels.directory.connectionCount(shop.scope) === 0, 'its end')
      t.match(await ask(ann, 'direct', { socketId: left, event: 'psst', data: 0 }), {
        ok: false, code: 'SOCKET_NOT_FOUND'
      }, 'it is not found once it has gone')
      t.equal(messagesOf(bob).length, 50)
      await leaveAll()
    })

    await t.test('members on several nodes see each other join, update and leave', async t => {
      const [ann, bob] = [await open(one, 'ann'), await open(two, 'bob')]
      const anns = await join(ann, 'chat', { state: 1 })
      await until(() => two.app.channels.directory.channel(shop.scope, 'chat') !== undefined, 'the member elsewhere')
      t.match((await join(bob, 'chat')).answer.members, [{ userId: 'ann', state: 1 }, { userId: 'bob' }])
      await ask(bob, 'presence', { channel: 'chat', state: { typing: true } })
      await ask(bob, 'leave', { channel: 'chat' })
      await until(() => presenceOf(ann).length === 3, 'three changes')
      t.match(presenceOf(ann), [
        { action: 'join', member: { socketId: idOf(bob), userId: 'bob', state: null } },
        { action: 'update', member: { state: { typing: true } } },
        { action: 'leave', member: { socketId: idOf(bob) } }
      ])
      t.equal(anns.view().length, 1)
      await leaveAll()
    })

    await t.test('a member that returns on another node within the grace period has not left', async t => {
      await shop.request('PATCH', `/api/applications/${shop.applicationId}`, { presenceGraceMs: 10_000 })
      const watcher = await open(three, 'watcher')
      const seen = await join(watcher, 'back')
      for (const end of ['cut', 'close', 'half'] as const) {
        const first = await open(one, 'ann')
        const joined = await join(first, 'back', { state: { n: end } })
        const before = joined.answer.members.find(({ userId }) => userId === 'ann')
        await until(() => presenceOf(watcher).at(-1)?.action === 'join', 'the join')
        const told = presenceOf(watcher).length
        if (end === 'half') first.pause()
        else first[end]()
        if (end !== 'half') {
          await until(
            () =>
              [...two.app.channels.directory.channel(shop.scope, 'back')?.members.values() ?? []].some(member =>
                two.app.channels.directory.channel(shop.scope, 'back')?.isAway(member)
              ),
            'the absence to reach the node'
          )
        }
        const second = await open(two, 'ann')
        const { answer } = await join(second, 'back', end === 'half' ? { previousSocketId: before?.socketId } : {})
        t.equal(answer.members.length, 2, 'the member counts once')
        await until(() => presenceOf(watcher).length > told, 'the update')
        t.match(presenceOf(watcher).slice(told), [{
          action: 'update',
          member: { userId: 'ann', previousSocketId: before?.socketId, joinedAt: before?.joinedAt, state: { n: end } }
        }])
        await until(
          () => one.app.channels.directory.channel(shop.scope, 'back')?.members.has(before?.socketId ?? '') === false,
          'its old node to release it'
        )
        if (end === 'half') {
          first.resume()
          t.match(await first.message('resync'), { channel: 'back', code: 'NOT_A_MEMBER' })
        }
        t.match(await ask(watcher, 'publish', { channel: 'back', event: 'e', data: end }), { delivered: 1 })
        await until(() => messagesOf(second).length === 1, 'a message to the new connection')
        await ask(second, 'leave', { channel: 'back' })
        await until(() => presenceOf(watcher).length === told + 2, 'the leave, and nothing else')
        t.equal(presenceOf(watcher).at(-1)?.action, 'leave')
      }
      t.equal(seen.view().length, 1)
      await shop.request('PATCH', `/api/applications/${shop.applicationId}`, { presenceGraceMs: 300 })
      const gone = await open(one, 'gone')
      await join(gone, 'back')
      await until(() => presenceOf(watcher).at(-1)?.action === 'join', 'the join')
      gone.cut()
      await until(() => presenceOf(watcher).at(-1)?.action === 'leave', 'the leave of the member that does not return')
      await leaveAll()
    })

    await t.test('a subscription on one node receives the socket events of the others, once', async t => {
      const fresh = shop
      const connect = async (node: typeof one, n: number, subject: string) => {
        const client = await (transports[n] as typeof transports[number]).connect(node.url, {
          token: fresh.token(['admin'], { subject })
        })
        clients.push(client)
        return client
      }
      const [ann, bob] = [await connect(one, 0, 'ann'), await connect(two, 1, 'bob')]
      for (const client of [ann, bob]) await join(client, 'logged')
      for (const [n, pattern] of ['presence.updated', 'socket.**'].entries()) {
        const listener = await connect(three, n, 'listener')
        const sent: Promise<unknown>[] = []
        const answer = await listener.request('subscribe', { topic: pattern }, () => {
          sent.push(
            pattern === 'socket.**'
              ? ask(ann, 'publish', { channel: 'logged', event: 'e', data: n })
              : ask(ann, 'presence', { channel: 'logged', state: n })
          )
        })
        t.ok(answer.ok, JSON.stringify(answer))
        await Promise.all(sent)
        await listener.received(1)
        await ask(bob, 'presence', { channel: 'logged', state: 'again' })
        await ask(bob, 'publish', { channel: 'logged', event: 'e', data: 'again' })
        await listener.received(2)
        const stored = await one.app.db.selectFrom('events').select(['topic', 'offset']).where(
          'application_id', '=', fresh.applicationId
        ).where('topic', 'in', ['socket.message', 'presence.updated']).execute()
        const topics = stored.map(({ topic }) => topic)
        if (n === 0) t.same(topics, ['presence.updated', 'presence.updated'], 'each change is logged once')
        else {
          t.same(
            topics.sort(),
            ['presence.updated', 'presence.updated', 'socket.message', 'socket.message'],
            'each message is logged once'
          )
        }
        listener.close()
        await listener.closed
        await until(
          () => nodes.every(({ app }) => !app.hub.hasListeners(fresh.scope, 'presence.updated')),
          'the subscription to end'
        )
      }
      await leaveAll()
    })
  })
}
