import t from 'tap'
import type { Deployment } from '../../schemas/deployments.ts'
import { build } from '../support/build.ts'
import { objectWith, team } from '../support/deployments.ts'

t.setTimeout(300_000)

const { app } = await build(t)

t.test('topics and schemas go from development over staging to production', async t => {
  const { author, topic, schema, made, applicationId } = await team(app)
  await topic('order.placed')
  await schema('order.placed', objectWith('id'))
  await schema('order.placed', { ...objectWith('id'), description: 'second' })
  const items = [{ kind: 'schema' as const, name: 'order.placed' }, { kind: 'topic' as const, name: 'order.placed' }]

  const created = await author.create(items)
  t.equal(created.status, 201, created.text)
  const { id } = created.body as Deployment
  t.match(created.body, {
    source: 'development', target: 'staging', status: 'open', createdBy: author.id, createdWith: 'session', ready: true,
    applicationId, listeners: [{ topic: 'order.placed', subscriptions: 0, webhooks: 0 }],
    items: [
      {
        kind: 'schema', name: 'order.placed', version: 2, action: 'create', targetVersion: 1,
        diff: [{ op: 'add', path: '', value: { type: 'object' } }],
        checks: [{ name: 'topic', ok: true }, { name: 'compatibility', ok: true }]
      },
      {
        kind: 'topic', name: 'order.placed', version: null, action: 'create', targetVersion: null,
        diff: [{ op: 'add', path: '', value: { description: 'A topic', owner: 'tests' } }],
        checks: [{ name: 'topic', ok: true, message: 'The topic order.placed will be registered in staging' }]
      }
    ]
  })

  // The source changes: what was put into the deployment stays.
  await made('PATCH', '/api/topics/order.placed', { description: 'Changed later' })
  await schema('order.placed', { ...objectWith('id'), description: 'third' })
  const applied = await author.act(id, 'apply')
  t.equal(applied.status, 200, applied.text)
  t.match(applied.body, { status: 'applied', appliedBy: author.id, ready: true })
  t.equal((await made('GET', '/api/topics/order.placed', undefined, 'staging')).description, 'A topic')
  const [stored, ...others] = await made('GET', '/api/schemas/order.placed/versions', undefined, 'staging')
  t.match(stored, { version: 1, schema: { description: 'second' }, compatibilityMode: 'backward' })
  t.same(others, [])
  const refused = await author.request(
    'POST', '/api/topics/order.placed/events', { payload: { id: 1 } }, 'staging'
  )
  t.match(refused.body, { code: 'SCHEMA_VIOLATED' }, 'the schema is in force')

  const again = await author.act(id, 'apply')
  t.equal(again.status, 409)
  t.match(again.body, { code: 'DEPLOYMENT_STATUS', message: /is applied, since .* by usr_/ })

  const onward = await author.create(items, 'staging')
  t.match(onward.body, { target: 'production', ready: true, items: [{ version: 1, action: 'create' }, {}] })
  t.equal((await author.act(onward.body.id, 'apply')).status, 200)
  t.match(await made('GET', '/api/topics/order.placed', undefined, 'production'), {
    description: 'A topic', activeSchemaVersion: 1
  })

  const second = await author.create(items)
  t.match(second.body.items, [
    { version: 3, targetVersion: 2, action: 'update', diff: [{ op: 'replace', path: '/description', value: 'third' }] },
    { action: 'update', diff: [{ op: 'replace', path: '/description', value: 'Changed later' }] }
  ])
  t.equal((await author.act(second.body.id, 'apply')).status, 200)
  const third = await author.create(items)
  t.match(third.body.items, [
    { version: 3, targetVersion: 2, action: 'none', diff: [] }, { action: 'none', diff: [] }
  ], 'there is nothing left to do')
  t.equal((await author.act(third.body.id, 'apply')).status, 200)
  t.equal((await made('GET', '/api/schemas/order.placed/versions', undefined, 'staging')).length, 2)

  const entries = await app.db.selectFrom('audit_log').select(['action', 'environment', 'resource_id'])
    .where('application_id', '=', applicationId).where('environment', '!=', 'development').orderBy('sequence').execute()
  t.same(entries.slice(0, 4).map(({ action, environment }) => [action, environment]), [
    ['deployment.created', 'staging'], ['topic.created', 'staging'], ['schema.registered', 'staging'],
    ['deployment.applied', 'staging']
  ])
})

t.test('an incompatible schema blocks the whole deployment, with the reasons', async t => {
  const { author, topic, schema, everything } = await team(app)
  await topic('order.placed')
  await topic('order.paid')
  await schema('order.placed', objectWith('id', 'total'))
  await topic('order.placed', 'staging')
  await schema('order.placed', objectWith('id'), 'staging')
  const created = await author.create([
    { kind: 'topic', name: 'order.paid' }, { kind: 'schema', name: 'order.placed' }
  ])
  t.match(created.body, {
    ready: false,
    items: [{ checks: [{ ok: true }] }, {
      checks: [{ name: 'topic', ok: true }, {
        name: 'compatibility', ok: false, message: /not backward compatible with version 1 in staging: .*total/
      }],
      compatibility: { compatible: false, comparedWith: [1] }
    }]
  })
  const before = await everything()
  const refused = await author.act(created.body.id, 'apply')
  t.equal(refused.status, 409)
  t.match(refused.body, {
    code: 'DEPLOYMENT_NOT_READY',
    details: [{ path: '/items/1', name: 'compatibility', message: /total/ }]
  })
  t.equal(refused.body.details.length, 1, 'only the failing check')
  t.equal(await everything(), before, 'nothing was changed')
})

t.test("the target's compatibility mode decides, and stays", async t => {
  const { author, topic, schema, made } = await team(app)
  await topic('order.placed')
  await schema('order.placed', objectWith('id'), 'development', { compatibilityMode: 'none' })
  await topic('order.placed', 'staging')
  await schema('order.placed', objectWith('id', 'total'), 'staging', { compatibilityMode: 'full' })
  const refused = await author.create([{ kind: 'schema', name: 'order.placed' }])
  t.match(refused.body, { ready: false, items: [{ compatibility: { compatible: false, compatibilityMode: 'full' } }] })
  await schema('order.placed', { ...objectWith('id', 'total'), title: 'Order' }, 'development', {
    compatibilityMode: 'none'
  })
  const { body } = await author.create([{ kind: 'schema', name: 'order.placed' }])
  t.equal((await author.act(body.id, 'apply')).status, 200)
  const stored = await made('GET', '/api/schemas/order.placed/versions/2', undefined, 'staging')
  t.match(stored, { compatibilityMode: 'full' })
})

t.test('a schema needs its topic in the target or in the deployment', async t => {
  const { author, topic, schema } = await team(app)
  await topic('order.placed')
  await schema('order.placed', objectWith('id'))
  const { body } = await author.create([{ kind: 'schema', name: 'order.placed' }])
  t.match(body, {
    ready: false, items: [{ checks: [{ name: 'topic', ok: false, message: /not registered in staging/ }] }]
  })
  t.equal((await author.act(body.id, 'apply')).status, 409)
  await topic('order.placed', 'staging')
  t.match(await author.get(body.id), { ready: true }, 'the checks are fresh')
  t.equal((await author.act(body.id, 'apply')).status, 200)
})

t.test('a schema of a platform topic is deployed and rolled back', async t => {
  const { author, schema, made } = await team(app)
  await schema('sync.cart.updated', { type: 'object' })
  const { body } = await author.create([{ kind: 'schema', name: 'sync.cart.updated' }])
  t.match(body, { ready: true })
  t.equal((await author.act(body.id, 'apply')).status, 200)
  t.match(await made('GET', '/api/schemas?active=true', undefined, 'staging'), [{ topic: 'sync.cart.updated' }])
  t.equal((await author.act(body.id, 'rollback')).status, 200)
  t.same(await made('GET', '/api/schemas?active=true', undefined, 'staging'), [])
  // Its version is registered already, and only becomes active.
  const again = await author.create([{ kind: 'schema', name: 'sync.cart.updated' }])
  t.equal((await author.act(again.body.id, 'apply')).status, 200)
  t.match(await made('GET', '/api/schemas?active=true', undefined, 'staging'), [{ version: 1 }])
})

t.test('invalid items are refused with their paths', async t => {
  const { author, topic } = await team(app)
  await topic('order.placed')
  const cases: [unknown[], number, object][] = [
    [[{ kind: 'topic' }], 400, { details: [{ path: '/items/0/name' }] }],
    [[{ kind: 'mapping', name: 'a' }], 400, { details: [{ path: '/items/0/id' }] }],
    [[{ kind: 'topic', name: 'a', id: 'map_1' }], 400, { details: [{ path: '/items/0/id' }] }],
    [[{ kind: 'topic', name: 'order.placed', version: 1 }], 400, { details: [{ path: '/items/0/version' }] }],
    [[{ kind: 'topic', name: 'a' }, { kind: 'topic', name: 'a' }], 400, { details: [{ path: '/items/1' }] }],
    [[{ kind: 'topic', name: 'sync.cart.updated' }], 400, { code: 'TOPIC_RESERVED' }],
    [[{ kind: 'topic', name: 'none' }], 404, { code: 'TOPIC_NOT_FOUND' }],
    [[{ kind: 'schema', name: 'order.placed' }], 404, { code: 'SCHEMA_NOT_FOUND' }],
    [[{ kind: 'schema', name: 'order.placed', version: 7 }], 404, { code: 'SCHEMA_VERSION_NOT_FOUND' }],
    [[{ kind: 'mapping', id: 'map_none' }], 404, { code: 'MAPPING_NOT_FOUND' }],
    [[], 400, { code: 'VALIDATION_FAILED' }],
    [Array.from({ length: 51 }, (_, i) => ({ kind: 'topic', name: `t${i}` })), 400, { code: 'VALIDATION_FAILED' }]
  ]
  for (const [items, status, body] of cases) {
    const answer = await author.request('POST', '/api/deployments', { title: 'A change', source: 'development', items })
    t.equal(answer.status, status, answer.text)
    t.match(answer.body, body)
  }
  t.match((await author.create([{ kind: 'topic', name: 'order.placed' }], 'production')).body, {
    code: 'VALIDATION_FAILED', details: [{ path: '/source' }]
  })
})

t.test('comments, a rejection, and the list', async t => {
  const { author, topic, join, applicationId } = await team(app)
  await topic('order.placed')
  await author.create([{ kind: 'topic', name: 'order.placed' }])
  const viewer = await join(['viewer', applicationId])
  const { body: { id } } = await author.create([{ kind: 'topic', name: 'order.placed' }], 'development', 'Second')
  const commented = await author.act(id, 'comments', { text: 'Why?' })
  t.equal(commented.status, 201)
  t.match(commented.body.comments, [{ text: 'Why?', createdBy: author.id }])
  t.equal((await viewer.act(id, 'comments', { text: 'No' })).status, 403)
  t.equal((await viewer.request('GET', `/api/deployments/${id}`)).status, 200)
  const rejected = await author.act(id, 'reject', { reason: 'Too early' })
  t.match(rejected.body, { status: 'rejected', reason: 'Too early', rejectedBy: author.id, ready: false, checks: [] })
  for (const action of ['apply', 'approve', 'rollback']) {
    t.match((await author.act(id, action)).body, { code: 'DEPLOYMENT_STATUS' }, action)
  }
  t.equal((await author.act(id, 'comments', { text: 'A pity' })).status, 201)

  const list = async (query: string) => await viewer.request('GET', `/api/deployments?${query}`)
  t.same((await list('')).body.map(({ title }: Deployment) => title), ['Second', 'A change'])
  t.same((await list('status=rejected')).body.map(({ title }: Deployment) => title), ['Second'])
  t.same((await list('q=CHANGE')).body.map(({ title }: Deployment) => title), ['A change'])
  t.same((await list('target=production')).body, [])
  t.equal((await list(`createdBy=${author.id}`)).body.length, 2)
  const first = await list('limit=1')
  const next = await list(`limit=1&cursor=${String(first.headers['x-next-cursor'])}`)
  t.same(next.body.map(({ title }: Deployment) => title), ['A change'])
  t.equal(next.headers['x-next-cursor'], undefined)
  const titles = (await list('sort=title&order=asc')).body.map(({ title }: Deployment) => title)
  t.same(titles, ['A change', 'Second'])
  t.equal((await list(`sort=title&cursor=${String(first.headers['x-next-cursor'])}`)).status, 400)
})
