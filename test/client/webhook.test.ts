import { RealtimeError, type RealtimeEvent } from '@realtime-platform/client'
import {
  signWebhook, WebhookError, WebhookReceiver, type VerifiedWebhook, type WebhookBody, type WebhookErrorCode,
  type WebhookHeaders
} from '@realtime-platform/client/webhook'
import { build as bundle } from 'esbuild'
import { expectTypeOf } from 'expect-type'
import fc from 'fast-check'
import { randomBytes } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { createContext, runInContext } from 'node:vm'
import { Webhook as StandardWebhook } from 'standardwebhooks'
import t, { type Test } from 'tap'
import { tenant } from '../support/tenant.ts'
import { receiver } from '../support/webhook-receiver.ts'
import { hook, node } from '../support/webhooks.ts'

const secret = `whsec_${randomBytes(32).toString('base64')}`
const event = {
  id: 'evt_1', topic: 'order.placed', offset: 42, epoch: 'k3J9sQ2x', type: 'topic.event', source: 'api',
  applicationId: 'app_1', environment: 'development', timestamp: 1705312800000, schemaVersion: null, key: null,
  payload: { total: 42, note: 'grüße 🎉' }
} satisfies RealtimeEvent
const bodyOf = (data: unknown) =>
  JSON.stringify({ type: 'topic.event', timestamp: '2024-01-15T10:00:00.000Z', data })
const body = bodyOf(event)

/** Expects the same refusal of both methods. */
async function refused (
  t: Test, code: WebhookErrorCode, body: unknown, headers: unknown, receiver = new WebhookReceiver(secret)
): Promise<void> {
  const input = [body as WebhookBody, headers as WebhookHeaders] as const
  t.throws(() => receiver.verify(...input), { name: 'WebhookError', code })
  await t.rejects(receiver.verifyAsync(...input), { name: 'WebhookError', code })
}

t.test('both methods accept what the official library signs', async t => {
  const standard = new StandardWebhook(secret)
  const now = new Date()
  const headers = {
    'webhook-id': 'msg_1', 'webhook-timestamp': String(Math.floor(now.getTime() / 1000)),
    'webhook-signature': standard.sign('msg_1', now, body)
  }
  const receiver = new WebhookReceiver(secret)
  for (const verified of [receiver.verify(body, headers), await receiver.verifyAsync(body, headers)]) {
    t.strictSame(verified, {
      id: 'msg_1', timestamp: Math.floor(now.getTime() / 1000) * 1000, isTest: false, event
    })
  }
})

t.test('the official library accepts what signWebhook signs', async t => {
  t.strictSame(new StandardWebhook(secret).verify(body, await signWebhook(secret, body)), JSON.parse(body))
})

t.test('the body may be text, a Buffer, a Uint8Array or an ArrayBuffer', async t => {
  const headers = await signWebhook(secret, body)
  const receiver = new WebhookReceiver(secret)
  const bytes = new TextEncoder().encode(body)
  const inTheMiddle = Buffer.concat([Buffer.from('xx'), bytes, Buffer.from('yy')]).subarray(2, 2 + bytes.length)
  for (const form of [body, Buffer.from(body), bytes, bytes.buffer, inTheMiddle, new DataView(bytes.buffer)]) {
    t.strictSame(receiver.verify(form, headers).event, event)
    t.strictSame((await receiver.verifyAsync(form, headers)).event, event)
  }
})

t.test('headers may be an object of any case, with lists, Headers, a Map or pairs', async t => {
  const headers = await signWebhook(secret, body)
  const pairs = Object.entries(headers)
  const receiver = new WebhookReceiver(secret)
  for (
    const form of [
      headers, new Headers(headers), new Map(pairs), pairs,
      Object.fromEntries(pairs.map(([name, value]) => [name.toUpperCase(), value])),
      new Map(pairs.map(([name, value]) => [name.replaceAll('webhook', 'Webhook'), value])),
      Object.fromEntries(pairs.map(([name, value]) => [name, [value]])),
      { ...headers, 'webhook-signature': ['v1,AAAA', headers['webhook-signature']] },
      { ...headers, 'webhook-signature': `v1,AAAA, ${headers['webhook-signature']}` }
    ]
  ) t.strictSame(receiver.verify(body, form).event, event)
})

t.test('one of several secrets, and one of several signatures, has to match', async t => {
  const next = `whsec_${randomBytes(24).toString('base64')}`
  const [first, second] = await Promise.all([secret, next].map(secret => signWebhook(secret, body, { id: 'dlv_1' })))
  const both = { ...first, 'webhook-signature': `${second?.['webhook-signature']} ${first?.['webhook-signature']}` }
  for (const secrets of [secret, next, [secret], [secret, next], ['another text', next]]) {
    t.equal(new WebhookReceiver(secrets).verify(body, both).id, 'dlv_1')
  }
  t.equal(new WebhookReceiver([secret, next]).verify(body, second as typeof both).id, 'dlv_1')
  await refused(t, 'SIGNATURE_INVALID', body, second)
})

t.test('a secret is used as the server uses it', async t => {
  const shown = [[`v1,${secret}`, secret], [`${secret}\n`, secret], ['plain ütf', 'plain ütf']] as const
  for (const [text, used] of shown) {
    t.ok(new WebhookReceiver(text).verify(body, await signWebhook(used, body)))
  }
  const text = randomBytes(32).toString('base64')
  await refused(t, 'SIGNATURE_INVALID', body, await signWebhook(text, body), new WebhookReceiver(`whsec_${text}`))
  for (
    const bad of [
      '', undefined, null, 5, [], [secret, ''], 'whsec_', 'whsec_abc', 'whsec_%%%', 'whsk_abc', 'whpk_abc',
      `whsec_${randomBytes(23).toString('base64')}`, `whsec_${randomBytes(65).toString('base64')}`,
      `whsec_${Buffer.alloc(32, 255).toString('base64url')}`
    ]
  ) t.throws(() => new WebhookReceiver(bad as string), { code: 'SECRET_INVALID' }, String(bad))
})

t.test('a changed body, id, time or signature is refused', async t => {
  const headers = await signWebhook(secret, body)
  const seconds = Number(headers['webhook-timestamp'])
  for (const changed of [body.replace('42', '43'), `${body} `, body.slice(1), '', Buffer.from(body, 'latin1')]) {
    await refused(t, 'SIGNATURE_INVALID', changed, headers)
  }
  const signature = headers['webhook-signature']
  for (
    const changed of [
      { 'webhook-id': 'dlv_other' }, { 'webhook-timestamp': `${seconds + 1}` }, { 'webhook-timestamp': `0${seconds}` },
      ...[
        'v1,', 'v1', signature.slice(3), `v2${signature.slice(2)}`, `v1a${signature.slice(2)}`, signature.slice(0, -1),
        `${signature}=`, signature.toLowerCase(), `x${signature}`, `${signature}\u0000`, 'v1,undefined',
        `v1,${signature}`
      ].map(signature => ({ 'webhook-signature': signature }))
    ]
  ) await refused(t, 'SIGNATURE_INVALID', body, { ...headers, ...changed })
})

t.test('a signature that is too old or of the future is refused', async t => {
  const at = (ms: number) => signWebhook(secret, body, { timestamp: Date.now() + ms })
  await refused(t, 'TIMESTAMP_TOO_OLD', body, await at(-330_000))
  await refused(t, 'TIMESTAMP_TOO_NEW', body, await at(330_000))
  t.ok(new WebhookReceiver(secret).verify(body, await at(-270_000)))
  t.ok(new WebhookReceiver(secret, { toleranceMs: Infinity }).verify(body, await at(-1e11)))
  await refused(t, 'TIMESTAMP_TOO_OLD', body, await at(-30_000), new WebhookReceiver(secret, { toleranceMs: 10_000 }))
  const headers = await at(-1000)
  await refused(t, 'TIMESTAMP_TOO_OLD', body, headers, new WebhookReceiver(secret, { toleranceMs: NaN }))
  for (const bad of ['now', '-5', '1e9', '1.5', ' 1705312800', '9'.repeat(13), 'Infinity', '0x10']) {
    await refused(t, 'TIMESTAMP_INVALID', body, { ...headers, 'webhook-timestamp': bad })
  }
})

t.test('missing headers are named', async t => {
  const headers = await signWebhook(secret, body)
  for (const name of Object.keys(headers)) {
    const { [name]: _, ...rest } = headers as Record<string, string>
    for (const form of [rest, new Headers(rest), { ...rest, [name]: undefined }, { ...rest, [name]: [] }]) {
      t.throws(() => new WebhookReceiver(secret).verify(body, form), { code: 'HEADER_MISSING', message: name })
    }
  }
  for (const form of [undefined, null, 5, 'text', [], ['webhook-id', 'x'], Promise.resolve(headers)]) {
    await refused(t, 'HEADER_MISSING', body, form)
  }
})

t.test('a parsed body is refused with the way to get the bytes', async t => {
  const headers = await signWebhook(secret, body)
  for (const parsed of [JSON.parse(body), undefined, null, 5, [body], new Blob([body]), new Request('http://x.test')]) {
    await refused(t, 'BODY_NOT_RAW', parsed, headers)
  }
  t.throws(() => new WebhookReceiver(secret).verify(JSON.parse(body) as string, headers), {
    message: /express\.raw.*addContentTypeParser.*request\.text/s
  })
})

t.test('a signed body that is no event is refused', async t => {
  const others = ['', '{', 'null', '5', '[]', '{}', '{"data":null}', bodyOf({}), bodyOf({ topic: 5, payload: 1 })]
  for (const other of others) {
    await refused(t, 'BODY_INVALID', other, await signWebhook(secret, other))
  }
  const withoutUtf8 = Buffer.from([0xff, 0xfe])
  await refused(t, 'BODY_INVALID', withoutUtf8, await signWebhook(secret, withoutUtf8))
})

t.test('whatever arrives, it is refused with a WebhookError', async () => {
  const receiver = new WebhookReceiver(secret)
  const names = ['webhook-id', 'webhook-timestamp', 'webhook-signature', 'Webhook-Id', '__proto__', 'get']
  const seconds = () => String(Math.floor(Date.now() / 1000))
  const header = fc.oneof(fc.string(), fc.constant('v1,AAAA'), fc.constant(seconds()), fc.array(fc.string()))
  const headers = fc.oneof(
    fc.dictionary(fc.oneof(fc.constantFrom(...names), fc.string()), header),
    fc.record({ 'webhook-id': fc.string(), 'webhook-timestamp': fc.constant(seconds()), 'webhook-signature': header })
  )
  const bodies = fc.oneof(fc.string(), fc.uint8Array(), fc.anything())
  await fc.assert(fc.asyncProperty(bodies, headers, async (body, headers) => {
    const errors = [
      await receiver.verifyAsync(body as string, headers).catch((error: unknown) => error),
      await new Promise((_resolve, reject) => reject(receiver.verify(body as string, headers)))
        .catch((error: unknown) => error)
    ]
    return errors.every(error => error instanceof WebhookError && error instanceof RealtimeError)
  }), { numRuns: 2000 })
})

t.test('verifyAsync runs at the edge, and verify refers to it there', async t => {
  const { outputFiles: [output] } = await bundle({
    entryPoints: [fileURLToPath(import.meta.resolve('@realtime-platform/client/webhook'))],
    bundle: true, format: 'iife', globalName: 'library', platform: 'browser', write: false, logLevel: 'silent'
  })
  const code = output?.text ?? ''
  t.notMatch(code, /\b(?:require|import)\b\s*\(/, 'nothing is loaded')
  // The globals that every edge runtime has, and nothing of Node.
  const context = createContext({
    crypto, TextEncoder, TextDecoder, atob, btoa, Headers, secret, body, headers: await signWebhook(secret, body)
  })
  const run = (script: string): unknown => runInContext(script, context)
  run(`${code}; var receiver = new library.WebhookReceiver(secret)`)
  t.match(await run('receiver.verifyAsync(body, new Headers(headers))'), { isTest: false, event })
  t.match(await run('receiver.verifyAsync(new TextEncoder().encode(body).buffer, headers)'), { event })
  t.match(await run('receiver.verifyAsync(body + " ", headers).catch(error => error)'), { code: 'SIGNATURE_INVALID' })
  t.match(run('try { receiver.verify(body, headers) } catch (error) { error }'), {
    code: 'CRYPTO_UNAVAILABLE', message: /verifyAsync/
  })
  context['crypto'] = undefined
  t.match(await run('receiver.verifyAsync(body, headers).catch(error => error)'), { code: 'CRYPTO_UNAVAILABLE' })
})

t.test('deliveries of the server are accepted, before, during and after a rotation', async t => {
  const { app } = await node(t)
  const shop = await tenant(app)
  await shop.topic('order.placed')
  const sink = await receiver(t)
  const { id, secret: first } = await hook(shop, sink.url)

  await shop.publish('order.placed', { n: 1 })
  await sink.came(1)
  const { status, body: { secret: second } } = await shop.request('POST', `/api/webhooks/${id}/rotate-secret`, {})
  t.equal(status, 200)
  await shop.publish('order.placed', { n: 2, text: 'grüße 🎉' })
  const [before, during] = await sink.came(2)
  t.ok(before !== undefined && during !== undefined)
  if (before === undefined || during === undefined) return

  const verified = new WebhookReceiver(first).verify(before.text, before.headers)
  t.strictSame(verified.event, before.body.data)
  t.match(verified, { id: before.id, isTest: false, timestamp: Number(before.headers['webhook-timestamp']) * 1000 })
  for (const secrets of [first, second, [first, second]]) {
    t.strictSame(new WebhookReceiver(secrets).verify(during.text, during.headers).event, during.body.data)
    const { event } = await new WebhookReceiver(secrets).verifyAsync(Buffer.from(during.text), during.headers)
    t.strictSame(event.payload, { n: 2, text: 'grüße 🎉' })
  }
  await refused(t, 'SIGNATURE_INVALID', before.text, before.headers, new WebhookReceiver(second))

  t.equal((await shop.request('POST', `/api/webhooks/${id}/test`)).status, 200)
  const test = (await sink.came(3))[2]
  t.match(new WebhookReceiver(second).verify(test?.text ?? '', test?.headers ?? {}), {
    isTest: true, event: { topic: 'webhook.test', payload: { message: /test of your webhook/ } }
  })
})

t.test('the event has the payload of its topic in the TopicMap', async t => {
  interface Topics { 'order.placed': { total: number }, 'order.paid': { by: string } }
  const typed = new WebhookReceiver<Topics>(secret).verify(body, await signWebhook(secret, body))
  if (typed.event.topic === 'order.placed') expectTypeOf(typed.event.payload).toEqualTypeOf<{ total: number }>()
  if (typed.event.topic === 'order.paid') expectTypeOf(typed.event.payload).toEqualTypeOf<{ by: string }>()
  if (!typed.isTest) expectTypeOf(typed.event.topic).toEqualTypeOf<keyof Topics>()
  else expectTypeOf(typed.event.payload).toEqualTypeOf<{ message: string }>()
  expectTypeOf(typed).toEqualTypeOf<VerifiedWebhook<Topics>>()
  const untyped = new WebhookReceiver(secret).verify(body, await signWebhook(secret, body))
  expectTypeOf(untyped.event.payload).toBeAny()
  t.strictSame(typed, { ...untyped, id: typed.id, timestamp: typed.timestamp })
})
