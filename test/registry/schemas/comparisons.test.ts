import t from 'tap'
import { createCheckerPool } from '../../../src/registry/schemas/checker-pool.ts'
import { Comparisons } from '../../../src/registry/schemas/comparisons.ts'
import { build } from '../../support/build.ts'
import { tenant, type Tenant } from '../../support/tenant.ts'
import { configuration, pigeons } from '../json-schema/entangled.ts'

t.setTimeout(600_000)

const scope = { applicationId: 'app_a', environment: 'development' as const }
const list = <T>(length: number, make: (i: number) => T): T[] => Array.from({ length }, (_, i) => make(i))

/** Creates comparisons with real threads over versions in memory. `loaded` returns the versions that were loaded. */
function comparisonsOf (
  t: { teardown(end: () => unknown): void }, versions: unknown[],
  { stepsMax, pairStepsMax }: { stepsMax?: number, pairStepsMax?: number } = {}
) {
  const checker = createCheckerPool(pairStepsMax === undefined ? {} : { stepsMax: pairStepsMax })
  t.teardown(() => checker.close())
  const texts = versions.map(schema => JSON.stringify(schema))
  const loaded: number[] = []
  const comparisons = new Comparisons({
    checker,
    load: async (_scope, _topic, numbers) => {
      loaded.push(...numbers)
      return numbers.map(version => ({ version, schema: texts[version - 1] ?? '' }))
    },
    ...stepsMax !== undefined && { stepsMax }
  })
  const earlier = texts.map((text, i) => ({ version: i + 1, bytes: text.length }))
  const compare = (schema: unknown, more: object = {}) =>
    comparisons.compare(scope, 'a.topic', {
      schema: JSON.stringify(schema),
      mode: 'backward_transitive',
      policy: 'lenient',
      earlier,
      ...more
    })
  return { compare, loaded: () => loaded.splice(0) }
}

t.test('each pair is compared once, and its cached verdict is the same', async t => {
  const versions = list(30, i => ({ type: 'object', properties: { n: { maximum: i } } }))
  const { compare, loaded } = comparisonsOf(t, versions)
  const first = await compare({ properties: { n: { maximum: 20 } } })
  t.match(first, { compatible: false, comparedWith: list(30, i => i + 1) })
  t.same(first.changes.filter(({ compatible }) => !compatible).map(({ comparedWith }) => comparedWith), [
    30, 29, 28, 27, 26, 25, 24, 23, 22
  ], 'those that allowed more')
  t.same(loaded().sort((a, b) => a - b), list(30, i => i + 1))
  t.same(await compare({ properties: { n: { maximum: 20 } } }), first)
  t.same(loaded(), [], 'nothing is compared again')
  t.match(
    await compare({ properties: { n: { maximum: 20 } } }, { mode: 'backward', earlier: [{ version: 30, bytes: 1 }] }),
    { compatible: false, comparedWith: [30] }
  )
  t.same(loaded(), [], 'nothing is compared again for another mode')
  await compare({ properties: { n: { maximum: 20 } } }, { mode: 'full', earlier: [{ version: 30, bytes: 1 }] })
  t.same(loaded(), [30], 'the other direction is compared')
  await compare({ properties: { n: { maximum: 20 } } }, { policy: 'strict', earlier: [{ version: 30, bytes: 1 }] })
  t.same(loaded(), [30], 'the other policy is compared')
  t.match(await compare(false, { mode: 'none' }), { compatible: true, changes: [], comparedWith: [] })
})

t.test('a request that reaches its step limit is 503, and a retry continues', async t => {
  const versions = list(40, i => configuration(60 + i))
  const { compare, loaded } = comparisonsOf(t, versions, { stepsMax: 100_000 })
  const seen = new Set<number>()
  let refused = 0
  for (;;) {
    const answer = await compare(configuration(100)).catch((error: { code: string }) => error)
    for (const version of loaded()) seen.add(version)
    if (!('code' in answer)) {
      t.match(answer, { compatible: true, comparedWith: list(40, i => i + 1) })
      break
    }
    t.match(answer, { code: 'SCHEMA_COMPARISON_LIMIT', status: 503, retryAfterS: 1, message: / \d+ of 40 comparisons/ })
    if (++refused > 40) break
  }
  t.ok(refused > 0 && refused < 40, `${refused} attempts`)
  t.equal(seen.size, 40)
})

t.test('a pair whose steps run out is 503, is not compared again, and does not hide an incompatible pair', async t => {
  const { compare, loaded } = comparisonsOf(t, [{ type: 'object', properties: { a: { maximum: 5 } } }, pigeons(9)], {
    pairStepsMax: 100_000
  })
  const reader = { minProperties: 200 }
  const limit = { code: 'SCHEMA_COMPARISON_LIMIT', status: 503, retryAfterS: 60, message: /version 2 of a\.topic/ }
  await t.rejects(compare(reader, { mode: 'backward', earlier: [{ version: 2, bytes: 1 }] }), limit)
  t.same(loaded(), [2])
  await t.rejects(compare(reader, { mode: 'backward', earlier: [{ version: 2, bytes: 1 }] }), limit)
  t.same(loaded(), [], 'the pair is not compared again')
  const verdict = await compare(reader)
  t.equal(verdict.compatible, false)
  t.ok(verdict.changes.every(({ compatible, comparedWith }) => compatible || comparedWith === 1))
})

t.test('versions of large configuration files have one verdict, in a fresh thread and later', async t => {
  const versions = list(25, i => configuration(190 + i))
  t.ok(JSON.stringify(versions[0]).length > 45_000)
  const { compare } = comparisonsOf(t, versions)
  const wider = await compare(configuration(215))
  t.match(wider, { compatible: true, comparedWith: { length: 25 } })
  const narrower = { ...configuration(215), required: ['setting1'] }
  const verdict = await compare(narrower)
  t.match(verdict, { compatible: false })
  t.equal(verdict.changes.filter(({ compatible }) => !compatible).length, 25)
  t.ok(verdict.changes.every(change => change.compatible || 'witness' in change))
  t.same(await comparisonsOf(t, versions).compare(narrower), verdict, 'the same verdict in other threads')
})

const { app } = await build(t)

async function withVersions (count: number, schema: (i: number) => unknown): Promise<{ shop: Tenant, topic: string }> {
  const shop = await tenant(app)
  const topic = await shop.topic('many.versions')
  await app.db.insertInto('schemas').values(list(count, i => ({
    application_id: shop.applicationId,
    environment: 'development',
    topic,
    version: i + 1,
    schema: JSON.stringify(schema(i)),
    compatibility_mode: 'none',
    policy: 'lenient',
    created_at: Date.now()
  }))).execute()
  return { shop, topic }
}

t.test('a transitive mode compares with at most a thousand versions', async t => {
  const { shop, topic } = await withVersions(
    1_000,
    i => ({
      type: 'object',
      properties: Object.fromEntries(list(20, j => [`p${j}`, { type: 'integer', maximum: i + j }]))
    })
  )
  const next = {
    type: 'object',
    properties: Object.fromEntries(list(20, j => [`p${j}`, { type: 'integer', maximum: 2_000 }]))
  }
  const dryRun = await shop.request('POST', `/api/schemas/${topic}/compatibility`, {
    schema: next,
    compatibilityMode: 'backward_transitive'
  })
  t.match(dryRun, { status: 200, body: { compatible: true } })
  t.same(dryRun.body.comparedWith, list(1_000, i => i + 1))
  const narrow = await shop.request('POST', `/api/schemas/${topic}`, {
    schema: { properties: { p0: { maximum: 0 } } },
    compatibilityMode: 'backward_transitive'
  })
  t.match(narrow, {
    status: 409, body: { code: 'SCHEMA_INCOMPATIBLE', message: /version 1000, 999, .* and 989 more of many\.versions/ }
  })
  t.equal(narrow.body.details.length, 999)
  t.match(
    await shop.request('POST', `/api/schemas/${topic}`, { schema: next, compatibilityMode: 'backward_transitive' }),
    { status: 201, body: { version: 1_001 } }
  )
  const tooMany = { status: 400, body: { code: 'VALIDATION_FAILED', details: [{ path: '/compatibilityMode' }] } }
  t.match(
    await shop.request('POST', `/api/schemas/${topic}`, { schema: next, compatibilityMode: 'backward_transitive' }),
    tooMany
  )
})

t.test('a comparison that exceeds its steps is 503 with Retry-After, never 409, at every attempt', async t => {
  const { shop, topic } = await withVersions(1, () => pigeons(9))
  const schema = { minProperties: 200 }
  for (const url of [`/api/schemas/${topic}`, `/api/schemas/${topic}/compatibility`, `/api/schemas/${topic}`]) {
    const answer = await shop.request('POST', url, { schema })
    t.match(answer, {
      status: 503, headers: { 'retry-after': '60' },
      body: { error: 'ServiceUnavailableError', code: 'SCHEMA_COMPARISON_LIMIT' }
    }, url)
  }
  t.match(await shop.request('POST', `/api/schemas/${topic}`, { schema, compatibilityMode: 'none' }), { status: 201 })
})

t.test('a tenant waits for at most one slow schema of another tenant', async t => {
  const { shop, topic } = await withVersions(1, () => pigeons(9))
  const other = await tenant(app)
  await other.topic('other.topic')
  let done = 0
  const busy = list(
    6,
    i =>
      shop.request('POST', `/api/schemas/${topic}/compatibility`, { schema: { minProperties: 200 + i } }).finally(
        () => {
          done++
        }
      )
  )
  const registered = await other.request('POST', '/api/schemas/other.topic', { schema: { type: 'string' } })
  t.equal(registered.status, 201)
  t.ok(done <= 2, `${done} jobs of the other tenant finished first`)
  t.ok((await Promise.all(busy)).every(({ status }) => status === 503))
})
