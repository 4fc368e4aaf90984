import { once } from 'node:events'
import { readFile, readdir } from 'node:fs/promises'
import { Agent, get } from 'node:http'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import t from 'tap'
import { io } from 'socket.io-client'
import { WebSocket } from 'ws'
import type { RealtimeEvent } from '../../schemas/events.ts'
import { connectSocketIo, connectWs, nextOf } from '../support/clients.ts'
import { createDatabase } from '../support/database.ts'
import { call, made } from '../support/rest.ts'
import { dataFolder, isAlive, launch, postmasterPid, start, type Account } from '../support/server-process.ts'
import { administrator, setUp } from '../support/shop.ts'
import { until } from '../support/waiting.ts'

/* Starting, output and stopping of `npm start`. */

t.setTimeout(600_000)

const nobody = await accountOf('nobody')

async function accountOf (name: string): Promise<Account | undefined> {
  if (process.geteuid?.() !== 0) return undefined
  const [, , uid, gid] =
    (await readFile('/etc/passwd', 'utf8')).split('\n').map(line => line.split(':')).find(fields =>
      fields[0] === name
    ) ?? []
  return uid === undefined || gid === undefined ? undefined : { uid: Number(uid), gid: Number(gid) }
}

/** A TCP connection that sends only `text`. */
async function mute (t: Teardown, url: string, text = ''): Promise<Socket> {
  const socket = connect(Number(new URL(url).port), '127.0.0.1')
  socket.on('error', () => {})
  t.teardown(() => { socket.destroy() })
  await once(socket, 'connect')
  if (text !== '') socket.write(text)
  return socket
}
interface Teardown { teardown (work: () => void): void }

/** A data folder shared by tests that do not need their own. */
const used = await dataFolder(t)

for (
  const { signal, dataDir, account } of [
    { signal: 'SIGTERM', dataDir: await dataFolder(t, nobody), account: nobody },
    { signal: 'SIGINT', dataDir: used, account: undefined }
  ] as const
) {
  const runBy = account === undefined ? 'us' : 'nobody'
  await t.test(`${signal} stops a busy server within 3 s, run by ${runBy}`, async t => {
    const server = await start(t, { dataDir, account })
    const url = server.address
    const { token } = await setUp(url)
    await made(
      call('POST', `${url}/api/topics`, {
        token,
        body: { name: 'order.placed', description: 'A test', owner: 'tests' }
      })
    )

    const clients = [
      await connectSocketIo(url, { token }),
      await connectSocketIo(url, { token, transports: ['polling'] }),
      await connectWs(url, { token })
    ]
    for (const client of clients) t.match(await client.request('subscribe', { topic: 'order.placed' }), { ok: true })
    const deaf = [await connectSocketIo(url, { token }), await connectWs(url, { token })]
    for (const client of deaf) client.pause()
    // Engine.IO's handshake without Socket.IO's.
    const { sid } = JSON.parse((await (await fetch(`${url}/socket.io/?EIO=4&transport=polling`)).text()).slice(1)) as {
      sid: string
    }
    fetch(`${url}/socket.io/?EIO=4&transport=polling&sid=${sid}`).catch(() => {})
    const agent = new Agent({ keepAlive: true })
    t.teardown(() => agent.destroy())
    await once(get(`${url}/health`, { agent }).on('response', response => response.resume()), 'close')
    await mute(t, url)
    await mute(t, url, 'GET /health HTTP/1.1\r\nHost: ')
    await mute(
      t,
      url,
      `POST /api/topics HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\n` +
        'Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{'
    )

    const acked: number[] = []
    const publishing = Array.from({ length: 20 }, async (_, i) => {
      for (let n = i; ; n += 20) {
        const answer = await call('POST', `${url}/api/topics/order.placed/events`, { token, body: { payload: n } })
          .catch(() => undefined)
        if (answer === undefined || answer.status === 503) return
        if (answer.status !== 201) throw new Error(JSON.stringify(answer.body))
        acked.push(n)
      }
    })
    await until(() => acked.length > 100, 'writes')
    // Connects late, because the server soon closes connections that do not authenticate.
    const stranger = new WebSocket(`${url.replace('http', 'ws')}/ws`)
    stranger.on('error', () => {})
    const strangerClosed = once(stranger, 'close')
    await once(stranger, 'open')
    const pid = await postmasterPid(dataDir) as number
    const stoppingAt = performance.now()
    server.kill(signal)
    t.same(await server.exit, { code: 0, signal: null })
    const tookMs = performance.now() - stoppingAt
    t.comment(`${signal}: stopped after ${Math.round(tookMs)} ms`)
    t.notOk(isAlive(pid), 'no PostgreSQL is left')
    t.notOk((await readdir(dataDir)).includes('postgres.lock'), 'nor its lock')
    for (const [i, client] of clients.entries()) {
      t.match(await client.closed, { code: 1012, reason: 'SHUTTING_DOWN' }, `client ${i} received the reason`)
    }
    t.equal((await strangerClosed)[0], 1012, 'an unauthenticated client was closed as well')
    for (const client of deaf) client.resume()
    await Promise.all(publishing)

    if (signal === 'SIGINT') return
    const again = await start(t, { dataDir, account })
    t.notOk('setupToken' in await again.ready(), 'it is set up')
    const stored = new Set<number>()
    for (let after: string | null = '0'; after !== null;) {
      const page = await call('GET', `${again.address}/api/topics/order.placed/events?limit=1000&after=${after}`, {
        token
      })
      for (const event of page.body as RealtimeEvent[]) stored.add(event.payload as number)
      after = page.headers.get('x-next-cursor')
    }
    t.same(acked.filter(n => !stored.has(n)), [], `each of ${acked.length} acknowledged events is there`)
    again.kill(signal)
    // Under npm one Ctrl-C sends the signal twice.
    again.kill(signal)
    t.same(await again.exit, { code: 0, signal: null })
  })
}

await t.test('a server stopped during its start leaves nothing behind', async t => {
  const server = launch({ dataDir: used })
  await until(async () => await postmasterPid(used) !== undefined, 'a postmaster')
  const pid = await postmasterPid(used) as number
  server.kill('SIGINT')
  t.match(await server.exit, { code: 0 })
  t.notOk(isAlive(pid))
  t.notMatch(server.output, /Error/)
})

await t.test('a port in use ends the server with a reason, and stops its PostgreSQL', async t => {
  const other = createServer().listen(0, '127.0.0.1')
  await once(other, 'listening')
  const { port } = other.address() as AddressInfo
  const server = launch({ dataDir: used, variables: { PORT: String(port) } })
  t.match(await server.exit, { code: 1 })
  t.match(server.output, new RegExp(`^PORT ${port} on 127\\.0\\.0\\.1 is in use by another program\\..*$`, 'm'))
  t.notMatch(server.output, /\n {4}at /, 'no stack trace')
  t.match(server.output, /postgres\.started/)
  t.equal(await postmasterPid(used), undefined)
  other.close()
})

await t.test('with DATABASE_URL the server starts no PostgreSQL, and even verbose logs contain no secret', async t => {
  const databaseUrl = new URL(await createDatabase(t))
  // Trusted connections do not check the password: it is here only to be searched for.
  if (databaseUrl.password === '') databaseUrl.password = 'sup3r-secret-database-password'
  const dataDir = await dataFolder(t)
  const encryptionKey = Buffer.alloc(32, 'kE').toString('base64')
  const server = await start(t, {
    dataDir,
    variables: {
      DATABASE_URL: databaseUrl.href, ENCRYPTION_KEY: encryptionKey, LOG_LEVEL: 'trace', WEBHOOK_ALLOW_PRIVATE: 'true',
      WEBHOOK_RETRY_SCHEDULE: '10ms'
    }
  })
  const url = server.address
  t.match(await server.ready(), { embeddedDatabase: false })
  t.same(await readdir(dataDir), [], 'no cluster, no key')

  const { token, sessionToken, applicationId } = await setUp(url)
  const wrongPassword = 'a wrong password that is not to be told'
  await made(call('GET', `${url}/api/auth/me`, { headers: { 'x-session-token': sessionToken } }))
  t.equal(
    (await call('POST', `${url}/api/auth/login`, { body: { email: administrator.email, password: wrongPassword } }))
      .status,
    401
  )
  t.equal(
    (await call('GET', `${url}/api/topics?token=${token}`, { headers: { authorization: `Bearer ${token}x` } })).status,
    401
  )
  t.equal((await call('GET', `${url}/api/topics?token=${token}`, { token })).status, 400)
  t.equal((await call('POST', `${url}/auth/verify`, { body: { token } })).status, 200)
  const byQuery = new WebSocket(`${url.replace('http', 'ws')}/ws?token=${token}`)
  t.match(JSON.parse(String((await once(byQuery, 'message'))[0])), { type: 'authenticated', applicationId })
  byQuery.send(JSON.stringify({ type: 'auth', token: `${token}y` }))
  byQuery.send(JSON.stringify({ type: token }))
  await once(byQuery, 'message')
  byQuery.close()
  const wrongToken = new WebSocket(`${url.replace('http', 'ws')}/ws?token=${token}z`)
  await once(wrongToken, 'close')
  const socketIo = io(url, { query: { token }, auth: { token }, forceNew: true, reconnection: false })
  await nextOf(socketIo, 'connect')
  await socketIo.emitWithAck('auth', { token: `${token}z` })
  socketIo.close()

  // An endpoint and a database that cannot be reached; the URLs contain secrets.
  const webhookSecret = `whsec_${Buffer.alloc(32, 'wS').toString('base64')}`
  await made(
    call('POST', `${url}/api/topics`, { token, body: { name: 'order.placed', description: 'A test', owner: 'tests' } })
  )
  const { id } = await made<{ id: string }>(
    call('POST', `${url}/api/webhooks`, {
      token,
      body: { url: 'http://127.0.0.1:9/hook?key=the-secret-of-the-url', events: ['*'], secret: webhookSecret }
    })
  )
  await made(call('POST', `${url}/api/topics/order.placed/events`, { token, body: { payload: 1 } }))
  t.equal((await call('POST', `${url}/api/webhooks/${id}/test`, { token, body: {} })).status, 200)
  await until(() => server.output.includes('delivery.dead'), 'the delivery to die')
  const sourcePassword = 'the-secret-of-the-source'
  await call('POST', `${url}/api/database/connection/test`, {
    token,
    body: { connectionString: `postgres://somebody:${sourcePassword}@127.0.0.1:9/nothing` }
  })
  await call('PUT', `${url}/api/database/connection`, {
    token,
    body: { connectionString: `postgres://somebody:${sourcePassword}@127.0.0.1:9/nothing` }
  })
  const told = await Promise.all(
    ['webhooks', `webhooks/${id}`, 'webhooks/logs', 'webhooks/deliveries', 'admin/audit', 'database/connection'].map(
      async path => JSON.stringify((await call('GET', `${url}/api/${path}`, { token })).body)
    )
  )
  for (const secret of [webhookSecret, sourcePassword]) {
    t.notOk(told.some(text => text.includes(secret)), 'no response contains it')
  }

  server.kill('SIGTERM')
  t.match(await server.exit, { code: 0 })
  t.match(server.output, /server\.stopping/)
  const secrets = {
    webhookSecret,
    'its bytes': webhookSecret.slice(6),
    urlSecret: 'the-secret-of-the-url',
    sourcePassword,
    token,
    'its signature': token.split('.')[2] as string,
    sessionToken,
    wrongPassword,
    password: administrator.password,
    encryptionKey,
    databasePassword: decodeURIComponent(databaseUrl.password)
  }
  for (const [name, secret] of Object.entries(secrets)) {
    const line = server.output.split('\n').find(line => line.includes(secret))
    t.equal(line, undefined, `no ${name} in the log`)
  }
})
