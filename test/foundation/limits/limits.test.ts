import { once } from 'node:events'
import { connect as connectTcp } from 'node:net'
import { io } from 'socket.io-client'
import t from 'tap'
import { UnauthorizedError } from '../../../src/errors.ts'
import { Quota } from '../../../src/foundation/limits/quota.ts'
import { createMetrics } from '../../../src/foundation/observability/metrics.ts'
import { RefusalLimit } from '../../../src/identity/auth/refusal-limit.ts'
import { build, listen } from '../../support/build.ts'
import { connectSocketIo, connectWs, nextOf, transports } from '../../support/clients.ts'
import { person } from '../../support/people.ts'
import { tenant } from '../../support/tenant.ts'
import { eventually, until } from '../../support/waiting.ts'

/* Limits that an operator can set (rates, counts, times), and the headers of every response. */

t.setTimeout(600_000)

const portOf = (url: string) => Number(new URL(url).port)

/** Returns everything received until the connection ends. */
async function raw (port: number, ...pieces: string[]): Promise<string> {
  const socket = connectTcp(port, '127.0.0.1')
  let answer = ''
  socket.setEncoding('utf8').on('data', (text: string) => { answer += text }).on('error', () => {})
  for (const piece of pieces) socket.write(piece)
  await new Promise<void>(resolve => socket.once('close', () => resolve()))
  return answer
}

await t.test('the connections of an address are limited, whatever they carry', async t => {
  const { app } = await build(t, { variables: { CONNECTIONS_PER_ADDRESS_MAX: '3' } })
  const url = await listen(app)
  const open = await Promise.all([1, 2, 3].map(async () => {
    const socket = connectTcp(portOf(url), '127.0.0.1')
    await once(socket, 'connect')
    return socket
  }))
  await until(async () =>
    await new Promise<boolean>(resolve => app.server.getConnections((_error, count) => resolve(count === 3)))
  )
  const answer = await raw(portOf(url), 'GET /health HTTP/1.1\r\nHost: x\r\n\r\n')
  t.match(answer, /^HTTP\/1\.1 429 Too Many Requests\r\n/)
  t.match(answer, /\r\nRetry-After: 5\r\n/)
  t.match(JSON.parse(answer.slice(answer.indexOf('\r\n\r\n') + 4)), {
    error: 'RateLimitError', code: 'CONNECTION_LIMIT'
  })
  t.match(await app.instruments.registry.metrics(), /^realtime_connections_refused_total\{limit="address"\} 1$/m)
  open[0]?.destroy()
  await until(async () =>
    /^HTTP\/1\.1 200/.test(await raw(portOf(url), 'GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'))
  )
  for (const socket of open) socket.destroy()
})

await t.test('behind a proxy, only sockets of clients count, by client address', async t => {
  const { app } = await build(t, { variables: { CONNECTIONS_PER_ADDRESS_MAX: '2', TRUST_PROXY: '127.0.0.1' } })
  const url = await listen(app)
  const shop = await tenant(app)
  for (const { name, connect } of transports) {
    const from = (address: string) => ({ token: shop.token(), headers: { 'x-forwarded-for': address } })
    const clients = [await connect(url, from('192.0.2.1')), await connect(url, from('192.0.2.1'))]
    await t.rejects(connect(url, from('192.0.2.1')), name)
    const other = await connect(url, from('192.0.2.2'))
    t.match(
      await other.request('unsubscribe', { subscriptionId: 'sub_x' }),
      { code: 'SUBSCRIPTION_NOT_FOUND' },
      `${name}: another address has its own limit`
    )
    clients[0]?.cut()
    await until(async () =>
      await connect(url, from('192.0.2.1')).then(client => {
        clients.push(client)
        return true
      }, () => false)
    )
    for (const client of [...clients, other]) client.close()
    // A Socket.IO session ends after its connection.
    await until(() => app.connections.size === 0 && app.io.engine.clientsCount === 0)
  }
})

await t.test('the sockets of an application are limited; another application has its own limit', async t => {
  const { app } = await build(t, { variables: { CONNECTIONS_PER_APPLICATION_MAX: '2' } })
  const url = await listen(app)
  const [shop, other] = [await tenant(app), await tenant(app)]
  const open = [await connectWs(url, { token: shop.token() }), await connectSocketIo(url, { token: shop.token() })]
  const refused = await connectWs(url, {})
  t.match(await refused.request('auth', { token: shop.token() }), {
    ok: false, error: 'RateLimitError', code: 'CONNECTION_LIMIT', retryAfterMs: 5000
  })
  t.match(await refused.closed, { code: 4429 })
  const trying = io(url, { auth: { token: shop.token() }, transports: ['websocket'], forceNew: true })
  t.equal((await nextOf(trying, 'disconnect'))[0], 'transport close')
  t.ok(trying.active, 'a Socket.IO client retries by itself')
  trying.disconnect()
  const others = await connectWs(url, { token: other.token() })
  t.match(await app.instruments.registry.metrics(), /^realtime_connections_refused_total\{limit="application"\} 2$/m)
  open[0]?.close()
  await until(() => app.connections.size === 2)
  open.push(await connectSocketIo(url, { token: shop.token() }))
  for (const client of [...open, others]) client.close()
})

await t.test('requests per minute are limited for an application, and for each principal', async t => {
  const { app } = await build(t, { variables: { RATE_LIMIT_APPLICATION_MAX: '4' } })
  const [shop, other] = [await tenant(app), await tenant(app)]
  const get = async (subject: string) =>
    await app.inject({ url: '/api/topics', headers: { authorization: `Bearer ${shop.token(['admin'], { subject })}` } })
  for (const subject of ['a', 'b', 'c', 'd']) t.equal((await get(subject)).statusCode, 200)
  const refused = await get('e')
  t.match(refused.json(), {
    error: 'RateLimitError', code: 'RATE_LIMITED', message: /More than 4 requests per minute .*application/
  })
  t.equal(refused.statusCode, 429)
  t.ok(Number(refused.headers['retry-after']) > 0)
  t.equal((await other.request('GET', '/api/topics')).status, 200, 'another application')
  t.equal((await app.inject('/health')).statusCode, 200, 'and requests without an application')
})

await t.test('an address above the limit of refused credentials gets 429; valid ones still work', async t => {
  const { app } = await build(t, { variables: { RATE_LIMIT_UNAUTHORIZED_MAX: '3' } })
  const url = await listen(app)
  const shop = await tenant(app)
  const ada = await person(app, 'super_admin')
  const ask = async (authorization: string, remoteAddress = '127.0.0.1') =>
    await app.inject({
      url: '/api/topics', remoteAddress, headers: { authorization, 'x-application-id': shop.applicationId }
    })
  for (const credential of ['Bearer x.y.z', 'sess_x', 'Basic YTpi']) t.equal((await ask(credential)).statusCode, 401)
  for (const credential of ['Bearer x.y.z', 'sess_x']) {
    const refused = await ask(credential)
    t.match(refused.json(), { code: 'RATE_LIMITED', message: /credentials from this address/ })
    t.equal(refused.statusCode, 429)
    t.ok(Number(refused.headers['retry-after']) > 0)
  }
  t.equal((await ask('Bearer x.y.z', '192.0.2.7')).statusCode, 401, 'another address')
  t.equal((await ask(`Bearer ${shop.token()}`)).statusCode, 200, 'a valid token')
  t.equal((await ask(ada.token)).statusCode, 200, 'a valid session')
  const socket = await connectWs(url, {})
  t.match(await socket.request('auth', { token: 'x.y.z' }), { code: 'RATE_LIMITED', retryAfterMs: Number })
  t.match(await socket.closed, { code: 4429 })
  await t.rejects(connectSocketIo(url, { token: 'x.y.z' }), /credentials from this address/)
  const good = await connectSocketIo(url, { token: shop.token() })
  good.close()
  t.match(await app.instruments.registry.metrics(), /^realtime_credentials_limited_total 4$/m)
})

await t.test('the limit ends after a minute, and an IPv6 network counts as one address', async t => {
  let now = 1000
  const limit = new RefusalLimit({ max: 1, metrics: createMetrics(), now: () => now })
  const weigh = (address: string) => limit.weigh(address, new UnauthorizedError('CREDENTIAL_INVALID', 'no')).status
  t.equal(weigh('2001:db8::1'), 401)
  t.equal(weigh('2001:db8::2'), 429)
  t.equal(weigh('2001:db8:0:1::1'), 401)
  now += 60_000
  t.equal(weigh('2001:db8::1'), 401)
})

await t.test('released places are forgotten', async t => {
  const quota = new Quota(() => 2)
  quota.take('a')
  quota.take('a')
  t.equal(quota.isFree('a'), false)
  t.equal(quota.isFree('b'), true)
  quota.release('a')
  t.equal(quota.isFree('a'), true)
  quota.release('a')
  t.equal(quota.size, 0)
  t.equal(new Quota(() => 0).isFree('a'), true, '0 is no limit')
})

await t.test('a client that sends a head or a body too slowly is cut off', async t => {
  const { app } = await build(t, {
    adapt: ({ http }) => Object.assign(http, { headersTimeoutMs: 1500, requestTimeoutMs: 3000, timeoutsCheckedMs: 50 })
  })
  const url = await listen(app)
  for (
    const [what, text] of [
      ['a head without an end', 'GET /health HTTP/1.1\r\nHost: x\r\nX-Slow: '],
      [
        'a body without an end',
        'POST /auth/verify HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ' +
          '100\r\n\r\n{"token":'
      ]
    ] as const
  ) {
    const answer = await raw(portOf(url), text)
    t.match(answer, /^HTTP\/1\.1 408 Request Timeout\r\n/, what)
    t.match(JSON.parse(answer.slice(answer.indexOf('\r\n\r\n') + 4)), {
      error: 'ValidationError', message: /did not arrive in time/
    })
  }
  t.equal((await fetch(`${url}/health`)).status, 200)
})

await t.test('a server low on memory refuses requests with 503 and Retry-After, and keeps running', async t => {
  const room = 256 * 1024 ** 2
  const { app } = await build(t, {
    adapt: ({ http }) => {
      http.heapUsedBytesMax = process.memoryUsage().heapUsed + room
    }
  })
  const [url, shop] = [await listen(app), await tenant(app)]
  const topic = await shop.topic('shed.events')
  const sockets = await Promise.all(transports.map(({ connect }) => connect(url, { token: shop.token() })))
  const subscriptions = await Promise.all(sockets.map(socket => socket.request('subscribe', { topic })))
  const numbers = 4_000_000
  const ballast = Array.from(
    { length: Math.ceil(1.5 * room / (8 * numbers)) }, () => new Array<number>(numbers).fill(0.5)
  )
  await until(async () => (await app.inject('/api/auth/setup-status')).statusCode === 503)
  for (const [i, socket] of sockets.entries()) {
    t.match(await socket.request('subscribe', { topic }), { error: 'ServiceUnavailableError', code: 'OVERLOADED' })
    t.match(await socket.request('join', { channel: 'room' }), { code: 'OVERLOADED' })
    t.notOk(
      (await socket.request('unsubscribe', { subscriptionId: subscriptions[i]?.subscriptionId })).code,
      'requests that release something are accepted'
    )
    socket.close()
  }
  for (const { connect } of transports) await t.rejects(connect(url, { token: shop.token() }))
  const shed = await app.inject('/api/auth/setup-status')
  t.match(shed.json(), { error: 'ServiceUnavailableError', code: 'OVERLOADED' })
  t.equal(shed.headers['retry-after'], '5')
  t.equal((await app.inject('/health')).statusCode, 200, 'it lives')
  // On a busy machine, other components may be slow.
  const ready = await eventually(async () => {
    const answer = await app.inject('/health/ready')
    return answer.statusCode === 200 && answer
  })
  t.match(ready.json(), { status: 'ready', components: { memory: { status: 'degraded', message: /refused/ } } })
  ballast.length = 0
})

await t.test('URLs, heads, bodies and nesting are limited', async t => {
  const { app } = await build(t)
  const url = await listen(app)
  const shop = await tenant(app)
  await shop.topic('bounds.topic')
  const head = (target: string, more = '') => `GET ${target} HTTP/1.1\r\nHost: x\r\n${more}Connection: close\r\n\r\n`
  t.match(await raw(portOf(url), head(`/${'a'.repeat(17_000)}`)), /^HTTP\/1\.1 431/, 'a URL')
  t.match(await raw(portOf(url), head('/health', `X-Long: ${'a'.repeat(17_000)}\r\n`)), /^HTTP\/1\.1 431/, 'a header')
  t.match(
    await raw(
      portOf(url),
      head('/health', Array.from({ length: 20 }, (_, i) => `X-${i}: ${'a'.repeat(1000)}\r\n`).join(''))
    ),
    /^HTTP\/1\.1 431/,
    'many headers'
  )
  t.equal(
    (await shop.request('POST', '/api/topics', { name: 'x'.repeat(1024 * 1024), description: 'd', owner: 'o' })).status,
    413, 'a body'
  )
  t.equal(
    (await shop.request('POST', '/api/topics/bounds.topic/events', `{"payload":${'['.repeat(65)}${']'.repeat(65)}}`))
      .status,
    400,
    'a depth'
  )
})

await t.test('input that is refused before it is a request gets an error body as well', async t => {
  const { app } = await build(t)
  const port = portOf(await listen(app))
  for (const [sent, status] of [
    [`GET /${'a'.repeat(17_000)} HTTP/1.1\r\nHost: x\r\n\r\n`, 431],
    ['this is no HTTP\r\n\r\n', 400],
    ['GET /health%zz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n', 400]
  ] as const) {
    const answer = await raw(port, sent)
    t.ok(answer.startsWith(`HTTP/1.1 ${status}`), answer.slice(0, 40))
    for (
      const header of [
        'x-content-type-options: nosniff', 'x-frame-options: DENY', 'cache-control: no-store',
        "content-security-policy: default-src 'none'"
      ]
    ) {
      t.ok(answer.includes(header), `${status} has ${header}`)
    }
  }
})

await t.test('responses have security headers, and HSTS over https', async t => {
  const { app } = await build(t, { variables: { PUBLIC_URL: 'https://realtime.example.com' } })
  const shop = await tenant(app)
  const answers = [
    await app.inject('/health'), await app.inject('/nowhere'), await app.inject('/api/topics'),
    await shop.request('GET', '/api/topics')
  ]
  for (const { headers } of answers) {
    t.match(headers, {
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'DENY',
      'referrer-policy': 'no-referrer',
      'cache-control': 'no-store',
      'content-security-policy': /default-src 'none'; frame-ancestors 'none'/,
      'strict-transport-security': /^max-age=\d+/
    })
    t.notOk('server' in headers || 'x-powered-by' in headers)
  }
  const docs = await app.inject('/docs/PROTOCOL.md')
  t.match(docs.headers['content-security-policy'], /script-src 'self'/, 'the pages have their own policy')
  const { app: plain } = await build(t)
  t.notOk('strict-transport-security' in (await plain.inject('/health')).headers, 'not over http')
})

await t.test('only configured origins may call from a browser', async t => {
  const preflight = {
    method: 'OPTIONS' as const, url: '/api/topics',
    headers: { 'access-control-request-method': 'POST', 'access-control-request-headers': 'authorization' }
  }
  for (
    const [origins, origin, allowed] of [
      ['', 'https://app.example.com', undefined],
      ['https://app.example.com,https://b.example.com', 'https://app.example.com', 'https://app.example.com'],
      ['https://app.example.com,https://b.example.com', 'https://evil.example.com', undefined],
      ['*', 'https://any.example.com', 'https://any.example.com']
    ] as const
  ) {
    const { app } = await build(t, { variables: { CORS_ORIGINS: origins } })
    const url = await listen(app)
    const asked = await app.inject({ ...preflight, headers: { ...preflight.headers, origin } })
    t.equal(asked.headers['access-control-allow-origin'], allowed, `${origins || 'none'}: ${origin}`)
    t.notOk('access-control-allow-credentials' in asked.headers, 'never with credentials')
    const polled = await fetch(`${url}/socket.io/?EIO=4&transport=polling`, { headers: { origin } })
    await polled.arrayBuffer()
    t.equal(
      polled.headers.get('access-control-allow-origin') ?? undefined, origins === '*' ? '*' : allowed,
      'the same over Socket.IO'
    )
  }
})
