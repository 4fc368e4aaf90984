import pg from 'pg'
import t from 'tap'
import type { Deployment } from '../../schemas/deployments.ts'
import type { MappingDefinition } from '../../schemas/database.ts'
import type { Environment } from '../../schemas/scope.ts'
import { build } from '../support/build.ts'
import { team, type Team } from '../support/deployments.ts'
import { createSource, eventsOf } from '../support/source-database.ts'
import type { Teardown } from '../support/teardown.ts'
import { eventually, until } from '../support/waiting.ts'

t.setTimeout(600_000)

const { app, databaseUrl } = await build(t)
const client = new pg.Client({ connectionString: databaseUrl })
await client.connect()
t.teardown(() => client.end())

const tableSql = 'create table orders (id int primary key, state text, total int)'
const definition: MappingDefinition = {
  table: 'orders', topic: 'order.changed', events: ['insert', 'update'], payload: { id: '$row.id', state: '$row.state' }
}

/** Connects a database of its own to an environment, with the given tables. */
async function connected (t: Teardown, own: Team, environment: Environment, sql = tableSql) {
  const source = await createSource(t)
  await source.sql(sql)
  await own.made('PUT', '/api/database/connection', { connectionString: source.url }, environment)
  await eventually(async () =>
    (await own.made('GET', '/api/database/connection', undefined, environment)).state === 'streaming')
  return source
}

/** Reads the events of a topic in an environment, once there are `count` of them. */
const eventsIn = async (own: Team, environment: Environment, count: number) =>
  (await eventsOf({
    request: async (method, url) => await own.author.request(method, url, undefined, environment)
  }, 'order.changed', count)).map(({ payload }) => payload)

async function mapped (own: Team, more: Partial<MappingDefinition> = {}): Promise<string> {
  await own.topic('order.changed')
  await own.schema('order.changed', {
    type: 'object', properties: { id: { type: 'integer' }, state: { type: 'string' } }, required: ['id']
  })
  return (await own.made('POST', '/api/database/mappings', { ...definition, ...more })).id
}

const all = (id: string) => [
  { kind: 'mapping' as const, id }, { kind: 'schema' as const, name: 'order.changed' },
  { kind: 'topic' as const, name: 'order.changed' }
]

t.test('a mapping with its topic and schema goes from development to production, and makes events there', async t => {
  const own = await team(app)
  const { author, made } = own
  const id = await mapped(own)
  const databases = { staging: await connected(t, own, 'staging'), production: await connected(t, own, 'production') }

  for (const [source, target] of [['development', 'staging'], ['staging', 'production']] as const) {
    const created = await author.create(all(id), source)
    t.match(created.body, {
      target, ready: true,
      items: [{
        kind: 'mapping', id, version: 1, action: 'create', targetVersion: 1,
        diff: [{ op: 'add', path: '', value: { table: 'orders' } }],
        checks: [
          { name: 'topic', ok: true, message: 'The topic order.changed is part of the deployment' },
          { name: 'database', ok: true },
          { name: 'table', ok: true, message: /is not in the publication; enabling/, sql: /ALTER PUBLICATION/ }
        ]
      }, {}, {}]
    })
    t.equal((await author.act(created.body.id, 'apply')).status, 200, target)
    t.match(await made('GET', `/api/database/mappings/${id}`, undefined, target), { version: 1 })
    await databases[target].sql("insert into orders values (1, 'before it is enabled', 1)")
    await made('POST', '/api/database/subscriptions', { mappingId: id }, target)
    await databases[target].sql("insert into orders values (2, 'new', 1)")
    t.same(await eventsIn(own, target, 1), [{ id: 2, state: 'new' }], 'applying did not enable it')
  }

  // A second version replaces the first where it is enabled, with another table.
  await databases.staging.sql('create table orders2 (id int primary key, state text)')
  await made('PATCH', `/api/database/mappings/${id}`, { table: 'orders2', payload: { id: '$row.id', state: 'v2' } })
  const second = await author.create([{ kind: 'mapping', id }])
  t.match(second.body.items, [{
    version: 2, action: 'update',
    diff: [{ op: 'replace', path: '/table', value: 'orders2' }, { op: 'replace', path: '/payload/state', value: 'v2' }]
  }])
  const applied = await author.act(second.body.id, 'apply')
  t.equal(applied.status, 200, applied.text)
  await databases.staging.sql("insert into orders values (3, 'of the first table', 1)")
  await databases.staging.sql("insert into orders2 values (4, 'x')")
  t.same((await eventsIn(own, 'staging', 2)).at(-1), { id: 4, state: 'v2' })

  const back = await author.act(second.body.id, 'rollback')
  t.match(back.body, { status: 'rolled_back' }, back.text)
  await databases.staging.sql("insert into orders2 values (5, 'x')")
  await databases.staging.sql("insert into orders values (6, 'first again', 1)")
  t.same((await eventsIn(own, 'staging', 3)).at(-1), { id: 6, state: 'first again' })
  t.match(await made('GET', `/api/database/mappings/${id}`, undefined, 'staging'), { version: 1, table: 'orders' })
  t.same(await eventsIn(own, 'production', 1), [{ id: 2, state: 'new' }], 'production was not touched')
})

t.test('a mapping needs its topic, a database, its table and columns in the target', async t => {
  const own = await team(app)
  const { author, made, everything } = own
  const id = await mapped(own, { payload: { id: '$row.id', state: '$row.state', gone: '$row.gone' } })
  const { body: { id: deployment } } = await author.create([{ kind: 'mapping', id }])
  const checks = async () => (await author.get(deployment)).items[0]?.checks
  t.match(await checks(), [
    { name: 'topic', ok: false, message: /order.changed is not registered in staging/ },
    { name: 'database', ok: false, message: /No database is connected in staging/ }
  ])
  const before = await everything()
  t.match((await author.act(deployment, 'apply')).body, {
    code: 'DEPLOYMENT_NOT_READY', details: [{ path: '/items/0', name: 'topic' }, { name: 'database' }]
  })
  t.equal(await everything(), before)

  await own.topic('order.changed', 'staging')
  const source = await connected(t, own, 'staging', 'create table orders (id int primary key, state text)')
  t.match(await checks(), [
    { ok: true }, { ok: true }, { name: 'table', ok: true, sql: /ADD TABLE/ },
    { name: 'table', ok: false, message: 'public.orders has no column gone' }
  ])
  await source.sql('alter table orders add gone text')
  t.match((await author.get(deployment)).ready, true)
  await source.sql('drop table orders; create table orders (id int, state text, gone text)')
  t.match(await checks(), [
    { ok: true }, { ok: true }, { name: 'table', ok: false, message: /no replica identity/, sql: /REPLICA IDENTITY/ }
  ], 'publishing it would break the writes of the source application')
  await source.sql('drop table orders')
  t.match(await checks(), [{ ok: true }, { ok: true }, { ok: false, message: /does not exist/ }])
  await source.sql('create table orders (id int primary key, state text, gone text)')
  t.equal((await author.act(deployment, 'apply')).status, 200)
  t.match(await made('GET', `/api/database/mappings/${id}`, undefined, 'staging'), { version: 1 })
})

t.test('a publication that cannot be changed gets the statement to run', async t => {
  const own = await team(app)
  const id = await mapped(own)
  await own.topic('order.changed', 'staging')
  const source = await createSource(t)
  await source.sql(tableSql)
  await source.sql('create publication theirs')
  await own.made('PUT', '/api/database/connection', { connectionString: source.url, publication: 'theirs' }, 'staging')
  const { body } = await own.author.create([{ kind: 'mapping', id }])
  t.match(body, { ready: false, items: [{ checks: [{}, {}, { ok: false, sql: /ALTER PUBLICATION "theirs"/ }] }] })
  await source.sql((body as Deployment).items[0]?.checks[2]?.sql ?? '')
  t.match(await own.author.get(body.id), { ready: true, items: [{ checks: [{}, {}, { ok: true }] }] })
})

t.test('the content of a mapping is a version', async t => {
  const own = await team(app)
  const { author, made } = own
  const id = await mapped(own)
  const version = (body: unknown) => (body as Deployment).items[0]?.version
  t.equal(version((await author.create([{ kind: 'mapping', id }])).body), 1, 'a version is made of what runs')
  t.equal(version((await author.create([{ kind: 'mapping', id }])).body), 1, 'and used again')
  await made('PATCH', `/api/database/mappings/${id}`, { events: ['insert'] })
  t.equal(version((await author.create([{ kind: 'mapping', id }])).body), 2, 'the working copy has changed')
  t.equal(version((await author.create([{ kind: 'mapping', id, version: 1 }])).body), 1)
  t.match((await author.create([{ kind: 'mapping', id, version: 3 }])).body, { code: 'MAPPING_VERSION_NOT_FOUND' })
  t.match((await author.create([{ kind: 'mapping', id }], 'staging')).body, { code: 'MAPPING_NOT_FOUND' })

  const ofStaging = (await made('POST', '/api/database/mappings', definition, 'staging')).id
  t.match((await author.create([{ kind: 'mapping', id: ofStaging }])).body, { code: 'MAPPING_NOT_FOUND' })

  const { body } = await author.create([{ kind: 'mapping', id }])
  await author.request('DELETE', `/api/database/mappings/${id}`)
  t.match(await author.get(body.id), {
    ready: false,
    items: [{ diff: [], checks: [{ name: 'mapping', ok: false, message: `The mapping ${id} was deleted` }] }]
  })
  t.equal((await author.act(body.id, 'apply')).status, 409)
})

t.test('a mapping that the deployment brought is removed by the rollback, unless it was enabled', async t => {
  const own = await team(app)
  const { author, made } = own
  const id = await mapped(own)
  await connected(t, own, 'staging')
  const { body } = await author.create(all(id))
  t.equal((await author.act(body.id, 'apply')).status, 200)
  const { id: subscription } = await made('POST', '/api/database/subscriptions', { mappingId: id }, 'staging')
  t.match((await author.act(body.id, 'rollback')).body, {
    code: 'DEPLOYMENT_NOT_READY', details: [{ path: '/items/0', message: /was enabled in staging since/ }]
  })
  await made('POST', `/api/database/subscriptions/${subscription}/deactivate`, undefined, 'staging')
  t.match((await author.act(body.id, 'rollback')).body, { status: 'rolled_back' })
  t.equal((await author.request('GET', `/api/database/mappings/${id}`, undefined, 'staging')).status, 404)
  t.equal((await author.request('GET', '/api/topics/order.changed', undefined, 'staging')).status, 404)
  t.equal((await author.request('GET', `/api/database/mappings/${id}`)).status, 200, 'it stays at home')
})

t.test('a rollback leaves a mapping that somebody has promoted since', async t => {
  const own = await team(app)
  const { author, made } = own
  const id = await mapped(own)
  await connected(t, own, 'staging')
  const { body } = await author.create(all(id))
  t.equal((await author.act(body.id, 'apply')).status, 200)
  await made('PATCH', `/api/database/mappings/${id}`, { events: ['insert'] })
  await made('POST', `/api/database/mappings/${id}/versions`, { environment: 'development' })
  await made('POST', `/api/database/mappings/${id}/promote`, { environment: 'development' })
  t.match((await author.act(body.id, 'rollback')).body, {
    code: 'DEPLOYMENT_NOT_READY', details: [{ message: /runs version 2 of map_\S+, not version 1/ }]
  })
})

t.test('an unreachable database fails the check', async t => {
  const own = await team(app)
  const id = await mapped(own)
  await own.made('PUT', '/api/database/connection', { connectionString: 'postgres://a:b@127.0.0.1:1/x' }, 'staging')
  await own.topic('order.changed', 'staging')
  const { body } = await own.author.create([{ kind: 'mapping', id }])
  t.match(body, {
    ready: false, items: [{ checks: [{ ok: true }, { name: 'database', message: /cannot be reached now/ }] }]
  })
  t.equal((await own.author.act(body.id, 'apply')).status, 409)
})

t.test('a table that can no longer be published fails the application of an enabled mapping as a whole', async t => {
  const own = await team(app)
  const { author, made, everything } = own
  const id = await mapped(own)
  const source = await connected(t, own, 'staging')
  const first = await author.create(all(id))
  await author.act(first.body.id, 'apply')
  await made('POST', '/api/database/subscriptions', { mappingId: id }, 'staging')
  await source.sql('create table orders2 (id int primary key, state text)')
  await made('PATCH', `/api/database/mappings/${id}`, { table: 'orders2' })
  await made('PATCH', '/api/topics/order.changed', { description: 'Second' })
  const { body } = await author.create(all(id))
  t.match(body, { ready: true })
  // An open transaction that has written to the table before it is published.
  const before = await everything()
  await source.sql('begin')
  await source.sql("insert into orders2 values (1, 'open')")
  const refused = await author.act(body.id, 'apply')
  t.match(refused.body, {
    code: 'DEPLOYMENT_NOT_READY', details: [{ path: '/items/0', name: 'table', message: /still open/ }]
  })
  t.equal(await everything(), before, 'nothing was changed')
  await source.sql('commit')
  t.equal((await author.act(body.id, 'apply')).status, 200)
})

t.test('an application that dies after the table was published can be repeated', async t => {
  const own = await team(app)
  const { author, made, everything } = own
  const id = await mapped(own)
  const source = await connected(t, own, 'staging')
  await author.act((await author.create(all(id))).body.id, 'apply')
  await made('POST', '/api/database/subscriptions', { mappingId: id }, 'staging')
  await source.sql('create table orders2 (id int primary key, state text)')
  await made('PATCH', `/api/database/mappings/${id}`, { table: 'orders2' })
  const { body } = await author.create([{ kind: 'mapping', id }])
  const before = await everything()
  await client.query(`
    create function die() returns trigger language plpgsql as
      $$ begin perform pg_terminate_backend(pg_backend_pid()); return null; end $$;
    create trigger die after update on mapping_environments for each row execute function die()`)
  t.equal((await author.act(body.id, 'apply')).status, 503)
  await client.query('drop trigger die on mapping_environments; drop function die()')
  t.equal(await everything(), before, 'nothing was changed')
  const published = await source.sql("select tablename from pg_publication_tables where tablename like 'orders%'")
  t.same(published.map(({ tablename }) => tablename).sort(), ['orders', 'orders2'], 'except for the publication')
  await source.sql("insert into orders values (1, 'still the first version', 1)")
  t.same(await eventsIn(own, 'staging', 1), [{ id: 1, state: 'still the first version' }])
  t.equal((await author.act(body.id, 'apply')).status, 200)
  await source.sql("insert into orders2 values (2, 'second')")
  t.same((await eventsIn(own, 'staging', 2)).at(-1), { id: 2, state: 'second' })
})

t.test('a promotion between the checks and the transaction is noticed', async t => {
  const own = await team(app)
  const { author, made, join, applicationId } = own
  const id = await mapped(own)
  await connected(t, own, 'staging')
  await author.act((await author.create(all(id))).body.id, 'apply')
  for (const state of ['v2', 'v3']) {
    await made('PATCH', `/api/database/mappings/${id}`, { payload: { id: '$row.id', state } })
    await made('POST', `/api/database/mappings/${id}/versions`, { environment: 'development' })
  }
  const { body } = await author.create([{ kind: 'mapping', id, version: 3 }])
  const admin = await join(['admin', applicationId])
  await admin.request('PATCH', `/api/applications/${applicationId}`, { requireApproval: { staging: true } })
  await admin.act(body.id, 'approve')
  await client.query('begin')
  await client.query('select from mappings where id = $1 for update', [id])
  const applying = author.act(body.id, 'apply')
  await until(async () => {
    const { rows: [row] } = await client.query(
      'select exists (select from pg_stat_activity where pg_backend_pid() = any(pg_blocking_pids(pid))) as waits'
    )
    return row.waits
  }, 'the request waits for the lock')
  await client.query('update mapping_environments set version = 2 where mapping_id = $1', [id])
  await client.query('commit')
  t.match((await applying).body, { details: [{ name: 'approval', message: /has changed since the approval/ }] })
  await admin.act(body.id, 'approve')
  t.equal((await author.act(body.id, 'apply')).status, 200)
  t.match(await made('GET', `/api/database/mappings/${id}`, undefined, 'staging'), { version: 3 })
})
