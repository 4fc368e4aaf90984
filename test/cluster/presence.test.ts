import t from 'tap'
import type { ChannelMember } from '../../schemas/channels.ts'
import { scopeKey } from '../../schemas/scope.ts'
import { Channel, type Member } from '../../src/channels/channel.ts'
import { createMemberRecords, memberPrefix } from '../../src/channels/member-records.ts'
import type { Config } from '../../src/config.ts'
import { testKey } from '../support/build.ts'
import { transports, type Client } from '../support/clients.ts'
import { createDatabase } from '../support/database.ts'
import { startRedis } from '../support/redis.ts'
import { ask, idOf, join, messagesOf, presenceOf, type SeenMember } from '../support/room.ts'
import { dataFolder, start } from '../support/server-process.ts'
import { tenant, type Tenant } from '../support/tenant.ts'
import { elapse, pace, until } from '../support/waiting.ts'
import { acquainted, startNodes, type Node } from '../support/nodes.ts'

/* Presence over nodes that are killed, suspended, or lose Redis for a while. */

t.setTimeout(600_000)

type Room = Awaited<ReturnType<typeof join>>

const upTo = (last: number, first = 1) => Array.from({ length: last - first + 1 }, (_, i) => first + i)
const redis = await startRedis(t)
/** Waits for answers longer than this machine stalls, but not as long as a node is suspended. */
const patient = (config: Config) => { config.cluster.answerMs = 4000 }

const bySocket = (members: { socketId: string }[]) =>
  JSON.stringify([...members].sort((a, b) => a.socketId < b.socketId ? -1 : 1))
/** Describes, for a failure, how the views differ from the members. */
function differences (members: SeenMember[], rooms: Room[]): string {
  const truth = new Map(members.map(member => [member.socketId, JSON.stringify(member)]))
  return rooms.flatMap(room => {
    const view = new Map(room.view().map(member => [member.socketId, JSON.stringify(member)]))
    const missing = [...truth.keys()].filter(id => !view.has(id))
    const extra = [...view.keys()].filter(id => !truth.has(id))
    const other = [...view.keys()].filter(id => truth.has(id) && truth.get(id) !== view.get(id))
    if (missing.length + extra.length + other.length === 0) return []
    const lists = Object.entries({ missing, extra, other }).map(([name, ids]) =>
      `${ids.length} ${name}${ids.includes(idOf(room.client)) ? ' (its own)' : ''}`)
    return `${idOf(room.client)}: ${lists.join(', ')}`
  }).join('; ')
}

const membersAt = ({ app }: Pick<Node, 'app'>, shop: Tenant, channel: string) =>
  app.channels.directory.members(shop.scope, channel, { limit: 1000 }).items as ChannelMember[]

async function connect (url: string, shop: Tenant, subject: string, n = 0): Promise<Client> {
  return await (transports[n % 2] as typeof transports[number]).connect(url, {
    token: shop.token(['admin'], { subject })
  })
}

t.test('presence over nodes', { skip: redis === undefined && 'redis-server is not installed' }, async t => {
  if (redis === undefined) return
  const databaseUrl = await createDatabase(t)
  const nodes = await startNodes(t, redis, 2, { databaseUrl, adapt: patient })
  const [one, two] = nodes
  await acquainted(nodes)

  await t.test('a copy of the records that reveals a new connection, but not which one it replaces', async t => {
    const shop = await tenant(one.app)
    const watcher = await connect(two.url, shop, 'watcher')
    const room = await join(watcher, 'room')
    const records = createMemberRecords(one.app.cluster.records)
    const channel = new Channel(shop.scope, 'room')
    const member = (socketId: string): Member => ({
      socketId, userId: 'u', principalId: 'user:u', joinedAt: 1, state: { value: null, text: 'null' }, node: undefined,
      connection: undefined, absence: undefined
    })
    const ids = () => room.view().map(({ socketId }) => socketId).filter(id => id !== idOf(watcher)).sort()
    const sees = async (expected: string[], what: string) => {
      await until(() => JSON.stringify(ids()) === JSON.stringify(expected), () => `${what}: ${ids().join()}`)
      t.same(ids(), membersAt(two, shop, 'room').map(({ socketId }) => socketId)
        .filter(id => id !== idOf(watcher)).sort(), what)
    }
    records.put(channel, member('old'), 'join')
    await sees(['old'], 'a member of the other node')
    // As a copy reports the records that it adds: without a note.
    one.app.cluster.records.set(`${memberPrefix}${scopeKey(shop.scope)}\nroom\nnew`, '["u","user:u",1,0,"null"]')
    await sees(['new', 'old'], 'its new connection')
    records.remove(channel, 'old')
    await sees(['new'], 'the end of the old one')
    records.put(channel, member('newest'), 'update', 'new')
    await sees(['newest'], 'a new connection that names the one that it replaces')
    t.same(
      presenceOf(watcher).map(({ action, member: { socketId } }) => `${action} ${socketId}`),
      ['join old', 'join new', 'leave old', 'update newest'],
      'a replaced connection does not leave'
    )
    records.remove(channel, 'newest')
    await sees([], 'the end')
    watcher.close()
    await watcher.closed
  })

  await t.test('changes while Redis is unavailable reach every node afterwards, without false leaves', async t => {
    const shop = await tenant(one.app)
    await shop.request('PATCH', `/api/applications/${shop.applicationId}`, { presenceGraceMs: 0 })
    const watchers = await Promise.all(nodes.map(({ url }, n) => connect(url, shop, `watcher${n}`, n)))
    const seen = await Promise.all(watchers.map(watcher => join(watcher, 'room')))
    const stays = await connect(one.url, shop, 'stays')
    const goes = await connect(one.url, shop, 'goes', 1)
    const returns = await connect(one.url, shop, 'returns')
    for (const client of [stays, goes, returns]) await join(client, 'room')
    await until(() => nodes.every(node => membersAt(node, shop, 'room').length === 5), 'five members')
    const hasHeardOf = (watcher: Client, name: string) =>
      presenceOf(watcher).some(({ action, member }) => action === 'join' && member.userId === name)
    await until(
      () => watchers.every(watcher => ['stays', 'goes', 'returns'].every(name => hasHeardOf(watcher, name))),
      'the watchers to see them'
    )
    const told = watchers.map(watcher => presenceOf(watcher).length)
    await redis.kill()
    await until(() => nodes.every(({ app }) => !app.cluster.bus.health().isConnected), 'the nodes to notice')
    const comes = await connect(one.url, shop, 'comes')
    await join(comes, 'room', { state: 'new' })
    await ask(stays, 'presence', { channel: 'room', state: 'changed' })
    t.match(
      await ask(stays, 'publish', { channel: 'room', event: 'e', data: 1 }), { ok: true, delivered: 4 },
      'messages reach members on the same node without waiting'
    )
    await ask(returns, 'leave', { channel: 'room' })
    await join(returns, 'room')
    goes.close()
    await goes.closed
    // The outage lasts longer than a lease.
    await elapse(one.app.config.cluster.leaseMs + 1500)
    t.equal(presenceOf(watchers[1] as Client).length, told[1], 'members on the other node got no presence messages')
    await redis.start()
    await until(
      () =>
        nodes.every(node =>
          membersAt(node, shop, 'room').length === 5 &&
          bySocket(membersAt(node, shop, 'room')) === bySocket(membersAt(one, shop, 'room'))
        ),
      'the nodes to agree'
    )
    await until(
      () => seen.every(room => bySocket(room.view()) === bySocket(membersAt(one, shop, 'room'))),
      'their members to agree'
    )
    t.same(
      presenceOf(watchers[1] as Client).slice(told[1]).map(({ action, member }) => `${member.userId} ${action}`).sort(),
      ['comes join', 'goes leave', 'returns update', 'stays update'],
      'each change was sent once'
    )
    for (const client of [...watchers, stays, comes, returns]) {
      client.close()
      await client.closed
    }
  })

  await t.test('the members of a killed node leave, logged once; those of a suspended node return with it', async t => {
    const shop = await tenant(one.app)
    const variables = { DATABASE_URL: databaseUrl, REDIS_URL: redis.url, ENCRYPTION_KEY: testKey }
    const [killed, sleeping] = await Promise.all(
      [1, 2].map(async () => await start(t, { dataDir: await dataFolder(t), variables }))
    )
    if (killed === undefined || sleeping === undefined) throw new Error('no nodes')
    await acquainted(nodes, 4)
    const watchers = await Promise.all(nodes.map(({ url }, n) => connect(url, shop, `watcher${n}`, n)))
    const seen = await Promise.all(watchers.map(watcher => join(watcher, 'room')))
    const listener = await connect(one.url, shop, 'listener')
    t.match(await listener.request('subscribe', { topic: 'presence.updated' }), { ok: true })
    const lost = await Promise.all(upTo(3).map(n => connect(killed.address, shop, `lost${n}`, n)))
    const slept = await Promise.all(upTo(3).map(n => connect(sleeping.address, shop, `slept${n}`, n)))
    for (const client of [...lost, ...slept]) await join(client, 'room')
    await until(() => nodes.every(node => membersAt(node, shop, 'room').length === 8), 'all members')
    await listener.received(6)

    const killedAt = performance.now()
    killed.kill('SIGKILL')
    sleeping.kill('SIGSTOP')
    const left = (prefix: string) =>
      watchers.every(watcher =>
        presenceOf(watcher).filter(({ action, member }) => action === 'leave' && member.userId.startsWith(prefix))
          .length === 3
      )
    await until(() => left('lost') && left('slept'), 'their members to leave')
    t.comment(`${Math.round(performance.now() - killedAt)} ms from the kill to the last leave`)
    await until(
      () => bySocket(membersAt(one, shop, 'room')) === bySocket(membersAt(two, shop, 'room')), 'the nodes to agree'
    )
    t.same(membersAt(one, shop, 'room').map(({ userId }) => userId).sort(), ['watcher0', 'watcher1'])
    await listener.received(12)

    sleeping.kill('SIGCONT')
    await until(() => nodes.every(node => membersAt(node, shop, 'room').length === 5), 'the suspended node to return')
    await until(
      () => seen.every(room => bySocket(room.view()) === bySocket(membersAt(one, shop, 'room'))),
      'their members to agree'
    )
    t.match(await ask(watchers[0] as Client, 'publish', { channel: 'room', event: 'e', data: 'awake' }), {
      delivered: 4
    })
    for (const client of slept) {
      await until(() => messagesOf(client).some(({ data }) => data === 'awake'), 'a message to the suspended node')
    }
    const logged = (await listener.received(15)).map(({ payload }) =>
      payload as { action: string, member: { userId: string } }
    ).map(({ action, member }) => `${member.userId} ${action}`)
    t.same(logged.slice(0, 6).sort(), ['lost', 'slept'].flatMap(name => upTo(3).map(n => `${name}${n} join`)))
    t.same(
      logged.slice(6, 12).sort(),
      ['lost', 'slept'].flatMap(name => upTo(3).map(n => `${name}${n} leave`)),
      'two nodes noticed, the log has one event'
    )
    t.same(logged.slice(12).sort(), upTo(3).map(n => `slept${n} join`))
    for (const client of [...watchers, ...slept, listener]) client.close()
  })
})

const seconds = Number(process.env['PRESENCE_SECONDS'] ?? 5)
t.test(
  `120 clients that join, drop and move between three nodes for ${seconds} s while Redis dies twice agree afterwards`,
  { skip: redis === undefined && 'redis-server is not installed' },
  async t => {
    if (redis === undefined) return
    const nodes = await startNodes(t, redis, 3, { adapt: patient })
    await acquainted(nodes)
    const shop = await tenant(nodes[0].app)
    await shop.request('PATCH', `/api/applications/${shop.applicationId}`, { presenceGraceMs: 1000 })
    const end = Date.now() + seconds * 1000
    const dying = (async () => {
      for (let i = 0; i < 2; i++) {
        await pace(seconds * 250)
        await redis.kill()
        await pace(300)
        await redis.start()
      }
    })()
    const moves = { join: 0, update: 0, leave: 0, drop: 0 }
    const rooms = await Promise.all(
      upTo(120).map(async n => {
        let client: Client | undefined
        let room: Room | undefined
        while (Date.now() < end || room === undefined) {
          client ??= await connect((nodes[Math.floor(Math.random() * 3)] as Node).url, shop, `u${n % 90}`, n)
          const dice = Math.random()
          if (room === undefined) {
            room = await join(client, 'crowd', dice < 0.5 ? { state: { n, dice } } : {})
            moves.join++
          } else if (dice < 0.5) {
            await room.update({ n, dice })
            moves.update++
          } else if (dice < 0.6) {
            await ask(client, 'leave', { channel: 'crowd' })
            room = undefined
            moves.leave++
          } else {
            client[dice < 0.9 ? 'cut' : 'close']()
            await client.closed
            client = undefined
            room = undefined
            moves.drop++
            if (Math.random() < 0.3) await pace(Math.random() * 2000)
          }
          await pace(200 + Math.random() * 500)
        }
        return room
      })
    )
    await dying
    const truth = () => bySocket(membersAt(nodes[0], shop, 'crowd'))
    const agree = () =>
      membersAt(nodes[0], shop, 'crowd').length === 120 &&
      nodes.every(node => bySocket(membersAt(node, shop, 'crowd')) === truth())
    await until(() => agree(), 'the nodes to agree').catch((error: Error) =>
      t.fail(`${error.message}: ${nodes.map(node => membersAt(node, shop, 'crowd').length).join(', ')}`)
    )
    await until(
      () => rooms.every(room => bySocket(room.view()) === truth()), "everybody's view to be the members"
    )
      .catch((error: Error) =>
        t.fail(`${error.message}: ${differences(membersAt(nodes[0], shop, 'crowd'), rooms)}`)
      )
    t.pass(JSON.stringify(moves))
    for (const { client } of rooms) client.close()
  }
)
