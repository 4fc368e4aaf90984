import { connect } from 'node:net'
import type { Random } from '../support/random.ts'

const heads = [
  'GET /health HTTP/1.1',
  'GET /api/topics?limit=1 HTTP/1.1',
  'POST /auth/verify HTTP/1.1',
  'DELETE /api/topics/a HTTP/1.1',
  'OPTIONS * HTTP/1.1',
  'GET http://elsewhere.example/health HTTP/1.1',
  'CONNECT elsewhere.example:443 HTTP/1.1',
  'GET /health HTTP/1.0',
  'GET /health HTTP/0.9',
  'GET /health HTTP/2.0',
  'GET /health',
  'PRI * HTTP/2.0',
  'get /health HTTP/1.1',
  'GET  /health HTTP/1.1',
  'GET /he alth HTTP/1.1',
  'GET \\health HTTP/1.1',
  'GET //health HTTP/1.1',
  'GET /%00 HTTP/1.1',
  'GET /\xff HTTP/1.1',
  'GET /api/../health HTTP/1.1',
  `GET /${'a'.repeat(20_000)} HTTP/1.1`,
  `GET /?${'a=1&'.repeat(3000)} HTTP/1.1`,
  'BREW /health HTTP/1.1',
  '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03',
  '',
  'GET /ws HTTP/1.1',
  'GET /socket.io/?EIO=4&transport=websocket HTTP/1.1',
  'GET /socket.io/?EIO=9&transport=x&sid=y HTTP/1.1'
]
const lines = [
  'Host: x',
  'Host: x',
  'Host: x',
  'Host: x',
  'Host: y',
  'Host:',
  'Content-Length: 2',
  'Content-Length: 3',
  'Content-Length: -1',
  'Content-Length: 0x2',
  'Content-Length: 99999999999999999999',
  'Content-Length: 2, 2',
  'Transfer-Encoding: chunked',
  'Transfer-Encoding: gzip, chunked',
  'Transfer-Encoding:\tchunked',
  'Transfer-Encoding: chunked, identity',
  'Content-Type: application/json',
  'Content-Type: application/json',
  'Expect: 100-continue',
  'Expect: nothing',
  'Connection: close',
  'Connection: upgrade',
  'Upgrade: websocket',
  'Upgrade: h2c',
  'HTTP2-Settings: AAMAAABkAAQAAP__',
  'Sec-WebSocket-Key: x',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Version: 99',
  'Trailer: x',
  'TE: trailers',
  'X-Nul: a\0b',
  'X-Fold: a\r\n b',
  ' X-Space: a',
  'X-Space : a',
  'NoColon',
  ': nameless',
  'X-\xff: y',
  'X-High: \xff\xfe',
  `X-Long: ${'x'.repeat(20_000)}`,
  `X-${'n'.repeat(3000)}: y`,
  'Authorization: Bearer x',
  'Authorization: Bearer y',
  'X-Environment: moon',
  'Cookie: a=b',
  'Content-Encoding: gzip',
  'Range: bytes=0-1',
  '__proto__: x',
  'constructor: x'
]
const bodies = [
  '', '{}', '{"token":"x"}', '2\r\n{}\r\n0\r\n\r\n', 'zz\r\n{}\r\n', 'fffffffffffffffff\r\n',
  '2;ext=1\r\n{}\r\n0\r\nX-Trailer: y\r\n\r\n', '-1\r\n', '\0\0\0\0', 'GET /health HTTP/1.1\r\nHost: x\r\n\r\n',
  '\r\n\r\n\r\n'
]

/** Bytes that are almost a request. */
export function rawRequest (random: Random): Buffer {
  const end = random.chance(0.9) ? '\r\n' : random.pick(['\n', '\r', '\r\r\n'])
  const headers = Array.from({ length: random.below(6) }, () => random.pick(lines))
  if (random.chance(0.02)) headers.push(...Array.from({ length: 2500 }, (_, i) => `X-${i}: y`))
  const bytes = Buffer.from([random.pick(heads), ...headers, '', random.pick(bodies)].join(end), 'latin1')
  for (let changes = random.chance(0.4) ? 1 + random.below(4) : 0; changes > 0 && bytes.length > 0; changes--) {
    bytes[random.below(bytes.length)] = random.below(256)
  }
  return random.chance(0.15) ? bytes.subarray(0, random.below(bytes.length)) : bytes
}

/** Returns everything received until the connection ends, without writing more. */
export async function exchange (port: number, bytes: Buffer): Promise<string> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  const chunks: Buffer[] = []
  socket.on('data', (chunk: Buffer) => chunks.push(chunk)).on('error', () => {}).on('end', () => socket.end())
  // In two segments, like a network.
  const at = bytes.length >> 1
  socket.write(bytes.subarray(0, at))
  setImmediate(() => socket.end(bytes.subarray(at)))
  // An accepted upgrade ends without a reply from us; its data is not awaited.
  socket.setTimeout(300, () => socket.destroy())
  await new Promise<void>(resolve => socket.once('close', () => resolve()))
  return Buffer.concat(chunks).toString('latin1')
}
