import jsonpatch, { type Operation } from 'fast-json-patch'
import t from 'tap'
import type { Scope } from '../../schemas/scope.ts'
import { DocumentLoader } from '../../src/documents/document-loader.ts'
import { ValidationError } from '../../src/errors.ts'
import { invalid } from '../../src/foundation/json.ts'
import { Budget } from '../../src/registry/json-schema/validation/fuel.ts'
import { watched } from '../support/database.ts'
import { createDomain, parse } from '../support/domain.ts'

const domain = await createDomain(t)
const { documents, committed, metrics } = domain.node()
const key = (id: string, service = 'session') => ({ service, id })
const upTo = (count: number) => Array.from({ length: count }, (_, i) => i)
const start = (scope: Scope, id: string, data: Record<string, unknown> = {}) =>
  documents.create(scope, 'session', { id, data })

await t.test('a document is created, changed and deleted, and each write raises its revision', async t => {
  const scope = await domain.createScope()
  const created = await documents.create(scope, 'session', { data: { status: 'active', 'ключ "x"': '\u2028' } })
  const first = parse(created)
  t.match(first, { service: 'session', id: /^doc_/, revision: 1, data: { status: 'active', 'ключ "x"': '\u2028' } })
  t.equal(first.createdAt, first.updatedAt)
  t.equal(created.etag, '"1"')
  const { id } = first

  t.strictSame(await documents.get(scope, key(id)), created)
  t.strictSame(parse(await documents.merge(scope, key(id), { data: { status: null, n: { a: 1 } } })).data, {
    'ключ "x"': '\u2028', n: { a: 1 }
  })
  t.strictSame(
    parse(await documents.mutate(scope, key(id), { mutations: [{ op: 'increment', path: '/n/a' }] })).data['n'],
    { a: 2 }
  )
  t.strictSame(parse(await documents.replace(scope, key(id), { data: { b: [1.50, 1e21, -0] } })).data, {
    b: [1.5, 1e21, 0]
  })
  const removed = parse(await documents.remove(scope, key(id)))
  t.match(removed, { id, revision: 5, deleted: true, data: { b: [1.5, 1e21, 0] }, createdAt: first.createdAt })
  for (
    const attempt of [
      () => documents.get(scope, key(id)), () => documents.remove(scope, key(id)),
      () => documents.merge(scope, key(id), { data: {} }), () => documents.replace(scope, key(id), { data: {} }),
      () => documents.mutate(scope, key(id), { mutations: [{ op: 'remove', path: '/b' }] })
    ]
  ) {
    await t.rejects(attempt(), {
      status: 404,
      code: 'DOCUMENT_NOT_FOUND',
      message: `Document not found: session/${id}`
    })
  }

  const again = parse(await documents.create(scope, 'session', { id, data: {} }))
  t.equal(again.revision, 6, 'the revisions continue')
  t.ok(again.createdAt >= removed.updatedAt)
})

await t.test('small writes to large documents are not all held in memory at once', async t => {
  const scope = await domain.createScope()
  const halves = async () => Number(/reason="halved"\} (\d+)/.exec(await metrics.registry.metrics())?.[1] ?? 0)
  const big = { text: 'x'.repeat(250_000) }
  for (const i of upTo(100)) await start(scope, `big${i}`, big)
  t.equal(await halves(), 0)

  const merged = await Promise.all(upTo(100).map(i => documents.merge(scope, key(`big${i}`), { data: { i } })))
  t.strictSame(merged.map(answer => parse(answer).data), upTo(100).map(i => ({ ...big, i })))
  const byDocuments = await halves()
  t.ok(byDocuments > 0, 'a hundred documents')

  const revisions = await Promise.all(
    upTo(100).map(async () => parse(await documents.merge(scope, key('big0'), { data: {} })).revision)
  )
  t.strictSame(revisions, upTo(100).map(i => i + 3), 'in their order')
  const byEvents = await halves()
  t.ok(byEvents > byDocuments, 'a hundred events of one document')

  const removed = await Promise.all(upTo(100).map(i => documents.remove(scope, key(`big${i}`))))
  t.ok(removed.every(answer => parse(answer).data['text'] === big.text))
  t.ok(await halves() > byEvents)
  t.equal(
    (await domain.pool.query('select from events where application_id = $1', [scope.applicationId])).rowCount, 400
  )
})

await t.test('every write appends an event whose full and diff forms agree', async t => {
  const scope = await domain.createScope()
  await start(scope, 'd', { status: 'active', n: 1 })
  await documents.merge(scope, key('d'), { data: { status: 'ended' } })
  const tombstone = parse(await documents.remove(scope, key('d')))
  await start(scope, 'd', { again: true })

  const [created, recreated] = await domain.events(scope, 'session', 'created')
  const [updated] = await domain.events(scope, 'session', 'updated')
  const [deleted] = await domain.events(scope, 'session', 'deleted')
  t.match(created?.toEvent(), {
    topic: 'sync.session.created',
    offset: 1,
    type: 'document.created',
    source: 'sync',
    key: 'd',
    schemaVersion: null,
    meta: { service: 'session', documentId: 'd', revision: 1 }
  })
  t.strictSame(Object.keys(created?.value as object), ['service', 'id', 'revision', 'data', 'createdAt', 'updatedAt'])
  t.strictSame(JSON.parse(created?.diff ?? ''), {
    service: 'session',
    id: 'd',
    revision: 1,
    previousRevision: 0,
    diff: [{ op: 'add', path: '', value: { status: 'active', n: 1 } }]
  })
  t.match(updated?.value, { revision: 2, data: { status: 'ended', n: 1 } })
  t.strictSame(JSON.parse(updated?.diff ?? ''), {
    service: 'session',
    id: 'd',
    revision: 2,
    previousRevision: 1,
    diff: [{ op: 'replace', path: '/status', value: 'ended' }]
  })
  t.match(JSON.parse(updated?.json('both') ?? ''), {
    payload: { data: { status: 'ended' }, previousRevision: 1, diff: [{ path: '/status' }] }
  })
  t.strictSame(deleted?.value, {
    service: 'session',
    id: 'd',
    revision: 3,
    data: { status: 'ended', n: 1 },
    createdAt: tombstone.createdAt,
    updatedAt: tombstone.updatedAt,
    deleted: true,
    reason: 'deleted'
  })
  t.strictSame(JSON.parse(deleted?.diff ?? ''), {
    service: 'session',
    id: 'd',
    revision: 3,
    previousRevision: 2,
    diff: [{ op: 'remove', path: '' }],
    deleted: true,
    reason: 'deleted'
  })
  t.match(JSON.parse(deleted?.json('both') ?? ''), {
    payload: { deleted: true, previousRevision: 2, diff: [{ op: 'remove' }] }
  })
  t.match(JSON.parse(recreated?.diff ?? ''), {
    revision: 4, previousRevision: 3, diff: [{ op: 'add', path: '', value: { again: true } }]
  })
})

await t.test('the diffs of a document, applied in order, give its data', async t => {
  const scope = await domain.createScope()
  await start(scope, 'd', { list: [1, 2, 3], map: { 'a/b': 1 } })
  await documents.mutate(scope, key('d'), {
    mutations: [{ op: 'remove', path: '/list/0' }, { op: 'set', path: '/map/a~1b', value: [] }]
  })
  await documents.merge(scope, key('d'), { data: { map: { x: { y: null } }, list: null } })
  const { data } = parse(await documents.replace(scope, key('d'), { data: { list: { no: 'longer' }, map: { x: 1 } } }))
  let value: unknown = { list: [1, 2, 3], map: { 'a/b': 1 } }
  for (const event of await domain.events(scope, 'session', 'updated')) {
    const { diff } = JSON.parse(event.diff ?? '') as { diff: Operation[] }
    value = jsonpatch.applyPatch(value, diff, true).newDocument
  }
  t.strictSame(value, data)
})

await t.test('exactly one of many concurrent creations of one id succeeds', async t => {
  const scope = await domain.createScope()
  const nodes = [domain.node(), domain.node(), domain.node()]
  const outcomes = await Promise.allSettled(
    upTo(30).map(async i => nodes[i % 3]?.documents.create(scope, 'session', { id: 'one', data: { i } }))
  )
  t.equal(outcomes.filter(({ status }) => status === 'fulfilled').length, 1)
  for (const outcome of outcomes) {
    if (outcome.status === 'rejected') t.match(outcome.reason, { status: 409, code: 'DOCUMENT_EXISTS' })
  }
})

await t.test('concurrent merges and mutations on several nodes all take effect', async t => {
  const scope = await domain.createScope()
  await start(scope, 'd', { count: 0 })
  const nodes = [domain.node(), domain.node(), domain.node()]
  await Promise.all(
    upTo(150).map(async i => {
      const node = nodes[i % 3]?.documents
      return i % 2 === 0
        ? node?.merge(scope, key('d'), { data: { [`m${i}`]: i } })
        : node?.mutate(scope, key('d'), {
          mutations: [{ op: 'increment', path: '/count' }, { op: 'append', path: '/list', value: i }]
        })
    })
  )
  const { revision, data } = parse(await documents.get(scope, key('d')))
  t.equal(revision, 151)
  t.equal(data['count'], 75)
  t.strictSame((data['list'] as number[]).toSorted((a, b) => a - b), upTo(150).filter(i => i % 2 === 1))
  t.equal(Object.keys(data).filter(name => name.startsWith('m')).length, 75)
  t.strictSame(
    (await domain.events(scope, 'session', 'updated')).map(event => (event.value as { revision: number }).revision),
    upTo(150).map(i => i + 2)
  )
})

await t.test('one of many writers with one expected revision succeeds, the others get the current one', async t => {
  const scope = await domain.createScope()
  await start(scope, 'd')
  const outcomes = await Promise.allSettled(
    upTo(10).map(i => documents.merge(scope, key('d'), { data: { i }, expectedRevision: 1 }))
  )
  t.equal(outcomes.filter(({ status }) => status === 'fulfilled').length, 1)
  for (const outcome of outcomes) {
    if (outcome.status === 'rejected') {
      t.match(outcome.reason, {
        status: 409, code: 'REVISION_MISMATCH', message: 'Revision mismatch: expected 1, but session/d is at revision 2'
      })
    }
  }
  t.equal(parse(await documents.get(scope, key('d'))).revision, 2)
})

await t.test('If-Match guards each kind of write', async t => {
  const scope = await domain.createScope()
  await start(scope, 'd', { n: 1 })
  const stale = { ifMatch: '"7"' }
  for (
    const attempt of [
      () => documents.merge(scope, key('d'), { data: {} }, stale),
      () => documents.replace(scope, key('d'), { data: {} }, stale), () => documents.remove(scope, key('d'), stale),
      () => documents.mutate(scope, key('d'), { mutations: [{ op: 'remove', path: '/n' }] }, stale),
      () => documents.remove(scope, key('d'), { ifMatch: 'W/"1"' })
    ]
  ) await t.rejects(attempt(), { status: 412, code: 'ETAG_MISMATCH', message: /session\/d is at revision 1/ })
  await documents.merge(scope, key('d'), { data: {} }, { ifMatch: '"9", "1"' })
  await documents.merge(scope, key('d'), { data: {} }, { ifMatch: '*' })
  t.equal(parse(await documents.remove(scope, key('d'), { ifMatch: '"3"' })).revision, 4)
  await t.rejects(documents.remove(scope, key('d'), { ifMatch: '*' }), { status: 404, code: 'DOCUMENT_NOT_FOUND' })
})

await t.test('a retry with the same idempotency key has no effect and gets the first answer', async t => {
  const scope = await domain.createScope()
  const idempotencyKey = { owner: 'me', key: 'k-1' }
  const create = () => documents.create(scope, 'session', { data: { a: 1 } }, { idempotencyKey })
  const [first, ...others] = await Promise.all([create(), create(), create()])
  for (const other of [...others, await create()]) t.strictSame(other, first)
  t.equal((await domain.events(scope, 'session', 'created')).length, 1)
  await t.rejects(documents.create(scope, 'session', { data: { a: 2 } }, { idempotencyKey }), {
    status: 409, code: 'IDEMPOTENCY_KEY_REUSED'
  })
  await t.rejects(documents.create(scope, 'other', { data: { a: 1 } }, { idempotencyKey }), {
    code: 'IDEMPOTENCY_KEY_REUSED'
  })

  const { id } = parse(first ?? {})
  const mutate = () =>
    documents.mutate(scope, key(id), { mutations: [{ op: 'increment', path: '/a' }] }, {
      idempotencyKey: { owner: 'me', key: 'k-2' }
    })
  t.strictSame(await mutate(), await mutate())
  t.equal(parse(await documents.get(scope, key(id))).data['a'], 2)
})

await t.test('an expired document is not found at once, for every kind of access', async t => {
  const scope = await domain.createScope()
  await documents.create(scope, 'session', { id: 'd', data: { a: 1 }, expiresAt: Date.now() + 60_000 })
  t.ok(parse(await documents.merge(scope, key('d'), { data: {} })).expiresAt, 'a write keeps the expiry')
  await domain.expire('d')
  for (
    const attempt of [() => documents.get(scope, key('d')), () =>
      documents.merge(scope, key('d'), { data: {} }), () =>
      documents.remove(scope, key('d'))]
  ) {
    await t.rejects(attempt(), { status: 404, code: 'DOCUMENT_NOT_FOUND' })
  }
  for (const includeDeleted of [true, false]) {
    t.equal((await documents.list(scope, 'session', { includeDeleted })).json, '[]')
  }

  const again = parse(await documents.create(scope, 'session', { id: 'd', data: { b: 1 } }))
  t.match(again, { revision: 4, data: { b: 1 } })
  t.equal(again.expiresAt, undefined)
  t.match((await domain.events(scope, 'session', 'deleted')).map(event => event.value), [{
    revision: 3, data: { a: 1 }, reason: 'expired'
  }])
  const ordered = committed.filter(event => event.scope.applicationId === scope.applicationId).map(event => event.type)
  t.strictSame(ordered, ['document.created', 'document.updated', 'document.deleted', 'document.created'])
  await t.rejects(documents.create(scope, 'session', { data: {}, expiresAt: 1 }), {
    status: 400, message: '/expiresAt must be in the future'
  })
})

await t.test('no write and no series of small writes makes a document too large or too deep', async t => {
  const scope = await domain.createScope()
  const kib100 = 'x'.repeat(100 * 1024)
  await start(scope, 'd', { a: kib100, b: kib100 })
  const tooLarge = { status: 400, code: 'VALIDATION_FAILED', message: /larger than 262144 bytes/ }
  await t.rejects(documents.merge(scope, key('d'), { data: { c: kib100 } }), tooLarge)
  await t.rejects(
    documents.mutate(scope, key('d'), { mutations: [{ op: 'append', path: '/list', value: kib100 }] }), tooLarge
  )
  await t.rejects(documents.merge(scope, key('d'), { data: { c: 'é'.repeat(40 * 1024) } }), tooLarge)
  await documents.mutate(scope, key('d'), {
    mutations: [{ op: 'remove', path: '/a' }, { op: 'set', path: '/c', value: kib100 }]
  })

  await start(scope, 'deep', {})
  let path = ''
  for (let depth = 1; depth < 64; depth++) {
    path += '/a'
    await documents.mutate(scope, key('deep'), { mutations: [{ op: 'set', path, value: {} }] })
  }
  await t.rejects(
    documents.mutate(scope, key('deep'), { mutations: [{ op: 'set', path: `${path}/a`, value: {} }] }),
    ValidationError
  )
  await t.rejects(
    documents.mutate(scope, key('deep'), { mutations: [{ op: 'append', path: `${path}/a`, value: 1 }] }),
    ValidationError
  )
  await documents.mutate(scope, key('deep'), { mutations: [{ op: 'set', path: `${path}/a`, value: 1 }] })
})

await t.test('lists page through the ids and apply their filters', async t => {
  const scope = await domain.createScope()
  for (const id of ['a', 'B', 'c', 'd:1', '_e']) await start(scope, id, { id })
  await documents.remove(scope, key('c'))
  const seen: string[] = []
  let cursor: string | undefined
  let pages = 0
  do {
    const page: { json: string, nextCursor: string | undefined } = await documents.list(scope, 'session', {
      limit: 2,
      includeDeleted: true,
      ...(cursor !== undefined && { cursor })
    })
    seen.push(...(JSON.parse(page.json) as { id: string }[]).map(({ id }) => id))
    cursor = page.nextCursor
    pages++
  } while (cursor !== undefined)
  t.strictSame(seen.toSorted(), ['B', '_e', 'a', 'c', 'd:1'])
  t.equal(pages, 3)
  const live = JSON.parse((await documents.list(scope, 'session', {})).json) as { id: string, deleted?: boolean }[]
  t.strictSame(live.map(({ id }) => id).toSorted(), ['B', '_e', 'a', 'd:1'])
  t.notOk(live.some(({ deleted }) => deleted))

  await domain.pool.query('update documents set updated_at = 1000 where application_id = $1 and id <> $2', [
    scope.applicationId, 'c'
  ])
  t.match(JSON.parse((await documents.list(scope, 'session', { updatedAfter: 1000, includeDeleted: true })).json), [{
    id: 'c', deleted: true, revision: 2
  }])
  t.equal((await documents.list(scope, 'session', { updatedAfter: 1000 })).json, '[]')
  t.equal((await documents.list(scope, 'nothing', {})).json, '[]')
  await t.rejects(documents.list(scope, 'session', { cursor: 'bm9uc2Vuc2U' }), {
    status: 400, code: 'VALIDATION_FAILED'
  })
})

await t.test('a page of large documents ends early and has a cursor', async t => {
  const scope = await domain.createScope()
  await Promise.all(upTo(40).map(i => start(scope, `d${String(i).padStart(2, '0')}`, { text: 'x'.repeat(250_000) })))
  const first = await documents.list(scope, 'session', { limit: 1000 })
  t.ok(first.json.length < 9 * 1024 * 1024)
  const rest = await documents.list(scope, 'session', { limit: 1000, cursor: first.nextCursor ?? '' })
  t.equal((JSON.parse(first.json) as unknown[]).length + (JSON.parse(rest.json) as unknown[]).length, 40)
  t.equal(rest.nextCursor, undefined)
})

await t.test('no scope reads documents of another', async t => {
  const [mine, others] = [await domain.createScope(), await domain.createScope()]
  await start(mine, 'd', { a: 1 })
  for (const scope of [others, { ...mine, environment: 'staging' as const }]) {
    await t.rejects(documents.get(scope, key('d')), { status: 404, code: 'DOCUMENT_NOT_FOUND' })
    await t.rejects(documents.merge(scope, key('d'), { data: {} }), { status: 404, code: 'DOCUMENT_NOT_FOUND' })
    t.equal((await documents.list(scope, 'session', { includeDeleted: true })).json, '[]')
    t.equal(parse(await documents.create(scope, 'session', { id: 'd', data: { b: 1 } })).revision, 1)
  }
  t.strictSame(parse(await documents.get(mine, key('d'))).data, { a: 1 })
})

await t.test('concurrent look-ups share a statement, and each gets its own document', async t => {
  const scope = await domain.createScope()
  await Promise.all(upTo(1200).map(i => start(scope, `d${i}`, { i })))
  let statements = 0
  const loader = new DocumentLoader({ pool: watched(domain.pool, () => { statements++ }) })
  const found = await Promise.all([...upTo(1200), 5, 5, -1].map(i => loader.load(scope, key(`d${i}`))))
  t.equal(statements, 3)
  t.strictSame(found.slice(0, 1200).map(document => document?.dataText), upTo(1200).map(i => `{"i":${i}}`))
  t.equal(found[1200]?.id, 'd5')
  t.equal(found[1202], undefined)

  const broken = new DocumentLoader({ pool: watched(domain.pool, () => { throw new Error('gone') }) })
  const outcomes = await Promise.allSettled(upTo(600).map(i => broken.load(scope, key(`d${i}`))))
  t.ok(outcomes.every(({ status }) => status === 'rejected'))
})

await t.test('a read after an acknowledged write includes it', async t => {
  const scope = await domain.createScope()
  await start(scope, 'd', { n: 0 })
  const reads = (async () => { for (let i = 0; i < 200; i++) await documents.get(scope, key('d')) })()
  for (let n = 1; n <= 50; n++) {
    await documents.merge(scope, key('d'), { data: { n } })
    const answers = await Promise.all([documents.get(scope, key('d')), documents.get(scope, key('d'))])
    for (const answer of answers) t.ok((parse(answer).data['n'] as number) >= n)
  }
  await reads
})

await t.test('a document of a deleted application is 404', async t => {
  const scope: Scope = { applicationId: 'app_gone', environment: 'development' }
  await t.rejects(start(scope, 'd'), { status: 404, code: 'APPLICATION_NOT_FOUND' })
})

await t.test('a schema of the document\'s topic checks its writes but never its deletion', async t => {
  const checked = await createDomain(t, {
    check: {
      createBudget: () => new Budget(),
      prepare: (_scope, topic, version) => (payload, path) => {
        const { data } = payload as { data: { n?: unknown } }
        if (typeof data.n !== 'number') {
          throw invalid(`${path}/data/n`, `must be a number, says version ${version} of ${topic}`)
        }
      }
    }
  })
  const { documents } = checked.node()
  const scope = await checked.createScope()
  for (const change of ['created', 'updated', 'deleted']) {
    await checked.pool.query("insert into topics values ($1, $2, $3, '', '', 3, 0)", [
      scope.applicationId,
      scope.environment,
      `sync.session.${change}`
    ])
  }
  await t.rejects(documents.create(scope, 'session', { id: 'd', data: {} }), {
    status: 400, message: /^\/data\/n must be a number, says version 3 of sync.session.created/
  })
  await documents.create(scope, 'session', { id: 'd', data: { n: 1 } })
  await t.rejects(documents.merge(scope, key('d'), { data: { n: null } }), { status: 400, message: /^\/data\/n/ })
  t.equal(parse(await documents.get(scope, key('d'))).revision, 1)
  await checked.pool.query('update documents set data = \'{}\'')
  await documents.remove(scope, key('d'))
  t.strictSame(
    [await checked.events(scope, 'session', 'created'), await checked.events(scope, 'session', 'deleted')].map((
      [event]
    ) => event?.schemaVersion),
    [3, null]
  )
})
