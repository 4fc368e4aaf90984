import { RealtimeClient, type Mutation } from '@realtime-platform/client'
import fc from 'fast-check'
import jsonpatch, { type Operation } from 'fast-json-patch'
import t from 'tap'
import { build, listen } from '../../support/build.ts'
import { tenant } from '../../support/tenant.ts'
import { until } from '../../support/waiting.ts'

/* A live document shows a write at once, and the server then makes the same of it. */

type Data = Record<string, unknown>
interface DiffPayload { revision: number, diff: Operation[] }

const { app } = await build(t)
const url = await listen(app)
const shop = await tenant(app)
const client = new RealtimeClient({ url, token: shop.token() })
const follower = new RealtimeClient({ url, token: shop.token() })
t.teardown(() => { client.disconnect(); follower.disconnect() })

// Few names, so that paths often meet something.
const name = fc.constantFrom('a', 'b', 'list', '', '-', '0', '1', '2', '01', 'a/b', '~', 'toString')
const { value } = fc.letrec<{ value: unknown, object: Data }>(tie => ({
  value: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    fc.constantFrom(0, 1, -1, 0.5, Number.MAX_SAFE_INTEGER, null, true, '', 'text', '🦊'),
    fc.array(tie('value'), { maxLength: 3 }),
    tie('object')
  ),
  object: fc.dictionary(name, tie('value'), { maxKeys: 4 })
}))
const object = fc.dictionary(name, value, { maxKeys: 4 })
const escape = (token: string) => token.replaceAll('~', '~0').replaceAll('/', '~1')
const path = fc.oneof(
  fc.array(name, { maxLength: 3 }).map(tokens => tokens.map(token => `/${escape(token)}`).join('')),
  fc.constantFrom('a', '/~', '/a~2')
)
const mutation = fc.oneof(
  fc.record({ op: fc.constantFrom('set' as const, 'append' as const, 'test' as const), path, value }),
  fc.record({ op: fc.constant('increment' as const), path, value: fc.constantFrom(1, -3, 0, 0.25, 1e-20, 2 ** 53) }),
  fc.record({ op: fc.constant('increment' as const), path }),
  fc.record({ op: fc.constant('remove' as const), path }),
  fc.record({ op: fc.constant('merge' as const), path, value: object })
)

await t.test('mutations and merges have the same effect and the same refusals here and at the server', async t => {
  const document = client.document<Data>('changes', 'one')
  const followed = follower.document<Data>('changes', 'one')
  const seen = new Map<number, Data | undefined>()
  const diffs = new Map<number, Operation[]>()
  document.subscribe(() => {})
  followed.subscribe(() => seen.set(followed.revision ?? NaN, followed.data))
  const subscription = follower.topic('sync.changes.updated').subscribe(event => {
    const { revision, diff } = event.payload as DiffPayload
    diffs.set(revision, diff)
  }, { returnMode: 'diff' })
  await subscription.ready
  await document.create({})
  await until(() => followed.status === 'live' && document.status === 'live', 'live documents')
  let applied = 0
  let refused = 0

  const check = async (write: () => Promise<{ data?: Data }>) => {
    const before = document.data
    const answered = write()
    const shown = document.data
    const [{ status, ...outcome }] = await Promise.allSettled([answered])
    if (status === 'fulfilled') {
      applied++
      t.strictSame(shown, 'value' in outcome && outcome.value.data)
      t.equal(document.data, shown, 'the answer changes nothing')
    } else {
      refused++
      t.match('reason' in outcome && outcome.reason, { code: /^(MUTATION_FAILED|VALIDATION_FAILED)$/ })
      t.equal(shown, before, 'a write that will be refused never shows')
    }
  }
  const some = fc.array(mutation, { minLength: 1, maxLength: 3 })
  await fc.assert(fc.asyncProperty(object, object, some, async (data, patch, mutations) => {
    await check(() => document.replace(data))
    await check(() => document.merge(patch))
    await check(() => document.mutate(mutations as Mutation[]))
    return t.passing()
  }), { numRuns: 200 })
  t.ok(applied > 400 && refused > 50, `${applied} applied, ${refused} refused`)

  await until(() => followed.revision === document.revision, 'the follower')
  t.strictSame(followed.data, document.data)
  t.equal([...seen.keys()].filter(revision => revision > 0).length, document.revision, 'every revision was shown')
  let reference: Data = {}
  for (const [revision, diff] of [...diffs].sort(([a], [b]) => a - b)) {
    reference = jsonpatch.applyPatch(reference, structuredClone(diff)).newDocument
    t.strictSame(seen.get(revision), reference, `revision ${revision} as fast-json-patch has it`)
  }
})

await t.test('names that would change prototypes change none', async t => {
  const document = client.document<Data>('changes', 'two')
  await document.create({})
  document.subscribe(() => {})
  await until(() => document.status === 'live', 'a live document')
  for (const name of ['__proto__', 'constructor', 'prototype']) {
    const patch = JSON.parse(`{"${name}":{"polluted":true}}`) as Data
    await t.rejects(document.merge(patch), { code: 'VALIDATION_FAILED' })
    const path = `/${name}/polluted`
    await t.rejects(document.mutate([{ op: 'set', path, value: true }]), { code: 'VALIDATION_FAILED' })
  }
  t.equal(({} as Data)['polluted'], undefined)
  t.strictSame(document.data, {})
})
