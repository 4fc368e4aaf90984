import { io, type Socket } from 'socket.io-client'
import t from 'tap'
import { closeCodes } from '../../../src/identity/auth/close-codes.ts'
import { build, listen } from '../../support/build.ts'
import { connectWs } from '../../support/clients.ts'
import { DatabaseProxy } from '../../support/database-proxy.ts'
import { createDatabase } from '../../support/database.ts'
import { person } from '../../support/people.ts'
import { follow } from '../../support/recipe.ts'
import { steadyPort } from '../../support/steady-port.ts'
import { tenant } from '../../support/tenant.ts'
import { until } from '../../support/waiting.ts'

/* Unmodified socket.io-client: how it reacts when the server closes or refuses it. */

t.setTimeout(600_000)

const kinds = [
  { name: 'WebSocket', options: { transports: ['websocket'] } },
  { name: 'long polling', options: { transports: ['polling'] } },
  { name: 'the default transports', options: {} }
]

/** A stock client with short delays, and a record of what happens to it. */
function stockClient (t: Teardown, url: string, auth: object, options: object = {}) {
  const socket = io(url, { auth, forceNew: true, reconnectionDelay: 200, reconnectionDelayMax: 1000, ...options })
  t.teardown(() => {
    socket.disconnect()
  })
  const seen = {
    connects: 0, disconnects: [] as string[], closings: [] as object[], refusals: [] as Error[], linkMs: [] as number[]
  }
  let openedAt = 0
  socket.io.on('open', () => { openedAt = performance.now() })
  socket.io.on('close', () => { seen.linkMs.push(performance.now() - openedAt) })
  socket.on('connect', () => { seen.connects++ })
  socket.on('disconnect', reason => { seen.disconnects.push(reason) })
  socket.on('closing', (closing: object) => { seen.closings.push(closing) })
  socket.on('connect_error', error => { seen.refusals.push(error) })
  return { socket, seen }
}
interface Teardown { teardown (work: () => void): void }

const connected = async ({ socket }: { socket: Socket }) => {
  await until(() => socket.connected, 'the client to connect')
}
const upTo = (last: number) => Array.from({ length: last }, (_, i) => i + 1)

await t.test('after a restart every client reconnects by itself and has every offset once', async t => {
  const databaseUrl = await createDatabase(t)
  const port = await steadyPort()
  let { app } = await build(t, { databaseUrl })
  const url = await app.listen({ host: '127.0.0.1', port })
  const shop = await tenant(app)
  const topic = await shop.topic('order.placed')
  const clients = kinds.flatMap(({ name, options }) =>
    upTo(2).map(() => ({ name, ...stockClient(t, url, { token: shop.token() }, options) }))
  )
  const following = clients.map(({ socket }) => follow(socket))
  await until(() => app.connections.size === clients.length, 'all to connect')
  let published = 0
  const publish = async (count: number) => {
    const { statusCode, body } = await app.inject({
      method: 'POST', url: `/api/topics/${topic}/events`, headers: { authorization: `Bearer ${shop.token()}` },
      payload: { events: upTo(count).map(n => ({ payload: n })) }
    })
    if (statusCode !== 201) throw new Error(body)
    published += count
  }
  const subscriptions = async () =>
    /^realtime_subscriptions (\d+)$/m.exec(await app.instruments.registry.metrics())?.[1]
  for (let round = 1; round <= 2; round++) {
    await until(async () => await subscriptions() === String(clients.length), 'all to subscribe')
    await publish(5)
    await app.close()
    app = (await build(t, { databaseUrl })).app
    await publish(3)
    await app.listen({ host: '127.0.0.1', port })
    for (const [i, { name }] of clients.entries()) {
      await until(
        () => (following[i]?.offsets.length ?? 0) >= published,
        () => `${name} has ${following[i]?.offsets.length} of ${published}`,
        60_000
      )
    }
  }
  for (const [i, { name, seen }] of clients.entries()) {
    t.same(following[i]?.offsets, upTo(published), `${name}: every offset once, in order`)
    t.equal(following[i]?.reloads, 0)
    t.same(seen.closings, upTo(2).map(() => closeCodes.RESTART), `${name} received the close reason each time`)
    t.notOk(seen.disconnects.some(reason => reason.startsWith('io server')), seen.disconnects.join())
  }
})

const { app } = await build(t, { variables: { CONNECTIONS_PER_APPLICATION_MAX: '1' } })
const url = await listen(app)

await t.test('each close code ends a client as its `reconnect` states', async t => {
  for (const { name, options } of kinds) {
    for (const reason of Object.values(closeCodes)) {
      const shop = await tenant(app)
      const client = stockClient(t, url, { token: shop.token() }, options)
      await connected(client)
      await until(
        () => client.socket.io.engine.transport.name === (name === 'long polling' ? 'polling' : 'websocket'),
        'the upgrade'
      )
      for (const connection of app.connections.all()) connection.close(reason)
      await until(() => client.seen.disconnects.length === 1, 'the end')
      t.same(client.seen.closings, [reason], `${name}, ${reason.code}: received the reason`)
      t.equal(client.socket.active, reason.reconnect, `${name}, ${reason.code}`)
      if (reason.reconnect) {
        t.equal(client.seen.disconnects[0], 'transport close')
        await connected(client)
      } else {
        t.equal(client.seen.disconnects[0], 'io server disconnect')
      }
      client.socket.disconnect()
      await until(() => app.connections.size === 0, 'the end of the connection')
    }
  }
})

await t.test('a bad credential is a connect_error, after which the client does not retry', async t => {
  for (const { name, options } of kinds) {
    const { seen, socket } = stockClient(t, url, { token: 'x.y.z' }, options)
    await until(() => seen.refusals.length === 1, 'the refusal')
    t.match(seen.refusals[0], { data: { error: 'UnauthorizedError', code: 'CREDENTIAL_INVALID' } }, name)
    t.equal(socket.active, false)
  }
})

await t.test('a client that its application has no room for keeps trying until there is room', async t => {
  const { authTimeoutMs } = app.config.delivery
  app.config.delivery.authTimeoutMs = 200
  t.teardown(() => { app.config.delivery.authTimeoutMs = authTimeoutMs })
  const shop = await tenant(app)
  for (const { name, options } of kinds) {
    const first = await connectWs(url, { token: shop.token() })
    const second = stockClient(t, url, { token: shop.token() }, options)
    await until(() => second.seen.disconnects.length > 0, 'the refusal')
    t.same(second.seen.refusals, [], name)
    t.ok(second.socket.active)
    first.close()
    await connected(second)
    second.socket.disconnect()
    await until(() => app.connections.size === 0, 'the end of the connection')
  }
})

await t.test('a client that reaches a stopping or overloaded node keeps trying', async t => {
  const { isUnderPressure } = app
  t.teardown(() => { app.isUnderPressure = isUnderPressure })
  app.isUnderPressure = () => true
  const clients = await Promise.all(
    kinds.map(async ({ options }) => stockClient(t, url, { token: (await tenant(app)).token() }, options))
  )
  for (const { seen } of clients) await until(() => seen.refusals.length > 0, 'the refusal')
  t.ok(clients.every(({ socket }) => socket.active))
  app.isUnderPressure = isUnderPressure
  for (const client of clients) await connected(client)

  const { app: stopping } = await build(t)
  const { token } = await tenant(stopping)
  const address = await listen(stopping)
  await stopping.connections.closeOver(0, closeCodes.RESTART)
  for (const { name, options } of kinds) {
    const { socket, seen } = stockClient(t, address, { token: token() }, options)
    await until(() => seen.refusals.length > 0, 'the refusal')
    t.ok(socket.active, name)
  }
})

await t.test('after two seconds without the database every client resumes and has every offset once', async t => {
  const direct = await createDatabase(t)
  const proxy = new DatabaseProxy(new URL(direct))
  t.teardown(() => proxy.close())
  const proxied = new URL(direct)
  proxied.hostname = '127.0.0.1'
  proxied.port = String(await proxy.open())
  const [{ app }, { app: otherNode }] = [
    await build(t, { databaseUrl: proxied.href }), await build(t, { databaseUrl: direct })
  ]
  const url = await listen(app)
  const shop = await tenant(app)
  const topic = await shop.topic('order.placed')
  const { token } = await person(app, 'super_admin')
  const { applicationId } = shop
  const credentials = [{ token: shop.token() }, { token, applicationId }]
  const opened = () =>
    credentials.flatMap(auth => kinds.map(({ name, options }) => ({ name, ...stockClient(t, url, auth, options) })))
  const before = opened()
  const followed = before.map(({ socket }) => follow(socket))
  await until(
    async () => /^realtime_subscriptions 6$/m.test(await app.instruments.registry.metrics()), 'all to subscribe'
  )
  await shop.publish(topic, 1, 2)

  await proxy.close()
  const wentAt = performance.now()
  // These have to authenticate or subscribe without the database. Half of them connected before, the others connect
  // now.
  const during = opened()
  for (const [i, { socket }] of [...before, ...during].entries()) {
    if (i < before.length) socket.io.engine.close()
    else followed.push(follow(socket))
  }
  await otherNode.inject({
    method: 'POST',
    url: `/api/topics/${topic}/events`,
    headers: { authorization: `Bearer ${shop.token()}` },
    payload: { events: [{ payload: 3 }, { payload: 4 }] }
  })
  const newcomers = during.filter((_, i) => i >= kinds.length)
  for (const { seen, name } of newcomers) {
    await until(() => seen.disconnects.length > 0, `${name}: the refusal of a session`)
    t.same(seen.refusals, [], `${name} has no connect_error`)
    t.ok(Number(seen.linkMs[0]) > 950, `${name}: its link was kept for ${seen.linkMs[0]} ms`)
  }
  await until(() => performance.now() - wentAt > 2000, 'two seconds')
  t.ok([...before, ...during].every(({ socket }) => socket.active), 'all keep trying')
  await proxy.open()
  await until(
    async () => /^realtime_subscriptions 12$/m.test(await app.instruments.registry.metrics()), 'all to subscribe again',
    60_000
  )
  await shop.publish(topic, 5)
  for (const [i, { offsets, reloads }] of followed.entries()) {
    await until(() => offsets.at(-1) === 5, () => `client ${i} is at ${offsets.at(-1)}`)
    t.equal(reloads, 0)
    t.same(
      offsets,
      i < before.length ? upTo(5) : offsets.length === 1 ? [5] : upTo(5).slice(-offsets.length),
      `client ${i} has every offset once`
    )
  }
})
