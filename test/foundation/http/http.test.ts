import { once } from 'node:events'
import { connect } from 'node:net'
import { deflateSync, gzipSync } from 'node:zlib'
import t from 'tap'
import { build, listen } from '../../support/build.ts'
import { documentOf } from '../../support/dereferenced.ts'
import { inject } from '../../support/inject.ts'
import { tenant } from '../../support/tenant.ts'
import { until } from '../../support/waiting.ts'

/* HTTP as in RFC 9110 and 9112, apart from single resources. */

const { app } = await build(t, { variables: { METRICS_TOKEN: 'a-token-for-the-metrics' } })
const base = await listen(app)
const { hostname, port } = new URL(base)
const shop = await tenant(app)
const authorization = `Bearer ${shop.token()}`

/** Sends raw bytes and returns everything received until the connection ends. */
async function raw (head: string): Promise<string> {
  const socket = connect(Number(port), hostname)
  let text = ''
  socket.on('data', chunk => { text += chunk.toString() })
  socket.write(head)
  await once(socket, 'close')
  return text
}

await t.test('HEAD works wherever GET does, with the same headers and no body', async t => {
  await shop.topic('order.placed')
  const { paths } = documentOf<{ paths: Record<string, { get?: object }> }>(app)
  const documented = Object.entries(paths).filter(([path, { get }]) => get !== undefined && !path.endsWith('/stream'))
    .map(([path]) => path.replaceAll(/\{(\w+)\}/g, (_, name: string) => name === 'topic' ? 'order.placed' : 'unknown'))
  const changing =
    /^(?:date|x-request-id|content-length|etag|x-ratelimit.*|retry-after|transfer-encoding|connection|keep-alive)$/
  const headersOf = (headers: object) =>
    Object.fromEntries(Object.entries(headers).filter(([name]) => !changing.test(name)))
  for (const url of [...documented, '/', '/docs', '/docs/PROTOCOL.md', '/openapi.json', '/nowhere', '/ws']) {
    for (const headers of [{ authorization }, {}]) {
      const wanted = await inject(app, { method: 'GET', url, headers })
      const found = await inject(app, { method: 'HEAD', url, headers })
      const who = 'authorization' in headers ? 'with a token' : 'without'
      t.equal(found.statusCode, wanted.statusCode, `${url} ${who}`)
      t.equal(found.body, '', `${url} ${who}: no body`)
      if (url !== '/ws') {
        t.strictSame(headersOf(found.headers), headersOf(wanted.headers), `${url} ${who}: the same headers`)
      }
    }
  }
  t.ok(documented.length > 30)
})

await t.test('HEAD over a connection: monitors can read the health, and the stream of traces ends at once', async t => {
  for (
    const path of [
      '/health', '/health/ready', '/api/metrics/prometheus', '/openapi.json', '/docs/', '/api/topics',
      '/api/debugger/stream'
    ]
  ) {
    const get = path.endsWith('stream')
      ? undefined
      : await fetch(base + path, {
        headers: { authorization: path.startsWith('/api/metrics') ? 'Bearer a-token-for-the-metrics' : authorization }
      })
    const head = await fetch(base + path, {
      method: 'HEAD',
      headers: { authorization: path.startsWith('/api/metrics') ? 'Bearer a-token-for-the-metrics' : authorization }
    })
    t.equal(head.status, 200, path)
    t.equal(await head.text(), '', path)
    if (get !== undefined) t.equal(head.headers.get('content-type'), get.headers.get('content-type'), path)
    await get?.text()
  }
  t.match(
    await (await fetch(`${base}/api/metrics/prometheus`, {
      headers: { authorization: 'Bearer a-token-for-the-metrics' }
    })).text(),
    /^realtime_trace_streams 0$/m,
    'no stream stays open'
  )
  const { statusCode, headers } = await app.inject({ method: 'HEAD', url: '/health' })
  t.equal(statusCode, 200)
  t.ok(Number(headers['content-length']) > 0)
})

const badHosts = [
  'a b',
  'user@example.com',
  'user:secret@example.com',
  'example.com:abc',
  'example.com:99999',
  'example.com:80:80',
  'example..com',
  '.example.com',
  '',
  'example.com/path',
  'example.com?x',
  'example.com#x',
  '[::1',
  '::1',
  '[::1]x',
  '[example.com]',
  '[fe80::1%25eth0]',
  'a,b',
  'exämple.com',
  'example.com\\',
  `${'a'.repeat(64)}.com`,
  'a.'.repeat(128),
  '%41.com',
  '"example.com"',
  '<script>'
]
const goodHosts = [
  'example.com', 'EXAMPLE.com.', 'localhost:3000', 'my_service:8080', 'xn--exmple-cua.com', '127.0.0.1', '127.0.0.1:',
  '[::1]', '[::1]:3000', '[2001:DB8::1]:65535', 'a-b.c-d:0'
]

await t.test('a request without exactly one valid Host gets 400', async t => {
  const get = (hosts: string, version = '1.1', path = '/health') =>
    raw(`GET ${path} HTTP/${version}\r\n${hosts}Connection: close\r\n\r\n`)
  for (const host of goodHosts) t.match(await get(`Host: ${host}\r\n`), /^HTTP\/1\.1 200 /, host)
  for (const host of badHosts) {
    t.match(
      await get(`Host: ${host}\r\n`),
      /^HTTP\/1\.1 400 [^]*x-content-type-options[^]*"code":"VALIDATION_FAILED"/i,
      host
    )
  }
  t.match(
    await get('Host: example.com\r\nhost: example.com\r\n'), /^HTTP\/1\.1 400 [^]*more than one Host/,
    'the same value twice'
  )
  t.match(await get('Host: a.com\r\nHost: b.com\r\n'), /^HTTP\/1\.1 400 [^]*more than one Host/)
  t.match(await get(''), /^HTTP\/1\.1 400 [^]*no Host/)
  t.match(await get('', '1.0'), /^HTTP\/1\.1 200 /, 'HTTP/1.0 requires none')
  t.match(await get('Host: a b\r\n', '1.0'), /^HTTP\/1\.1 400 /)
  for (const path of ['/nowhere', '/api/topics', '/docs/', '/socket.io/?EIO=4&transport=polling']) {
    t.match(await get('Host: a b\r\n', '1.1', path), /^HTTP\/1\.1 400 /, path)
  }
})

await t.test('an upgrade as well', async t => {
  const upgrade = (path: string, hosts: string) =>
    raw([
      `GET ${path} HTTP/1.1`,
      'Upgrade: websocket',
      'Connection: Upgrade',
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
      'Sec-WebSocket-Version: 13',
      `${hosts}\r\n`
    ].join('\r\n'))
  for (const path of ['/ws', '/socket.io/?EIO=4&transport=websocket']) {
    for (
      const hosts of [
        '',
        'Host: a.com\r\nHost: b.com\r\n',
        'Host: a.com\r\nHost: a.com\r\n',
        ...badHosts.slice(0, 6).map(host => `Host: ${host}\r\n`)
      ]
    ) {
      t.match(await upgrade(path, hosts), /^HTTP\/1\.1 400 /, `${path} ${hosts}`)
    }
    const socket = connect(Number(port), hostname)
    socket.write(
      `GET ${path} HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
        'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n'
    )
    const [answer] = await once(socket, 'data') as [Buffer]
    t.match(answer.toString(), /^HTTP\/1\.1 101 /, path)
    socket.destroy()
  }
})

await t.test('an upgrade that is refused because of memory is closed', async t => {
  const { app: short } = await build(t, { adapt: config => { config.http.heapUsedBytesMax = 1 } })
  const { port } = new URL(await listen(short))
  await until(() => short.isUnderPressure(), 'pressure')
  const socket = connect(Number(port), '127.0.0.1')
  let text = ''
  socket.on('data', chunk => {
    text += chunk.toString()
  })
  socket.write(
    'GET /ws HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: ' +
      'dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n'
  )
  await once(socket, 'close')
  t.match(text, /^HTTP\/1\.1 503 /)
})

const event = JSON.stringify({ payload: { text: 'grün' } })
const publish = (payload: Buffer | string, headers: Record<string, string>) =>
  app.inject({
    method: 'POST', url: '/api/topics/order.placed/events',
    headers: { authorization, 'content-type': 'application/json', ...headers }, payload
  })

await t.test('a body may be compressed, and its decoded form is stored', async t => {
  for (
    const [coding, compress] of Object.entries(
      {
        gzip: gzipSync, 'X-GZIP': gzipSync, deflate: deflateSync, 'identity, gzip': gzipSync, identity: Buffer.from,
        '': Buffer.from
      } as Record<string, (text: string) => Buffer>
    )
  ) {
    const { statusCode, body } = await publish(compress(event), { 'content-encoding': coding })
    t.equal(statusCode, 201, `${coding}: ${body}`)
  }
  const { body } = await shop.request('GET', '/api/topics/order.placed/events')
  t.ok((body as { payload: unknown }[]).every(({ payload }) => (payload as { text: string }).text === 'grün'))
  const chunked = await fetch(`${base}/api/topics/order.placed/events`, {
    method: 'POST',
    headers: { authorization, 'content-type': 'application/json', 'content-encoding': 'gzip' },
    body: new Blob([gzipSync(event)]).stream(),
    duplex: 'half'
  } as RequestInit)
  t.equal(chunked.status, 201, 'also in chunks')
})

await t.test('an unsupported coding gets 415, a corrupt body 400, a compression bomb 413', async t => {
  for (const coding of ['zstd', 'br', 'BR', 'compress', 'gzip, gzip', 'gzip, br', 'constructor', '*', 'gzip;q=1']) {
    const { statusCode, headers, body } = await publish(gzipSync(event), { 'content-encoding': coding })
    t.match({ statusCode, headers, body: JSON.parse(body) }, {
      statusCode: 415, headers: { 'accept-encoding': 'gzip, deflate' },
      body: { error: 'UnsupportedMediaTypeError', code: 'CONTENT_ENCODING_UNSUPPORTED' }
    }, coding)
  }
  for (
    const [coding, bytes] of [['gzip', Buffer.from(event)], ['gzip', gzipSync(event).subarray(0, -9)], [
      'deflate', Buffer.from('xx')
    ]] as const
  ) {
    const { statusCode, body } = await publish(bytes, { 'content-encoding': coding })
    t.match({ statusCode, body: JSON.parse(body) }, {
      statusCode: 400, body: { code: 'VALIDATION_FAILED', message: /Content-Encoding/ }
    }, coding)
  }
  const huge = Buffer.alloc(20 * 1024 * 1024, 32)
  for (const [coding, bomb] of [['gzip', gzipSync(huge)], ['deflate', deflateSync(huge)]] as const) {
    const { statusCode, body } = await publish(bomb, { 'content-encoding': coding })
    t.match(
      { statusCode, body: JSON.parse(body) },
      { statusCode: 413, body: { code: 'BODY_TOO_LARGE' } },
      `${coding}: ${bomb.length} bytes`
    )
  }
  t.equal((await publish(event, {})).statusCode, 201, 'the next request is answered')
})

await t.test('a charset other than UTF-8 gets 415, and bytes that are not UTF-8 get 400', async t => {
  for (
    const type of [
      'application/json', 'application/json;charset=utf-8', 'application/json; charset="UTF-8"',
      'application/json; charset=UTF8', 'Application/JSON; Charset=Utf-8', 'application/json; charset=us-ascii',
      'application/merge-patch+json; charset=utf-8', 'application/json; version=1; charset=utf-8'
    ]
  ) {
    t.equal((await publish(event, { 'content-type': type })).statusCode, 201, type)
  }
  for (
    const type of [
      'application/json; charset=iso-8859-1', 'application/json; charset="latin1"', 'application/json;charset=UTF-16',
      'application/json; charset=utf-8; charset=utf-16', 'application/json; version=1; charset=windows-1252',
      'application/vnd.api+json; charset=koi8-r'
    ]
  ) {
    const { statusCode, body } = await publish(event, { 'content-type': type })
    t.match(
      { statusCode, body: JSON.parse(body) }, { statusCode: 415, body: { code: 'CONTENT_TYPE_UNSUPPORTED' } }, type
    )
  }
  for (
    const bytes of [
      Buffer.from(event, 'latin1'), Buffer.from('{"payload":"\ud800"}', 'utf16le'),
      Buffer.from([...Buffer.from('{"payload":"'), 0xed, 0xa0, 0x80, ...Buffer.from('"}')])
    ]
  ) {
    for (const [headers, payload] of [[{}, bytes], [{ 'content-encoding': 'gzip' }, gzipSync(bytes)]] as const) {
      t.match(JSON.parse((await publish(payload, headers)).body), { code: /INVALID_UTF8|INVALID_JSON/ })
    }
  }
})
