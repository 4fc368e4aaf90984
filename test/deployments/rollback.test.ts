import t from 'tap'
import { build, listen } from '../support/build.ts'
import { connectWs } from '../support/clients.ts'
import { objectWith, team, type Team } from '../support/deployments.ts'
import { pace } from '../support/waiting.ts'

t.setTimeout(300_000)

const { app } = await build(t)
const url = await listen(app)

async function applied ({ author }: Team, ...items: Parameters<Team['author']['create']>[0]): Promise<string> {
  const created = await author.create(items)
  const { status, text } = await author.act(created.body.id, 'apply')
  if (status !== 200) throw new Error(text)
  return created.body.id
}

const inStaging = async (own: Team, path: string) => (await own.author.request('GET', path, undefined, 'staging'))

t.test('a rollback returns the target to what it had', async t => {
  const own = await team(app)
  const { author, topic, schema } = own
  await topic('order.placed')
  await schema('order.placed', objectWith('id'))
  await topic('order.placed', 'staging', 'As before')
  await schema('order.placed', { ...objectWith('id'), title: 'old' }, 'staging')
  await topic('order.paid')
  const id = await applied(
    own, { kind: 'topic', name: 'order.placed' }, { kind: 'schema', name: 'order.placed' },
    { kind: 'topic', name: 'order.paid' }
  )
  t.match((await inStaging(own, '/api/topics/order.placed')).body, { description: 'A topic', activeSchemaVersion: 2 })
  t.match(await author.get(id), {
    status: 'applied', ready: true, items: [
      { action: 'update', checks: [{ name: 'rollback', ok: true }] },
      { action: 'update', targetVersion: 2, checks: [{ ok: true, message: /Version 1 of the schema/ }] },
      { action: 'create', checks: [{ ok: true, message: /will be deleted/ }] }
    ]
  })
  const back = await author.act(id, 'rollback')
  t.match(back.body, { status: 'rolled_back', rolledBackBy: author.id, ready: false })
  t.match((await inStaging(own, '/api/topics/order.placed')).body, { description: 'As before', activeSchemaVersion: 1 })
  t.equal((await inStaging(own, '/api/topics/order.paid')).status, 404)
  t.equal((await inStaging(own, '/api/schemas/order.placed/versions')).body.length, 2, 'versions are never deleted')
  t.match((await author.act(id, 'rollback')).body, { code: 'DEPLOYMENT_STATUS' })
  t.match((await author.act(id, 'apply')).body, { code: 'DEPLOYMENT_STATUS' })

  // The same contents can be deployed again: the registered version becomes active.
  const again = await author.create([{ kind: 'schema', name: 'order.placed' }])
  t.match(again.body.items, [{ action: 'update', targetVersion: 2 }])
  t.equal((await author.act(again.body.id, 'apply')).status, 200)
  t.match((await inStaging(own, '/api/topics/order.placed')).body, { activeSchemaVersion: 2 })
})

t.test('a topic that is in use is kept, and the answer has the reason', async t => {
  const uses: { reason: RegExp, use: (own: Team) => Promise<unknown> }[] = [
    {
      reason: /it has events/,
      use: own => own.made('POST', '/api/topics/order.placed/events', { payload: { id: 'a' } }, 'staging')
    },
    {
      reason: /a webhook names it/,
      use: own => own.made('POST', '/api/webhooks', {
        url: 'https://hook.example.test/', events: ['topic.event'], topics: ['order.placed'], environments: ['staging']
      })
    },
    {
      reason: /its retention was set/,
      use: own => own.made('PATCH', '/api/topics/order.placed', { retentionHours: 'forever' }, 'staging')
    },
    {
      reason: /other versions of its schema/,
      use: own =>
        own.made('POST', '/api/schemas/order.placed', { schema: objectWith('id'), activate: false }, 'staging')
    },
    {
      reason: /the mapping map_\S+ writes to it/,
      use: own => own.made('POST', '/api/database/mappings', {
        table: 'orders', topic: 'order.placed', events: ['insert']
      }, 'staging')
    }
  ]
  for (const { reason, use } of uses) {
    const own = await team(app)
    await own.topic('order.placed')
    await own.schema('order.placed', objectWith('id'))
    const id = await applied(own, { kind: 'topic', name: 'order.placed' }, { kind: 'schema', name: 'order.placed' })
    await use(own)
    t.match((await own.author.get(id)).items, [{ checks: [{ ok: true, message: reason }] }, {}])
    t.match((await own.author.act(id, 'rollback')).body, { status: 'rolled_back', items: [{ note: reason }, {}] })
    t.match((await inStaging(own, '/api/topics/order.placed')).body, { activeSchemaVersion: null })
  }
})

t.test('live subscriptions are counted, and keep a topic', async t => {
  const own = await team(app)
  const { author, topic, applicationId } = own
  await topic('order.placed')
  const token = app.tokens.mint({
    subject: 'client', applicationId, permissions: ['subscribe'], environment: 'staging', expiresInS: undefined
  }).token
  await own.made('POST', '/api/webhooks', { url: 'https://hook.example.test/', events: ['*'] })
  const { id } = (await author.create([{ kind: 'topic', name: 'order.placed' }])).body
  t.match(await author.get(id), { listeners: [{ topic: 'order.placed', subscriptions: 0, webhooks: 1 }] })
  await author.act(id, 'apply')
  const client = await connectWs(url, { token })
  t.teardown(() => { client.close() })
  t.match(await client.request('subscribe', { topic: 'order.placed' }), { ok: true })
  t.match(await author.get(id), {
    listeners: [{ topic: 'order.placed', subscriptions: 1, webhooks: 1 }],
    items: [{ checks: [{ message: /1 live subscription$/ }] }]
  })
  t.match((await author.act(id, 'rollback')).body, { items: [{ note: /1 live subscription$/ }] })
})

t.test('a rollback does not undo what somebody has changed since', async t => {
  const changes: { what: string, change: (own: Team) => Promise<unknown>, reason: RegExp }[] = [
    {
      what: 'a description', reason: /was changed in staging since/,
      change: own => own.made('PATCH', '/api/topics/order.placed', { description: 'Better' }, 'staging')
    },
    {
      what: 'a topic of the same name', reason: /was deleted from staging and registered again since/,
      change: async own => {
        await own.made('DELETE', '/api/topics/order.paid', undefined, 'staging')
        await pace(5)
        await own.topic('order.paid', 'staging')
      }
    },
    {
      what: 'an active version', reason: /Version 2 of the schema of order.placed is active in staging/,
      change: own => own.schema('order.placed', { ...objectWith('id'), title: 'hotfix' }, 'staging')
    },
    {
      what: 'no active version', reason: /No version of the schema/,
      change: own => own.made('PATCH', '/api/topics/order.placed', { activeSchemaVersion: null }, 'staging')
    }
  ]
  for (const { what, change, reason } of changes) {
    const own = await team(app)
    const { author, topic, schema, everything } = own
    await topic('order.placed')
    await schema('order.placed', objectWith('id'))
    await topic('order.paid')
    await topic('order.placed', 'staging', 'As before')
    const id = await applied(
      own, { kind: 'topic', name: 'order.paid' }, { kind: 'topic', name: 'order.placed' },
      { kind: 'schema', name: 'order.placed' }
    )
    await change(own)
    t.match(await author.get(id), { ready: false })
    const before = await everything()
    const refused = await author.act(id, 'rollback')
    t.match(refused.body, { code: 'DEPLOYMENT_NOT_READY', details: [{ name: 'rollback', message: reason }] }, what)
    t.equal(await everything(), before, 'nothing was changed')
  }
  const own = await team(app)
  await own.topic('order.placed')
  await own.topic('order.placed', 'staging', 'As before')
  const id = await applied(own, { kind: 'topic', name: 'order.placed' })
  await own.author.request('DELETE', '/api/topics/order.placed', undefined, 'staging')
  t.match((await own.author.act(id, 'rollback')).body, { details: [{ message: /was deleted from staging since/ }] })
})

t.test('a topic that the deployment registered and somebody deleted needs no rollback', async t => {
  const own = await team(app)
  await own.topic('order.placed')
  await own.schema('order.placed', objectWith('id'))
  const id = await applied(own, { kind: 'topic', name: 'order.placed' }, { kind: 'schema', name: 'order.placed' })
  await own.author.request('DELETE', '/api/topics/order.placed', undefined, 'staging')
  t.match((await own.author.act(id, 'rollback')).body, { status: 'rolled_back' })
})

t.test('a later deployment of the same items must be rolled back first', async t => {
  const own = await team(app)
  await own.topic('order.placed')
  await own.schema('order.placed', objectWith('id'))
  const first = await applied(own, { kind: 'topic', name: 'order.placed' }, { kind: 'schema', name: 'order.placed' })
  await own.schema('order.placed', { ...objectWith('id'), title: 'second' })
  const second = await applied(own, { kind: 'schema', name: 'order.placed' })
  t.equal((await own.author.act(first, 'rollback')).status, 409)
  t.equal((await own.author.act(second, 'rollback')).status, 200)
  // The second version stays registered, so that the topic is still in use by more than the first deployment.
  t.match((await own.author.act(first, 'rollback')).body, {
    status: 'rolled_back', items: [{ note: /other versions of its schema/ }, {}]
  })
  t.match((await inStaging(own, '/api/topics/order.placed')).body, { activeSchemaVersion: null })
})
