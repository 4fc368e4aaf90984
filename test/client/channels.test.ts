import {
  RealtimeClient, type Channel, type ChannelMessage, type Member, type RealtimeError
} from '@realtime-platform/client'
import { isDeepStrictEqual } from 'node:util'
import t from 'tap'
import { build, listen } from '../support/build.ts'
import { connectWs } from '../support/clients.ts'
import { lossyNetwork } from '../support/lossy-web-socket.ts'
import type { Teardown } from '../support/teardown.ts'
import { tenant, type Tenant } from '../support/tenant.ts'
import { until } from '../support/waiting.ts'

const { app } = await build(t)
const url = await listen(app)

interface Person { name: string }

function connect (t: Teardown, shop: Tenant, options: { permissions?: string[], lingerMs?: number } = {}) {
  const network = lossyNetwork()
  const { permissions, ...rest } = options
  const client = new RealtimeClient({
    url, token: () => shop.token(permissions), WebSocket: network.WebSocket, reconnectionDelay: 20, ...rest
  })
  t.teardown(() => { client.disconnect(); network.close() })
  return { client, network }
}

/** Two who join in the same millisecond are listed by their ids. */
const names = (room: Channel<Person>) => room.members.map(({ state }) => state?.name).sort()

/** Returns the members in the server's list, page by page. */
async function listed (shop: Tenant, channel: string): Promise<Member[]> {
  const members: Member[] = []
  let cursor = ''
  do {
    const path = `/api/socket/channels/${encodeURIComponent(channel)}/members?limit=1000${cursor}`
    const { body, headers } = await shop.request('GET', path)
    members.push(...body as Member[])
    cursor = headers['x-next-cursor'] === undefined ? '' : `&cursor=${String(headers['x-next-cursor'])}`
  } while (cursor !== '')
  return members
}

t.test('members are those of the server, with their states', async t => {
  const shop = await tenant(app)
  const ann = connect(t, shop).client.channel<Person>('chat:1')
  const bob = connect(t, shop).client.channel<Person>('chat:1')
  t.same([ann.status, ann.members, ann.self], ['left', [], undefined])
  await ann.join({ name: 'Ann' })
  t.equal(ann.status, 'joined')
  t.same(ann.self, ann.members[0])
  const leave = await bob.join({ name: 'Bob' })
  await until(() => ann.members.length === 2)
  t.same(names(ann), ['Ann', 'Bob'])
  t.same(ann.members, await listed(shop, 'chat:1'))
  t.same(bob.members, ann.members)

  await bob.setState({ name: 'Bobby' })
  t.same(bob.self?.state, { name: 'Bobby' })
  await until(() => names(ann)[1] === 'Bobby')
  leave()
  t.same([bob.status, bob.members], ['left', []])
  await until(() => ann.members.length === 1)
})

t.test('a snapshot stays the same object until something changes', async t => {
  const shop = await tenant(app)
  const ann = connect(t, shop).client.channel<Person>('chat:1')
  await ann.join({ name: 'Ann' })
  const before = ann.getSnapshot()
  t.equal(ann.getSnapshot(), before)
  let changes = 0
  const off = ann.subscribe(() => changes++)
  await connect(t, shop).client.channel('chat:1').join({ name: 'Bob' })
  await until(() => changes > 0)
  t.not(ann.getSnapshot(), before)
  t.equal(before.members.length, 1, 'an earlier snapshot is not changed')
  off()
})

t.test('messages reach the other members, by their name', async t => {
  const shop = await tenant(app)
  interface Messages { said: { text: string }, waved: null }
  const ann = connect(t, shop).client.channel<Person, Messages>('chat:1')
  const bob = connect(t, shop).client.channel<Person, Messages>('chat:1')
  await Promise.all([ann.join(), bob.join()])
  const said: string[] = []
  const all: string[] = []
  const own: ChannelMessage[] = []
  bob.on('said', ({ data: { text } }) => said.push(text))
  const off = bob.on('*', ({ event }) => all.push(event))
  ann.on('*', message => own.push(message))
  t.same(await ann.publish('said', { text: 'hello' }), { delivered: 1 })
  await ann.publish('waved', null)
  await until(() => all.length === 2)
  t.same([said, all], [['hello'], ['said', 'waved']])
  off()
  await ann.publish('said', { text: 'again' })
  await until(() => said.length === 2)
  t.equal(all.length, 2)
  t.same(own, [], 'a client does not hear itself')
})

t.test('all who use a channel in a client share one membership, which ends after the last', async t => {
  const shop = await tenant(app)
  const { client } = connect(t, shop, { lingerMs: 20 })
  const room = client.channel('chat:1')
  t.equal(client.channel('chat:1'), room)
  const watcher = await connectWs(url, { token: shop.token() })
  t.teardown(() => watcher.close())
  await watcher.request('join', { channel: 'chat:1' })
  const [leave] = await Promise.all([room.join(), room.join(), room.join()])
  t.equal((await listed(shop, 'chat:1')).length, 2)
  leave()
  leave()
  room.leave()
  t.equal(room.status, 'joined')
  room.leave()
  t.equal(room.status, 'left')
  await until(async () => (await listed(shop, 'chat:1')).length === 1)
  const seen = () => watcher.messages.filter(({ name }) => name === 'presence').map(({ body }) => body['action'])
  await until(() => seen().includes('leave'))
  t.same(seen(), ['join', 'leave'])
})

t.test('a channel that is joined again at once is not left', async t => {
  const shop = await tenant(app)
  const ann = connect(t, shop).client.channel('chat:1')
  const bob = connect(t, shop).client.channel('chat:1')
  const seen: number[] = []
  await ann.join()
  ann.subscribe(() => seen.push(ann.members.length))
  for (let i = 0; i < 3; i++) (await bob.join())()
  await bob.join()
  await bob.publish('ready', null)
  await until(() => ann.members.length === 2)
  t.same(new Set(seen), new Set([2]))
})

t.test('an aborted signal ends the wait, and the membership', async t => {
  const shop = await tenant(app)
  const { client } = connect(t, shop, { lingerMs: 0 })
  const room = client.channel('chat:1')
  const early = new AbortController()
  const joined = room.join(undefined, early)
  early.abort(new Error('not now'))
  await t.rejects(joined, { message: 'not now' })
  await t.rejects(room.join(undefined, { signal: AbortSignal.abort(new Error('never')) }), { message: 'never' })
  t.equal(room.status, 'left')
  const late = new AbortController()
  await room.join(undefined, late)
  late.abort()
  t.equal(room.status, 'left')
  await until(async () => (await listed(shop, 'chat:1')).length === 0)
})

t.test('a reconnecting client keeps its place, and brings the latest state', async t => {
  const shop = await tenant(app)
  const ann = connect(t, shop).client.channel<Person>('chat:1')
  const { client, network } = connect(t, shop)
  const bob = client.channel<Person>('chat:1')
  await ann.join({ name: 'Ann' })
  await bob.join({ name: 'Bob' })
  await until(() => ann.members.length === 2)
  const counts: number[] = []
  ann.subscribe(() => counts.push(ann.members.length))
  for (const lose of [network.cut, network.desert]) {
    const { socketId } = client
    let hasWaited = false
    const off = bob.subscribe(() => { hasWaited ||= bob.status === 'joining' })
    lose()
    await until(() => hasWaited)
    off()
    t.equal(bob.members.length, 2, 'the last known members stay')
    const name = `Bob after ${String(socketId)}`
    const set = bob.setState({ name })
    await set
    t.equal(bob.self?.state?.name, name)
    t.not(bob.self?.socketId, socketId)
    await until(() => names(ann)[1] === name)
    t.ok(ann.members.some(member => member.socketId === client.socketId))
  }
  t.ok(counts.every(count => count === 2), 'the others saw no leave')
})

t.test('a refused join rejects with the code of the server', async t => {
  const shop = await tenant(app)
  const { client } = connect(t, shop, { permissions: ['publish'] })
  const room = client.channel('chat:1')
  await t.rejects(room.join(), { name: 'RealtimeError', code: 'PERMISSION_DENIED' })
  t.same([room.status, room.error?.code], ['failed', 'PERMISSION_DENIED'])
  t.same(await room.publish('said', 1), { delivered: 0 })
})

t.test('a membership that a fresh credential does not cover ends with a typed error', async t => {
  const shop = await tenant(app)
  let permissions = ['admin']
  const client = new RealtimeClient({ url, token: async () => shop.token(permissions) })
  t.teardown(() => client.disconnect())
  const errors: RealtimeError[] = []
  client.on('error', error => errors.push(error))
  const room = client.channel('chat:1')
  await room.join()
  permissions = ['publish']
  await client.setToken(async () => shop.token(permissions))
  await until(() => room.status === 'failed')
  t.same([room.error?.code, errors.map(({ code }) => code)], ['PERMISSION_DENIED', ['PERMISSION_DENIED']])
  permissions = ['admin']
  await client.setToken(async () => shop.token(permissions))
  await room.join()
  t.equal(room.status, 'joined')
})

t.test('a state that is too large is refused, and the one before stays', async t => {
  const shop = await tenant(app)
  const { client, network } = connect(t, shop)
  const room = client.channel<Person>('chat:1')
  await t.rejects(room.setState({ name: 'nobody' }), { code: 'NOT_A_MEMBER' })
  await room.join({ name: 'Ann' })
  await t.rejects(room.setState({ name: 'x'.repeat(5000) }), { code: 'VALIDATION_FAILED' })
  t.equal(room.self?.state?.name, 'Ann')
  const before = room.self?.socketId
  network.cut()
  await until(() => room.status === 'joined' && room.self?.socketId !== before)
  t.equal(room.self?.state?.name, 'Ann')
})

t.test('many states in a row cost few requests, and the last one stands', async t => {
  const shop = await tenant(app)
  const ann = connect(t, shop).client.channel<Person>('chat:1')
  const bob = connect(t, shop).client.channel<Person>('chat:1')
  await Promise.all([ann.join(), bob.join()])
  let changes = 0
  ann.subscribe(() => changes++)
  await Promise.all(Array.from({ length: 500 }, (_, i) => bob.setState({ name: `Bob ${i}` })))
  await until(() => ann.members.some(({ state }) => state?.name === 'Bob 499'))
  t.ok(changes < 10, `${changes} changes`)
})

t.test('a channel with more members than an answer holds is listed completely', async t => {
  const shop = await tenant(app)
  // States of 4 kB fill an answer (512 KiB) with some 130 members, and a page of REST (1 MiB) with some 260.
  const state = (name: string) => ({ name, text: 'x'.repeat(4000) })
  const crowd = await Promise.all(Array.from({ length: 320 }, () => connectWs(url, { token: shop.token() })))
  t.teardown(() => { for (const socket of crowd) socket.close() })
  const enter = (from: number, to: number) => Promise.all(crowd.slice(from, to).map((socket, i) =>
    socket.request('join', { channel: 'stadium', state: state(`${from + i}`) })))
  await enter(0, 290)
  let pages = 0
  const changes = [
    () => Promise.all([
      ...crowd.slice(0, 10).map(socket => socket.request('leave', { channel: 'stadium' })),
      ...crowd.slice(280, 290).map(socket => socket.request('leave', { channel: 'stadium' })),
      enter(290, 300)
    ]),
    () => Promise.all([
      ...crowd.slice(10, 20).map(socket => socket.request('presence', { channel: 'stadium', state: state('early') })),
      ...crowd.slice(260, 280).map(socket => socket.request('presence', { channel: 'stadium', state: state('late') })),
      enter(300, 320),
      enter(0, 5)
    ])
  ]
  const client = new RealtimeClient({
    url,
    token: () => shop.token(),
    // Members change before each page is read, and again before it arrives.
    async fetch (url, init) {
      pages++
      await changes.shift()?.()
      const response = await fetch(url, init)
      await changes.shift()?.()
      return response
    }
  })
  t.teardown(() => client.disconnect())
  const room = client.channel('stadium')
  await room.join({ name: 'reader' })
  const first = room.getSnapshot()
  t.ok(first.members.length < 200, `${first.members.length} members at first`)
  t.equal(first.memberCount, 291)
  await until(() => changes.length === 0 && room.members.length === room.getSnapshot().memberCount)
  t.ok(pages >= 2, `${pages} pages`)
  // A state that was set while the pages were read may arrive after the last member.
  const members = await listed(shop, 'stadium')
  await until(() => isDeepStrictEqual(room.members, members), 'the members of the server')
  t.equal(room.members.length, 306)
  t.same(room.self?.state, { name: 'reader' })
})

t.test('without permission to list members, a large channel has a count and reports the error', async t => {
  const shop = await tenant(app)
  const crowd = await Promise.all(Array.from({ length: 140 }, () => connectWs(url, { token: shop.token() })))
  t.teardown(() => { for (const socket of crowd) socket.close() })
  await Promise.all(crowd.map(socket => socket.request('join', { channel: 'hall', state: 'x'.repeat(4000) })))
  const { client } = connect(t, shop, { permissions: ['subscribe'] })
  const errors: RealtimeError[] = []
  client.on('error', error => errors.push(error))
  const room = client.channel('hall')
  await room.join()
  await until(() => errors.length > 0)
  t.match(errors, [{ code: 'PERMISSION_DENIED', status: 403 }])
  t.equal(room.getSnapshot().memberCount, 141)
})

t.test('client.socket joins, publishes and sends to one connection', async t => {
  const shop = await tenant(app)
  const { client: ann } = connect(t, shop, { lingerMs: 0 })
  const { client: bob } = connect(t, shop)
  t.equal(ann.socket, ann.socketClient)
  const received: unknown[] = []
  ann.socket.on('message', ({ channel, event, data }) => received.push([channel, event, data]))
  ann.socket.on('direct', ({ event, data, from }) => received.push([event, data, from.socketId]))
  await ann.socket.joinChannel('chat:1')
  await ann.socket.joinChannel('chat:1', { name: 'Ann' })
  await bob.connect()
  t.same(await bob.socket.publish('chat:1', 'said', { text: 'hello' }), { delivered: 1 })
  t.same(await bob.socket.directMessage(ann.socketId ?? '', 'psst', 'hi'), { delivered: 1 })
  await until(() => received.length === 2)
  t.same(received, [['chat:1', 'said', { text: 'hello' }], ['psst', 'hi', bob.socketId]])
  await t.rejects(bob.socket.directMessage('conn_none', 'psst'), { code: 'SOCKET_NOT_FOUND' })
  // A member that joins again does not wait for its state to arrive.
  await until(async () => isDeepStrictEqual((await listed(shop, 'chat:1'))[0]?.state, { name: 'Ann' }), 'the state')
  ann.socket.leaveChannel('chat:1')
  await until(async () => (await listed(shop, 'chat:1')).length === 0)
})
