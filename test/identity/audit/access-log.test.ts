import { once } from 'node:events'
import { get } from 'node:http'
import { connect } from 'node:net'
import { io } from 'socket.io-client'
import t from 'tap'
import { WebSocket } from 'ws'
import { loggedPath } from '../../../src/identity/audit/access-log.ts'
import { generateApiKey } from '../../../src/identity/auth/api-key-text.ts'
import { build, listen } from '../../support/build.ts'
import { connectSocketIo, connectWs, nextOf } from '../../support/clients.ts'
import { readableLog } from '../../support/log-lines.ts'
import { tenant } from '../../support/tenant.ts'
import { eventually } from '../../support/waiting.ts'

/* ACCESS_LOG writes a line for each request, and for each socket when it connects and when it ends. */

t.setTimeout(600_000)

await t.test('with ACCESS_LOG', async t => {
  const log = readableLog()
  const { app } = await build(t, { logger: log.logger, variables: { ACCESS_LOG: 'true' } })
  const url = await listen(app)
  const shop = await tenant(app)
  const token = shop.token(['admin'], { subject: 'reader' })
  const principal = `${shop.applicationId}/reader`
  const headers = { authorization: `Bearer ${token}`, 'user-agent': 'reader/1.0' }
  const topic = await shop.topic('access.events')
  let seen = 0
  /** Returns the next access line that has not been returned before. */
  const next = async (...messages: string[]) => await eventually(() => {
    const index = log.lines().findIndex(({ msg }, i) => i >= seen && messages.includes(msg))
    if (index === -1) return undefined
    seen = index + 1
    return log.lines()[index]
  })
  const skip = () => { seen = log.lines().length }

  await t.test('a request is logged with path, status, duration, bytes and principal, without its query', async t => {
    skip()
    const response = await fetch(`${url}/api/topics/${topic}?unused=a-secret`, { headers })
    const body = await response.text()
    t.match(await next('request.completed'), {
      level: 30,
      method: 'GET',
      route: '/api/topics/:name',
      path: `/api/topics/${topic}`,
      status: 200,
      durationMs: Number,
      bytes: Buffer.byteLength(body),
      principal,
      scope: { applicationId: shop.applicationId, environment: 'development' },
      address: '127.0.0.1',
      userAgent: 'reader/1.0',
      reqId: response.headers.get('x-request-id')
    })
    await fetch(`${url}/api/topics/${topic}`, { method: 'HEAD', headers })
    t.match(await next('request.completed'), { method: 'HEAD', status: 200, bytes: 0 })
    const missing = await (await fetch(`${url}/nowhere/at%20all?token=${token}`)).text()
    t.match(await next('request.completed'), {
      path: '/nowhere/at%20all', status: 404, bytes: Buffer.byteLength(missing)
    })
    await fetch(`${url}/api/topics`, { headers: { authorization: 'Bearer no' } })
    t.match(await next('request.completed'), { path: '/api/topics', status: 401 })
    t.notOk(log.text().includes('a-secret') || log.text().includes(token))
  })

  await t.test('an aborted stream is logged with the bytes that were sent', async t => {
    skip()
    const request = get(`${url}/api/debugger/stream`, { headers })
    const [response] = await once(request, 'response') as [NodeJS.ReadableStream]
    await shop.publish(topic, 1)
    await once(response, 'data')
    skip()
    request.destroy()
    const line = await next('request.completed')
    t.match(line, { path: '/api/debugger/stream', status: 200, aborted: true })
    t.ok((line['bytes'] as number) > 0)
  })

  await t.test('a socket is logged when it is authenticated and when it ends, on both transports', async t => {
    for (
      const [connectTo, transport, path] of [[connectWs, 'ws', '/ws'], [
        connectSocketIo, 'socket.io', '/socket.io/'
      ]] as const
    ) {
      skip()
      const client = await connectTo(url, { token })
      t.match(await next('socket.connected'), {
        level: 30,
        transport,
        path,
        status: 101,
        principal,
        scope: { applicationId: shop.applicationId },
        address: '127.0.0.1',
        socketId: String
      })
      await client.request('subscribe', { topic })
      await shop.publish(topic, 'x'.repeat(10_000))
      await client.received(1)
      client.close()
      const line = await next('socket.disconnected')
      t.match(line, { level: 30, transport, path, principal, durationMs: Number })
      t.ok((line['bytesSent'] as number) > 10_000, `${transport}: ${String(line['bytesSent'])} bytes sent`)
      t.ok(
        (line['bytesReceived'] as number) > 30 && (line['bytesReceived'] as number) < 2000,
        `${String(line['bytesReceived'])} bytes received`
      )
    }
  })

  await t.test('a long-polling socket is logged, before and after the upgrade', async t => {
    for (const transports of [['polling'], ['polling', 'websocket']]) {
      skip()
      const client = io(url, { transports, auth: { token }, reconnection: false })
      await nextOf(client, 'connect')
      t.match(await next('socket.connected'), { transport: 'socket.io', status: 200, principal })
      await eventually(() => client.io.engine.transport.name === transports.at(-1))
      await client.emitWithAck('subscribe', { topic })
      const event = nextOf(client, 'event')
      await shop.publish(topic, 'x'.repeat(10_000))
      await event
      client.close()
      const line = await next('socket.disconnected')
      t.match(line, { principal })
      t.ok((line['bytesSent'] as number) > 10_000, `${String(line['bytesSent'])} bytes`)
    }
  })

  await t.test('refused sockets, upgrades, handshakes and invalid HTTP are logged as well', async t => {
    skip()
    const refused = new WebSocket(`${url.replace('http', 'ws')}/ws?token=${token}x`)
    await once(refused, 'close')
    const line = await next('socket.disconnected', 'socket.connected')
    t.match(line, { msg: 'socket.disconnected', transport: 'ws', code: 4401, address: '127.0.0.1' })
    t.notOk('principal' in line)
    const elsewhere = new WebSocket(`${url.replace('http', 'ws')}/elsewhere?token=${token}`)
    await once(elsewhere, 'error')
    t.match(await next('request.refused'), { method: 'GET', path: '/elsewhere', status: 404, address: '127.0.0.1' })
    t.equal((await fetch(`${url}/socket.io/?EIO=4&transport=none`)).status, 400)
    t.match(await next('request.refused'), { path: '/socket.io/', status: 400 })
    t.equal((await fetch(`${url}/socket.io/?EIO=4&transport=polling&j=0`)).status, 403)
    t.match(await next('request.refused'), { path: '/socket.io/', status: 403 })
    const raw = connect(Number(new URL(url).port), '127.0.0.1')
    raw.write('no http\r\n\r\n')
    await once(raw.resume(), 'close')
    t.match(await next('request.refused'), { status: 400, address: '127.0.0.1' })
    t.notOk(log.text().includes(token))
  })
})

t.test('without ACCESS_LOG, nothing is logged', async t => {
  const log = readableLog()
  const { app } = await build(t, { logger: log.logger })
  const url = await listen(app)
  const shop = await tenant(app)
  await fetch(`${url}/health`)
  const client = await connectWs(url, { token: shop.token() })
  client.close()
  await client.closed
  t.same(log.lines().filter(({ msg }) => /^(request|socket)\./.test(msg)), [])
  t.equal(app.accessLog, undefined)
})

await t.test('a logged path has neither credentials nor a query, however they are written', async t => {
  const apiKey = generateApiKey()
  const targets = {
    '/api/topics?token=x': '/api/topics',
    'http://user:password@example.com/api/topics?token=x': '/api/topics',
    '/api/topics%3Ftoken=x': '/api/topics',
    '/api/topics;token=x': '/api/topics',
    '/api/topics#token=x': '/api/topics',
    [`/api/api-keys/${apiKey}`]: '/api/api-keys/rtk_***',
    [`/api/topics/${apiKey}/events`]: '/api/topics/rtk_***/events',
    '/api/api-keys/rtk_4fK9sLq2': '/api/api-keys/rtk_4fK9sLq2',
    '/api/sync/cart/documents/a%20b': '/api/sync/cart/documents/a%20b'
  }
  for (const [target, path] of Object.entries(targets)) t.equal(loggedPath(target), path, target)
})
