import fc from 'fast-check'
import { Webhook as Verifier } from 'standardwebhooks'
import t from 'tap'
import { createEncryption } from '../../src/foundation/encryption/encryption.ts'
import { sealedPlaces } from '../../src/foundation/encryption/reencrypt.ts'
import { TokenBucket } from '../../src/foundation/limits/token-bucket.ts'
import { Circuit } from '../../src/webhooks/dispatch/circuit.ts'
import { fairSlots } from '../../src/webhooks/dispatch/fair-slots.ts'
import { createRetrySchedule } from '../../src/webhooks/dispatch/retry-schedule.ts'
import { parseRetryAfter } from '../../src/webhooks/http/retry-after.ts'
import { signatureHeaders } from '../../src/webhooks/request-body.ts'
import { checkSecret, generateSecret, keyOf, openKeys, overlapMs, rotated } from '../../src/webhooks/secrets.ts'
import { upTo } from '../support/webhooks.ts'

t.test('the schedule has full jitter and five retries', async t => {
  const waits = [5000, 30_000, 120_000, 600_000, 3_600_000]
  t.strictSame([1, 2, 3, 4, 5, 6].map(createRetrySchedule(waits, () => 1).delayMs), [...waits, undefined])
  t.strictSame([1, 5].map(createRetrySchedule(waits, () => 0).delayMs), [0, 0])
  t.equal(createRetrySchedule(waits).totalMs, 4_355_000)
  fc.assert(fc.property(fc.integer({ min: 1, max: 5 }), failures => {
    const delay = createRetrySchedule(waits).delayMs(failures) ?? NaN
    return delay >= 0 && delay <= (waits[failures - 1] ?? 0)
  }))
})

t.test('Retry-After is seconds or an HTTP date, within limits', async t => {
  const now = Date.parse('Wed, 21 Oct 2026 07:28:00 GMT')
  const cases: [string | undefined, number | undefined][] = [
    ['120', 120_000],
    ['0', 0],
    [' 3 ', 3000],
    ['Wed, 21 Oct 2026 07:29:00 GMT', 60_000],
    ['Wednesday, 21-Oct-26 07:29:00 GMT', 60_000],
    ['Wed Oct 21 07:29:00 2026', 60_000],
    ['Wed, 21 Oct 2026 07:29:00', 60_000],
    ['wed, 21 oct 2026 07:29:00 gmt', 60_000],
    ['Sun Nov  1 00:00:00 2026', 3_600_000],
    ['Sun, 01 Nov 2026 00:00:00 +0000', 3_600_000],
    ['Friday, 21-Oct-94 07:29:00 GMT', 0],
    ['Thu, 31 Dec 2026 23:59:60 GMT', 3_600_000],
    ['Wed, 21 Oct 2026 07:29:00 +0200', undefined],
    ['Wed, 21 Oct 2026 25:00:00 GMT', undefined],
    ['Wed, 31 Feb 2026 07:29:00 GMT', undefined],
    ['Wed, 21 Okt 2026 07:29:00 GMT', undefined],
    ['Mon', undefined],
    ['Wed, 21 Oct 2026 07:00:00 GMT', 0],
    ['99999999', 3_600_000],
    ['99999999999', undefined],
    ['-1', undefined],
    ['1.5', undefined],
    ['soon', undefined],
    ['', undefined],
    [undefined, undefined],
    ['2026-10-21', undefined]
  ]
  const zone = process.env['TZ']
  t.teardown(() => { if (zone === undefined) delete process.env['TZ']; else process.env['TZ'] = zone })
  for (const TZ of ['UTC', 'America/New_York', 'Asia/Tokyo']) {
    process.env['TZ'] = TZ
    for (const [value, wanted] of cases) {
      t.equal(parseRetryAfter(value, now, 3_600_000), wanted, `${String(value)} in ${TZ}`)
    }
  }
})

t.test('a circuit opens after consecutive failures, then tries one request, and closes after a success', async t => {
  const circuit = new Circuit({ concurrencyMax: 8, failures: 3, pauseMs: 1000, pauseMaxMs: 4000 })
  t.equal(circuit.room(0, 0), 4, 'an endpoint starts with few slots')
  for (let i = 0; i < 10; i++) circuit.succeeded()
  t.equal(circuit.room(0, 0), 8, 'each success adds one')
  t.equal(circuit.room(8, 0), 0)
  circuit.failed(0, () => 1)
  t.equal(circuit.window, 4, 'a failure halves the window')
  circuit.failed(0, () => 1)
  t.notOk(circuit.isOpen)
  circuit.failed(0, () => 1)
  t.ok(circuit.isOpen)
  t.equal(circuit.room(0, 999), 0)
  circuit.failed(500, () => 1)
  t.equal(circuit.pausedUntil, 1000, 'a request in flight when the circuit opened does not extend the pause')
  t.equal(circuit.room(0, 1000), 1, 'then a single request decides')
  t.equal(circuit.room(1, 1000), 0)
  for (const [at, until] of [[1000, 3000], [3000, 7000], [7000, 11_000]] as const) {
    circuit.failed(at, () => 1)
    t.equal(circuit.pausedUntil, until, 'each pause is longer, up to a limit')
  }
  circuit.succeeded()
  t.notOk(circuit.isOpen)
  t.equal(circuit.room(0, 11_000), 2)
  circuit.pause(20_000)
  t.equal(circuit.room(0, 19_999), 0, 'the endpoint can request a pause')
})

t.test('a rate limit allows its number per second and a burst of the same size', async t => {
  const limit = new TokenBucket()
  t.equal(limit.room(0), Infinity)
  limit.set(10, 0)
  t.equal(limit.room(0), 10)
  limit.take(10)
  t.equal(limit.room(0), 0)
  t.equal(limit.nextAt(0), 100)
  t.equal(limit.room(100), 1)
  t.equal(limit.room(10_000), 10)
  limit.take(7)
  limit.set(10, 10_000)
  t.equal(limit.room(10_000), 3, 'setting the same limit changes nothing')
  limit.set(undefined, 10_000)
  t.equal(limit.room(10_000), Infinity)
})

const demand = (of: string, applicationId: string, room: number, held = 0) => ({ of, applicationId, room, held })
const held = (demands: { applicationId: string, held: number }[]) => {
  const by = new Map<string, number>()
  for (const { applicationId, held } of demands) by.set(applicationId, (by.get(applicationId) ?? 0) + held)
  return by
}
const dealt = (demands: ReturnType<typeof demand>[], free: number, rotation = 0) =>
  fairSlots(demands, free, held(demands), rotation)

t.test('slots are assigned in turn to applications, and within them to endpoints', async t => {
  t.strictSame(
    [...dealt([demand('a', 'x', 3), demand('b', 'x', 0), demand('c', 'y', 2)], 20)], [['a', 3], ['c', 2]],
    'enough slots for all'
  )
  t.strictSame(Object.fromEntries(dealt([demand('a1', 'a', 100), demand('a2', 'a', 100), demand('b', 'b', 100)], 10)), {
    a1: 2, a2: 2, b: 4
  }, 'each application gets the same number')
  t.strictSame(
    Object.fromEntries(dealt([demand('a', 'a', 1000, 3), demand('b', 'b', 1)], 10)), { a: 4, b: 1 },
    'a small demand is met'
  )
  t.strictSame(
    [...dealt([demand('a', 'a', 5, 1), demand('b', 'a', 5), demand('c', 'b', 5)], 1)], [['c', 1]],
    'the one that holds least is first'
  )
  t.equal(dealt([demand('a', 'a', 5)], 0).size, 0)
  const seen = new Set(
    [0, 1, 2].flatMap(
      rotation => [...dealt([demand('a', 'a', 1), demand('b', 'b', 1), demand('c', 'c', 1)], 1, rotation).keys()]
    )
  )
  t.equal(seen.size, 3, 'no endpoint is always last')
})

t.test('no endpoint or application takes more than twice the free slots, so some always stay free', async t => {
  const total = 512
  const taken = dealt([demand('a', 'a', 1000)], total).get('a') ?? 0
  t.ok(taken > total / 2, `a single endpoint gets ${taken}`)
  for (const applications of [1, 2, 10]) {
    const slow = upTo(applications).flatMap(n => upTo(10).map(m => demand(`${n}/${m}`, `a${n}`, 64)))
    const slots = dealt(slow, total)
    const holding = slow.map(one => ({ ...one, held: slots.get(one.of) ?? 0, room: 64 - (slots.get(one.of) ?? 0) }))
    const free = total - holding.reduce((sum, one) => sum + one.held, 0)
    t.equal(dealt(holding, free).size, 0, 'each holds its full share')
    const others = [demand('new', 'new', 4), demand('own', 'a1', 4)]
    t.match(
      Object.fromEntries(dealt([...holding, ...others], free)),
      { new: 4, own: Number },
      `another one has room beside ${applications} applications, and so has another endpoint of theirs`
    )
  }
  fc.assert(
    fc.property(
      fc.array(
        fc.record({
          app: fc.integer({ min: 0, max: 4 }), room: fc.integer({ min: 0, max: 20 }),
          held: fc.integer({ min: 0, max: 20 })
        }),
        { maxLength: 30 }
      ),
      fc.integer({ min: 0, max: 100 }),
      fc.nat(),
      (wanted, free, rotation) => {
        const demands = wanted.map(({ app, room, held }, i) => demand(`e${i}`, `a${app}`, room, held))
        const slots = dealt(demands, free, rotation)
        const after = demands.map(one => ({ ...one, held: one.held + (slots.get(one.of) ?? 0) }))
        const left = free - [...slots.values()].reduce((sum, count) => sum + count, 0)
        return left >= 0 && after.every(({ of, room, applicationId, held: own }) => {
          const given = slots.get(of) ?? 0
          const all = held(after).get(applicationId) ?? 0
          return given <= room &&
            (given === room || left === 0 || (own === 0 ? all >= 4 * left : own >= 2 * (2 * left - all)))
        })
      }
    )
  )
})

t.test('a secret is base64 after whsec_, or else plain text', async t => {
  const generated = generateSecret()
  t.match(generated, /^whsec_/)
  t.equal(keyOf(generated).length, 32)
  t.equal(keyOf('söme text').toString(), 'söme text')
  for (
    const good of [
      generated,
      `whsec_${Buffer.alloc(24, 1).toString('base64')}`,
      `whsec_${Buffer.alloc(64, 1).toString('base64')}`,
      'my-own-secret'
    ]
  ) t.equal(checkSecret(good), good)
  t.equal(checkSecret(`v1,${generated}`), generated, 'as a console shows it')
  t.equal(keyOf(checkSecret('MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw')).length, 32, 'base64 without the prefix is plain text')
  for (
    const bad of [
      `v1,${generated}x`,
      'v1,my-own-secret',
      `v2,${generated}`,
      generated.replace('whsec_', 'WHSEC_'),
      generated.replace('_', '-'),
      'whsk_abcdefgh',
      'v1a,whpk_abcdefgh',
      `v1,v1,${generated}`
    ]
  ) {
    t.throws(() => checkSecret(bad), { code: 'VALIDATION_FAILED' }, bad)
  }
  for (
    const bad of [
      'whsec_',
      'whsec_abc',
      `whsec_${Buffer.alloc(23, 1).toString('base64')}`,
      `whsec_${Buffer.alloc(65, 1).toString('base64')}`,
      `whsec_${Buffer.alloc(32, 255).toString('base64url')}`
    ]
  ) t.throws(() => checkSecret(bad), { code: 'VALIDATION_FAILED' }, bad)
})

t.test('the reference implementation verifies the signature of every key', async t => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 24, maxLength: 64 }), fc.string({ unit: 'grapheme' }), (bytes, text) => {
      const body = JSON.stringify({ text })
      const secrets = [`whsec_${Buffer.from(bytes).toString('base64')}`, 'another secret that is text']
      const headers = signatureHeaders('dlv_1', Math.floor(Date.now() / 1000), body, secrets.map(keyOf))
      new Verifier(secrets[0] ?? '').verify(body, headers)
      new Verifier(secrets[1] ?? '', { format: 'raw' }).verify(body, headers)
      return headers['webhook-signature']?.split(' ').length === 2
    })
  )
  const headers = signatureHeaders('dlv_1', Math.floor(Date.now() / 1000), '{}', [keyOf('a secret')])
  t.throws(() => new Verifier('another secret', { format: 'raw' }).verify('{}', headers))
})

t.test('a replaced secret signs for a day beside the new one, also when it is replaced again', async t => {
  const encryption = createEncryption([Buffer.alloc(32, 1)])
  const sealed = (text: string) => encryption.encrypt(text, sealedPlaces.webhook('wh_1'))
  const first = [{ sealed: sealed('first one'), until: null }]
  const second = rotated(first, sealed('second one'), 1000)
  const third = rotated(second, sealed('third one'), 2000)
  const open = (at: number) => openKeys(encryption, 'wh_1', third, at).map(key => key.toString())
  t.strictSame(open(3000), ['third one', 'second one', 'first one'])
  t.strictSame(open(1000 + overlapMs), ['third one', 'second one'])
  t.strictSame(open(2000 + overlapMs), ['third one'])
  let many = first
  t.throws(() => {
    for (let i = 0; i < 11; i++) many = rotated(many, sealed(`s${i}`), 1000) as typeof first
  }, { code: 'WEBHOOK_LIMIT' })
  t.throws(() => openKeys(createEncryption([Buffer.alloc(32, 2)]), 'wh_1', first, 0))
  t.throws(() => openKeys(encryption, 'wh_2', first, 0), 'secrets of another webhook do not decrypt')
})
