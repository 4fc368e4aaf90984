import { writeFile, rm } from 'node:fs/promises'
import { Agent, get, type IncomingMessage } from 'node:http'
import { createServer, type AddressInfo } from 'node:net'
import { once } from 'node:events'
import { join } from 'node:path'
import { io, type Socket } from 'socket.io-client'
import t from 'tap'
import { testKey } from '../support/build.ts'
import { connectWs, transports, type Client } from '../support/clients.ts'
import { createDatabase } from '../support/database.ts'
import { Publisher } from '../support/publisher.ts'
import { call } from '../support/rest.ts'
import { idOf, join as joinChannel } from '../support/room.ts'
import { dataFolder, isAlive, launch } from '../support/server-process.ts'
import { openShop } from '../support/shop.ts'
import { steadyPort } from '../support/steady-port.ts'
import { arrived, Subscriber } from '../support/subscriber.ts'
import { eventually, until } from '../support/waiting.ts'
import { startWorkers } from '../support/workers.ts'

/*
 * `WORKERS=2 npm start`: two processes behind one port, with their parent between them. The long form:
 * KILL_SUBSCRIBERS=200 KILL_EVENTS=20000 KILLS=10.
 */

t.setTimeout(900_000)

const subscribersCount = Number(process.env['KILL_SUBSCRIBERS'] ?? 20)
const events = Number(process.env['KILL_EVENTS'] ?? 2000)
const kills = Number(process.env['KILLS'] ?? 2)

await t.test('two workers are one server', async t => {
  const server = await startWorkers(t, { variables: { RATE_LIMIT_MAX: '300', METRICS_TOKEN: 'scraper' } })
  const url = server.address
  const shop = await openShop(url)
  const clients: Client[] = []
  t.teardown(() => { for (const client of clients) client.close() })
  const nodes = server.lines('worker.ready').map(({ nodeId }) => nodeId)
  t.equal(new Set(nodes).size, 2)
  await until(() => server.lines('cluster.node_found').length >= 2, 'the workers to find each other')

  await t.test('connections are spread over both, and each lists those of both', async t => {
    for (let n = 0; n < 8; n++) {
      clients.push(await (transports[n % 2] as typeof transports[number]).connect(url, { token: shop.token }))
    }
    for (let n = 0; n < 4; n++) {
      const { body } = await call('GET', `${url}/api/socket/sockets`, { token: shop.token })
      const sockets = body as { id: string, nodeId: string }[]
      t.same(new Set(sockets.map(({ id }) => id)), new Set(clients.map(idOf)))
      t.same(new Set(sockets.map(({ nodeId }) => nodeId)), new Set(nodes))
    }
  })

  await t.test('an event reaches the subscribers of both, whichever writes it', async t => {
    for (const client of clients) t.match(await client.request('subscribe', { topic: shop.topic }), { ok: true })
    for (let n = 1; n <= 40; n++) {
      await call('POST', `${url}/api/topics/${shop.topic}/events`, {
        token: shop.token, body: { payload: { n } }, headers: { connection: 'close' }
      })
    }
    for (const client of clients) {
      t.same((await client.received(40)).map(({ offset }) => offset), Array.from({ length: 40 }, (_, i) => i + 1))
    }
  })

  await t.test('presence is that of both', async t => {
    const rooms = await Promise.all(clients.map(client => joinChannel(client, 'room', { state: idOf(client) })))
    const ids = clients.map(idOf).sort()
    for (const room of rooms) {
      await until(() => room.view().length === 8, 'all members')
      t.same(room.view().map(({ socketId }) => socketId).sort(), ids)
    }
    const [first, ...others] = rooms as [typeof rooms[number], ...typeof rooms]
    await first.update('moved')
    for (const room of others) {
      await until(() => room.view().some(({ state }) => state === 'moved'), 'the update')
    }
  })

  await t.test('metrics have the series of both and of the parent', async t => {
    const scrape = async (token?: string) => (await fetch(`${url}/api/metrics/prometheus`, {
      headers: { connection: 'close', ...(token !== undefined && { authorization: `Bearer ${token}` }) }
    })).text()
    for (let n = 0; n < 2; n++) {
      const text = await scrape('scraper')
      const events = [
        ...text.matchAll(/^realtime_events_received_total\{worker="(\d)",.*topic="order\.placed".*\} (\d+)$/gm)
      ]
      t.same(events.map(([, worker]) => worker).sort(), ['1', '2'])
      t.equal(events.reduce((sum, [, , count]) => sum + Number(count), 0), 40)
      t.match(text, /^realtime_workers\{worker="parent"\} 2$/m)
      t.match(text, /^process_resident_memory_bytes\{worker="parent"\} \d/m)
      t.equal(text.match(/^# TYPE realtime_subscriptions /gm)?.length, 1)
      t.notMatch(await scrape(), 'order.placed', 'without the token no worker names topics')
    }
    t.match(await scrape('wrong'), 'CREDENTIAL_INVALID')
  })

  await t.test('readiness is that of both', async t => {
    const { body, status } = await call('GET', `${url}/health/ready`)
    t.equal(status, 200)
    t.match(body, { status: 'ready', components: { workers: { status: 'ok' }, bus: { status: 'ok' } } })
  })

  await t.test('a principal has one rate limit', async t => {
    const agents = Array.from({ length: 8 }, () => new Agent({ keepAlive: true, maxSockets: 1 }))
    t.teardown(() => { for (const agent of agents) agent.destroy() })
    let round = 0
    // A late answer of the parent, or the end of the minute, changes the counts. A fresh principal is then tried.
    await eventually(async () => {
      const { body } = await call('POST', `${url}/auth/token`, {
        token: shop.sessionToken,
        body: { applicationId: shop.applicationId, permissions: ['admin'], subject: `counted${round++}` }
      })
      const { token } = body as { token: string }
      const statuses = await Promise.all(agents.map(async agent => {
        const found: number[] = []
        for (let n = 0; n < 40; n++) found.push(await statusOf(`${url}/api/topics`, token, agent))
        return found
      }))
      return statuses.flat().filter(status => status === 200).length === 300 &&
        statuses.flat().filter(status => status === 429).length === 20
    })
    t.pass('300 of 320 requests over both are admitted')
  })
})

async function statusOf (url: string, token: string, agent: Agent): Promise<number> {
  const request = get(url, { agent, headers: { authorization: `Bearer ${token}` } })
  const [response] = await once(request, 'response') as [IncomingMessage]
  response.resume()
  await once(response, 'end')
  return response.statusCode ?? 0
}

await t.test('Socket.IO works over long polling, and upgrades, whichever worker a connection reaches', async t => {
  const server = await startWorkers(t)
  const url = server.address
  const shop = await openShop(url)
  // Each request has its own connection, so half of them reach the other worker.
  const extraHeaders = { connection: 'close' }
  const sockets: Socket[] = []
  t.teardown(() => { for (const socket of sockets) socket.disconnect() })
  for (const kinds of [['polling'], ['polling', 'websocket']]) {
    for (let n = 0; n < 6; n++) {
      const socket = io(url, {
        auth: { token: shop.token }, transports: kinds, forceNew: true, reconnection: false, extraHeaders
      })
      sockets.push(socket)
      await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('connect_error', reject))
    }
  }
  const received = sockets.map(socket => {
    const offsets: number[] = []
    socket.on('event', ({ offset }: { offset: number }) => offsets.push(offset))
    return offsets
  })
  for (const socket of sockets) {
    t.match(await socket.timeout(60_000).emitWithAck('subscribe', { topic: shop.topic }), { ok: true })
  }
  const upgraded = sockets.slice(6)
  await until(
    () => upgraded.every(({ io: { engine } }) => engine.transport.name === 'websocket'), 'the upgrades', 60_000
  )
  for (let n = 0; n < 20; n++) {
    await call('POST', `${url}/api/topics/${shop.topic}/events`, { token: shop.token, body: { payload: { n } } })
  }
  for (const offsets of received) {
    await until(() => offsets.length === 20, 'the events')
    t.same(offsets, Array.from({ length: 20 }, (_, i) => i + 1))
  }
  t.ok(sockets.every(({ connected }) => connected))
  const unknown = await fetch(`${url}/socket.io/?EIO=4&transport=polling&sid=2.unknown`)
  t.match([unknown.status, await unknown.json()], [400, { code: 1 }])
  const missing = await fetch(`${url}/socket.io/?EIO=4&transport=polling&sid=77.unknown`)
  t.match([missing.status, await missing.json()], [400, { code: 1 }], 'also of a worker that does not exist')
})

await t.test(
  `${subscribersCount} subscribers have each of ${events} events once, in order, after ${kills} kills of a worker`,
  async t => {
    const server = await startWorkers(t)
    const url = server.address
    const shop = await openShop(url)
    const pick = () => url
    const subscribers = await Promise.all(Array.from({ length: subscribersCount }, (_, i) =>
      new Subscriber(shop, pick, i % 4 === 0 ? 'socket.io' : 'ws').start()))
    t.teardown(() => { for (const subscriber of subscribers) subscriber.stop() })
    const publisher = new Publisher(shop, pick).start({ atOnce: 16, most: events })
    for (let n = 0; n < kills; n++) {
      await until(() => publisher.acknowledged >= events * (n + 1) / (kills + 1), 'writes', 600_000)
      const worker = String(n % 2 + 1)
      const started = server.lines('worker.ready').length
      process.kill(server.processOf(worker), 'SIGKILL')
      await until(() => server.lines('worker.ready').length > started, 'its replacement', 120_000)
      t.match(server.lines('worker.ended').at(-1), { worker, signal: 'SIGKILL' })
    }
    await publisher.done()
    t.same(publisher.offsets.sort((a, b) => a - b), Array.from({ length: events }, (_, i) => i + 1))
    await arrived(t, subscribers, events, 120_000)
    await until(async () => {
      const { body } = await call('GET', `${url}/health/ready`)
      return (body as { components: { workers: { status: string } } }).components.workers.status === 'ok'
    }, 'readiness')
    t.match(
      await (await fetch(`${url}/api/metrics/prometheus`)).text(),
      new RegExp(`^realtime_workers_ended_total\\{worker="parent"\\} ${kills}$`, 'm')
    )
  }
)

await t.test('a worker that stops for a signal is replaced, and its clients move', async t => {
  const server = await startWorkers(t)
  const shop = await openShop(server.address)
  const clients = await Promise.all(Array.from({ length: 4 }, () => connectWs(server.address, { token: shop.token })))
  t.teardown(() => { for (const client of clients) client.close() })
  process.kill(server.processOf('1'), 'SIGTERM')
  const ends = clients.map(async client => await client.closed)
  t.match(await Promise.race(ends), { code: 1012 })
  await until(() => server.lines('worker.ready').length === 3, 'its replacement')
  t.match(server.lines('worker.ended'), [{ worker: '1', code: 0 }])
})

await t.test('the whole server stops for a signal, and its clients resume when it is back', async t => {
  const [databaseUrl, port, dataDir] = [await createDatabase(t), await steadyPort(), await dataFolder(t)]
  const server = await startWorkers(t, { databaseUrl, port, dataDir })
  const shop = await openShop(server.address)
  const pick = () => server.address
  const subscribers = await Promise.all(Array.from({ length: 8 }, () => new Subscriber(shop, pick).start()))
  t.teardown(() => { for (const subscriber of subscribers) subscriber.stop() })
  const publisher = new Publisher(shop, pick).start({ atOnce: 4, pauseMs: 5 })
  await until(() => publisher.acknowledged > 50, 'writes')
  const pids = ['1', '2'].map(server.processOf)
  server.kill('SIGTERM')
  server.kill('SIGTERM')
  t.same(await server.exit, { code: 0, signal: null })
  t.same(pids.map(isAlive), [false, false], 'no worker is left')
  const again = await startWorkers(t, { databaseUrl, port, dataDir })
  const before = publisher.acknowledged
  await until(() => publisher.acknowledged > before + 50, 'more writes')
  await publisher.stop()
  await arrived(t, subscribers, Math.max(...publisher.offsets))
  t.equal(again.lines('worker.ended').length, 0)
})

await t.test('a killed parent leaves no worker behind', async t => {
  const server = await startWorkers(t)
  const pids = ['1', '2'].map(server.processOf)
  server.kill('SIGKILL')
  await server.exit
  await until(() => !pids.some(isAlive), 'the workers to end')
})

await t.test('with the embedded PostgreSQL and secrets of a first run, the workers share both', async t => {
  const dataDir = await dataFolder(t)
  const variables = { WORKERS: '2', LOG_LEVEL: 'info' }
  const server = launch({ dataDir, variables })
  t.teardown(async () => {
    server.kill('SIGKILL')
    await server.exit
  })
  const { url, setupToken, embeddedDatabase } = await server.ready()
  t.ok(embeddedDatabase)
  t.equal(server.output.match(/"msg":"postgres.started"/g)?.length, 1)
  for (let n = 0; n < 2; n++) {
    // Through a proxy the token is required; each worker knows it.
    const refused = await call('POST', `${url}/api/auth/setup`, {
      body: { name: 'Ada', email: 'ada@example.com', password: 'a long pass phrase', setupToken: 'wrong' },
      headers: { 'x-forwarded-for': '203.0.113.7', connection: 'close' }
    })
    t.equal(refused.status, 403)
  }
  const made = await call('POST', `${url}/api/auth/setup`, {
    body: { name: 'Ada', email: 'ada@example.com', password: 'a long pass phrase', setupToken },
    headers: { 'x-forwarded-for': '203.0.113.7', connection: 'close' }
  })
  t.equal(made.status, 201)
  // The session is a secret that either worker must be able to read.
  const { sessionToken } = made.body as { sessionToken: string }
  for (let n = 0; n < 4; n++) {
    const { status } = await call('POST', `${url}/api/applications`, {
      token: sessionToken, body: { name: `Shop ${n}` }, headers: { connection: 'close' }
    })
    t.equal(status, 201)
  }
  server.kill('SIGTERM')
  t.same(await server.exit, { code: 0, signal: null })
  t.match(server.output, '"msg":"postgres.stopped"')
})

await t.test('a start that fails says why, once, and ends', async t => {
  const dataDir = await dataFolder(t)
  const variables = { ENCRYPTION_KEY: testKey, WORKERS: '2', LOG_LEVEL: 'error' }

  const wrong = launch({ dataDir, variables: { ...variables, WORKERS: 'many' } })
  t.same(await wrong.exit, { code: 1, signal: null })
  t.match(wrong.output, '  - WORKERS must be `auto` or a whole number from 1 to 128 (it is "many")')

  const taken = createServer().listen(0, '127.0.0.1')
  await once(taken, 'listening')
  t.teardown(() => { taken.close() })
  const { port } = taken.address() as AddressInfo
  const databaseUrl = await createDatabase(t)
  const inUse = launch({ dataDir, variables: { ...variables, DATABASE_URL: databaseUrl, PORT: String(port) } })
  t.same(await inUse.exit, { code: 1, signal: null })
  t.equal(
    inUse.output,
    `PORT ${port} on 127.0.0.1 is in use by another program. Stop that program, or set PORT to another number.\n`
  )

  const tooMany = launch({ dataDir, variables: { ...variables, DATABASE_URL: databaseUrl, WORKERS: '128' } })
  t.same(await tooMany.exit, { code: 1, signal: null })
  t.match(tooMany.output, /^WORKERS: PostgreSQL allows \d+ connections, which is enough for \d+ workers, not for 128\./)

  const away = launch({ dataDir, variables: { ...variables, DATABASE_URL: 'postgres://a@127.0.0.1:1/b' } })
  t.same(await away.exit, { code: 1, signal: null })
  t.match(away.output, /^DATABASE_URL: nothing accepts connections at 127\.0\.0\.1:1\..*\n$/)
})

const endingWorkers = ['--import', new URL(`fixtures/ending-workers.${
  import.meta.filename.endsWith('.ts') ? 'ts' : 'js'
}`, import.meta.url).href]

await t.test('workers that die at once at start end the server', async t => {
  const dataDir = await dataFolder(t)
  await writeFile(join(dataDir, 'end'), '')
  const server = launch({
    dataDir,
    variables: { DATABASE_URL: await createDatabase(t), ENCRYPTION_KEY: testKey, WORKERS: '2', LOG_LEVEL: 'silent' },
    execArgv: endingWorkers
  })
  t.same(await server.exit, { code: 1, signal: null })
  t.match(server.output, /^Worker \d ended during its start \(exit code 7\)\. WORKERS=1 starts without workers\.\n$/)
})

await t.test('while replacements do not start, the others go on; without any, the server ends', async t => {
  const dataDir = await dataFolder(t)
  const server = await startWorkers(t, { dataDir, execArgv: endingWorkers })
  await writeFile(join(dataDir, 'end'), '')
  process.kill(server.processOf('1'), 'SIGKILL')
  // More failures than a slot may have before it is given up.
  await until(() => server.lines('worker.ended').length >= 6, 'replacements that fail', 120_000)
  t.ok(server.isRunning)
  const { status, body } = await call('GET', `${server.address}/health/ready`)
  t.equal(status, 200)
  t.match(body, { components: { workers: { status: 'degraded', message: '1 of 2 workers answer' } } })
  await rm(join(dataDir, 'end'))
  await until(() => server.lines('worker.ready').length === 3, 'the replacement', 120_000)

  await writeFile(join(dataDir, 'end'), '')
  for (const worker of ['1', '2']) process.kill(server.processOf(worker), 'SIGKILL')
  t.same(await server.exit, { code: 1, signal: null })
  t.match(server.output, 'No worker runs, and none of their replacements starts')
})

await t.test('one process says how to use more cores', async t => {
  const server = launch({
    dataDir: await dataFolder(t), variables: { DATABASE_URL: await createDatabase(t), ENCRYPTION_KEY: testKey }
  })
  t.teardown(async () => {
    server.kill('SIGTERM')
    await server.exit
  })
  await server.ready()
  const { cores } = (await import('../../src/config.ts')).createConfig({}).workers
  if (cores === 1) return t.notMatch(server.output, 'server.one_process')
  await eventually(() => server.output.includes(`WORKERS=${cores} uses them all`))
})
