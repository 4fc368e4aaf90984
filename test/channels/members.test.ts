import t from 'tap'
import type { Member } from '../../src/channels/channel.ts'
import { Directory } from '../../src/channels/directory.ts'
import type { Connection } from '../../src/delivery/sockets/connection.ts'
import { build, listen } from '../support/build.ts'
import { transports } from '../support/clients.ts'
import { ask, idOf } from '../support/room.ts'
import { tenant } from '../support/tenant.ts'

/* Lists of members: how often they are built, and how long they may be. */

const scope = { applicationId: 'app_a', environment: 'development' as const }
const toState = (value: unknown) => ({ value, text: JSON.stringify(value) })
const member = (n: number, value: unknown = null): Member => ({
  socketId: `conn_${String(n).padStart(5, '0')}`,
  userId: `user-${n}`,
  principalId: 'p',
  joinedAt: n,
  state: toState(value),
  node: undefined,
  connection: undefined,
  absence: undefined
})
interface Joined {
  channel: string
  members: { socketId: string, state: unknown }[]
  truncated?: boolean
  memberCount?: number
}

t.test('the answer to join is built once, until a member or a state changes', async t => {
  const channel = new Directory().openChannel(scope, 'a "room"')
  const seen = () => JSON.parse(`{${channel.joined.fields}}`) as Joined
  const [one, two] = [member(1), member(2, { a: [1] })]
  channel.add(one)
  const first = channel.joined
  t.equal(channel.joined, first)
  t.same(seen(), {
    channel: 'a "room"', members: [{ socketId: 'conn_00001', userId: 'user-1', joinedAt: 1, state: null }]
  })
  channel.add(two)
  t.equal(seen().members.length, 2)
  channel.setState(one, toState({ b: 'ü' }))
  t.same(seen().members.map(({ state }) => state), [{ b: 'ü' }, { a: [1] }])
  const before = channel.joined
  channel.sendAway(one, Symbol('absence'))
  t.equal(channel.joined, before, 'an away member is still a member')
  channel.bringBack(one, { id: 'conn_back' } as Connection)
  t.same(seen().members.map(({ socketId }) => socketId), ['conn_00002', 'conn_back'])
  channel.remove(two)
  t.same(seen().members.map(({ socketId }) => socketId), ['conn_back'])
})

t.test('the answer to join has at most 1,000 members and 512 KiB', async t => {
  for (const [count, state, most] of [[1000, null, 1000], [1001, null, 1000], [400, 'x'.repeat(4000), 128]] as const) {
    const channel = new Directory().openChannel(scope, 'large')
    for (let n = 1; n <= count; n++) channel.add(member(n, state))
    const found = JSON.parse(`{${channel.joined.fields}}`) as Joined
    t.equal(found.members.length, most)
    t.ok(channel.joined.fields.length < 513 * 1024)
    if (most < count) t.match(found, { truncated: true, memberCount: count })
    else t.notOk('truncated' in found || 'memberCount' in found)
  }
})

t.test('a page of members ends early when states are long; pages list every member once', async t => {
  const directory = new Directory()
  const channel = directory.openChannel(scope, 'large')
  for (let n = 1; n <= 600; n++) channel.add(member(n, n % 3 === 0 ? 'x'.repeat(4090) : n))
  const found: string[] = []
  let pages = 0
  for (let cursor: string | undefined, isFirst = true; isFirst || cursor !== undefined; isFirst = false) {
    const page = directory.members(scope, 'large', { limit: 1000, ...(cursor !== undefined && { cursor }) })
    t.ok(JSON.stringify(page.items).length < 1.2 * 1024 * 1024)
    found.push(...page.items.map(({ socketId }) => socketId))
    cursor = page.nextCursor
    pages++
  }
  t.same(found, Array.from({ length: 600 }, (_, i) => `conn_${String(i + 1).padStart(5, '0')}`))
  t.equal(pages, 1)
  for (const { socketId } of directory.members(scope, 'large', { limit: 1000 }).items) {
    channel.setState(channel.members.get(socketId) as Member, toState('x'.repeat(4090)))
  }
  const first = directory.members(scope, 'large', { limit: 1000 })
  t.equal(first.items.length, 256)
  t.equal(directory.members(scope, 'large', { limit: 1000, cursor: first.nextCursor as string }).items.length, 256)
  t.equal(directory.members(scope, 'large', { limit: 10 }).items.length, 10)
  t.same(directory.members(scope, 'none', { limit: 10 }), { items: [], nextCursor: undefined })
})

t.test('prepared answers arrive like other answers', async t => {
  const { app } = await build(t)
  const url = await listen(app)
  const shop = await tenant(app)
  const channel = 'a "b" \\ ü'
  for (const { name, connect } of transports) {
    const [one, other] = [await connect(url, { token: shop.token() }), await connect(url, { token: shop.token() })]
    t.match(await ask(one, 'join', { channel, state: { _placeholder: true, num: 0 } }), {
      ok: true, channel, members: [{ socketId: idOf(one), state: { _placeholder: true, num: 0 } }]
    }, name)
    const answer = await ask(other, 'join', { channel })
    t.equal(answer.channel, channel)
    t.strictSame(
      answer.members.map(({ socketId, state }) => [socketId, state]).sort(),
      [[idOf(one), { _placeholder: true, num: 0 }], [idOf(other), null]].sort()
    )
    for (const client of [one, other]) t.match(await ask(client, 'leave', { channel }), { ok: true, channel })
    for (const client of [one, other]) client.close()
  }
})
