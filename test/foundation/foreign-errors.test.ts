import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import t from 'tap'
import { defaultWebhookLimits } from '../../src/config/webhook-settings.ts'
import { explainForeignError } from '../../src/foundation/foreign-errors.ts'
import { createAddressGuard } from '../../src/webhooks/http/address-guard.ts'
import { Sender } from '../../src/webhooks/http/sender.ts'

/* Error texts about servers that tenants have named. */

t.test('no text of OpenSSL, the resolver or PostgreSQL is returned', async t => {
  const secret =
    '804C039E:error:0A00010B:SSL routines:ssl3_get_record:wrong version ' +
      'number:../deps/openssl/ssl/record/ssl3_record.c:350: 10.0.0.7'
  const codes = [
    'ERR_SSL_WRONG_VERSION_NUMBER',
    'EPROTO',
    'ERR_SSL_TLSV1_ALERT_UNKNOWN_CA',
    'CERT_HAS_EXPIRED',
    'DEPTH_ZERO_SELF_SIGNED_CERT',
    'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
    'SELF_SIGNED_CERT_IN_CHAIN',
    'ERR_TLS_CERT_ALTNAME_INVALID',
    'CRL_HAS_EXPIRED',
    'ENOTFOUND',
    'EAI_AGAIN',
    'ECONNREFUSED',
    'ECONNRESET',
    'ETIMEDOUT',
    'EPIPE',
    'EHOSTUNREACH',
    '28P01',
    '28000',
    '3D000',
    '42501',
    '42P01',
    '53300',
    '57P03',
    '57014',
    '08006',
    'XX000',
    '22P02',
    '99999',
    'HPE_INVALID_CONSTANT',
    'UND_ERR_SOCKET',
    'EWHATEVER',
    `${'x'.repeat(10)} ${secret}`,
    undefined,
    7
  ]
  for (const code of codes) {
    const text = explainForeignError(Object.assign(new Error(secret), { code }))
    t.notMatch(text, /804C|ssl3|openssl|10\.0\.0/, String(code))
    t.match(text, /^(The|There|TLS|PostgreSQL|An) .+/, text)
  }
  t.equal(
    explainForeignError(
      new AggregateError([
        Object.assign(new Error(secret), { code: 'ECONNREFUSED' }),
        Object.assign(new Error(secret), { code: 'ECONNREFUSED' })
      ])
    ),
    'The connection was refused (ECONNREFUSED)'
  )
  for (const thrown of [undefined, null, 'text', 7, new Error(secret)]) {
    t.equal(explainForeignError(thrown), 'The connection failed')
  }
})

t.test('an endless response of any kind fails the attempt at its time limit', async t => {
  const endless = {
    'early hints': { head: '', more: 'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n' },
    'many early hints': { head: '', more: 'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n'.repeat(500) },
    processing: { head: '', more: 'HTTP/1.1 102 Processing\r\n\r\n' },
    'a header by the byte': { head: 'HTTP/1.1 200 OK\r\na: ', more: 'b' },
    'a status line by the byte': { head: 'HTTP/1.1 200 ', more: 'O' },
    'a body by the byte': { head: 'HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n', more: 'x' },
    chunks: { head: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n', more: '1\r\nx\r\n' },
    nothing: { head: '', more: '' }
  }
  for (const [what, { head, more }] of Object.entries(endless)) {
    let requests = 0
    const server = createServer(socket => {
      socket.on('error', () => {})
      socket.once('data', () => {
        requests++
        socket.write(head)
        const timer = setInterval(() => socket.write(more), 5)
        socket.once('close', () => clearInterval(timer))
      })
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const sender = new Sender({
      url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
      guard: createAddressGuard({ allowPrivate: true, allowedNetworks: [], resolve: async () => [] }),
      settings: { ...defaultWebhookLimits, timeoutMs: 300 },
      onResent () {}
    })
    const attempt = await sender.send('{}', {})
    t.match(attempt, { success: false, error: 'No response within 300 ms' }, what)
    t.ok(attempt.durationMs < 10_000)
    t.equal(requests, 1, 'the request is sent once')
    await sender.close()
    server.close()
    await once(server, 'close')
  }
})
