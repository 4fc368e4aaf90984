import t from 'tap'
import { build } from '../../support/build.ts'
import { createSource } from '../../support/source-database.ts'
import { tenant } from '../../support/tenant.ts'
import { until } from '../../support/waiting.ts'

/* The REST API of connected databases: mappings and their versions, promotion, subscriptions, tests, tables. */

t.setTimeout(600_000)

const { app } = await build(t)
const shop = await tenant(app)
const source = await createSource(t)
const { request } = shop
const staging = { 'x-environment': 'staging' }
const production = { 'x-environment': 'production' }
const base = '/api/database/mappings'
const example = {
  table: 'sessions',
  topic: 'session.status',
  events: ['insert', 'update'],
  triggerColumns: ['status', 'ended_at'],
  payload: { sessionId: '$row.id', status: '$row.status' },
  when: { or: [{ changed: 'status' }, { changed: 'ended_at' }] },
  environment: 'development'
}
await source.sql('create table sessions (id text primary key, status text, ended_at timestamptz)')

async function create (body: object = example, headers = {}): Promise<string> {
  const { status, body: made, text } = await request('POST', base, body, headers)
  if (status !== 201) throw new Error(text)
  return made.id
}

await t.test('mappings can be created, listed, read, updated and deleted', async t => {
  const created = await request('POST', base, example)
  t.match(created, {
    status: 201,
    body: {
      id: /^map_/,
      ...example,
      version: null,
      applicationId: shop.applicationId,
      createdAt: Number,
      updatedAt: Number
    }
  })
  const url = `${base}/${created.body.id}`
  const { problems, ...mapping } = created.body
  t.match(problems, [{ code: 'TOPIC_NOT_FOUND', message: 'The topic session.status is not registered in development' }])
  t.strictSame((await request('GET', url)).body, mapping)
  t.strictSame((await request('GET', base)).body, [mapping])
  t.strictSame((await request('GET', `${base}/topic/session.status`)).body, [mapping])
  t.strictSame((await request('GET', `${base}/topic/session.other`)).body, [])
  const changed = await request('PATCH', url, {
    events: ['delete'], when: null, triggerColumns: null, payload: { id: '$row.id' }
  })
  t.match(changed, { status: 200, body: { events: ['delete'], payload: { id: '$row.id' }, table: 'sessions' } })
  t.notOk('when' in changed.body || 'triggerColumns' in changed.body, 'null removes a field')
  t.match(await request('PATCH', url, {}), { status: 400 })
  const constant = `${base}/${await create({ ...example, payload: null })}`
  t.strictSame(
    (await request('PATCH', constant, { events: ['delete'] })).body.payload, null,
    'a null payload stays if the update does not name it'
  )
  t.notOk('payload' in (await request('PATCH', constant, { payload: null })).body)
  await request('DELETE', constant)
  const { problems: _, ...unchanged } = changed.body
  t.strictSame((await request('DELETE', url)).body, unchanged)
  for (
    const [method, body] of [['GET', undefined], ['PATCH', { events: ['insert'] }], ['DELETE', undefined]] as const
  ) {
    t.match(await request(method, url, body), {
      status: 404, body: { error: 'NotFoundError', code: 'MAPPING_NOT_FOUND' }
    })
  }
})

await t.test('an invalid mapping is refused with the reason', async t => {
  const wrong: [object, RegExp, string?][] = [
    [{ when: { equals: { status: 1 } } }, /\/when\/equals is not an operator/],
    [{ payload: '$event.time' }, /\$event/],
    [{ table: 'a.b.c' }, /\/table/],
    [{ events: [] }, /events/],
    [{ events: ['upsert'] }, /events/],
    [{ topic: 'Bad Topic' }, /topic/],
    [{ topic: 'sync.x.created' }, /reserved/, 'TOPIC_RESERVED'],
    [{ unknown: 1 }, /unknown/],
    [{ triggerColumns: [] }, /triggerColumns/]
  ]
  for (const [part, message, code = 'VALIDATION_FAILED'] of wrong) {
    t.match(await request('POST', base, { ...example, ...part }), {
      status: 400, body: { error: 'ValidationError', code, message }
    }, JSON.stringify(part))
  }
})

await t.test('lists are paginated', async t => {
  const own = await tenant(app)
  const ids: string[] = []
  for (let i = 0; i < 5; i++) ids.push((await own.request('POST', base, example)).body.id)
  for (const mappingId of ids) await own.request('POST', '/api/database/subscriptions', { mappingId })
  for (
    const [path, keyOf] of [[base, 'id'], [`${base}/status`, 'id'], [
      '/api/database/subscriptions',
      'mappingId'
    ]] as const
  ) {
    const seen: string[] = []
    for (let cursor: string | undefined = ''; cursor !== undefined;) {
      const page: Awaited<ReturnType<typeof request>> = await own.request(
        'GET',
        `${path}?limit=2${cursor === '' ? '' : `&cursor=${cursor}`}`
      )
      t.equal(page.status, 200)
      seen.push(...page.body.map((item: Record<string, string>) => item[keyOf]))
      cursor = page.headers['x-next-cursor'] as string | undefined
    }
    t.strictSame(seen.sort(), [...ids].sort(), path)
  }
})

await t.test('home runs the working copy, other environments run exactly the promoted version', async t => {
  const id = await create()
  const url = `${base}/${id}`
  const gridOf = async (headers = {}) =>
    (await request('GET', `${base}/status`, undefined, headers)).body.find((one: { id: string }) => one.id === id)
  t.match(await gridOf(), {
    table: 'sessions',
    topic: 'session.status',
    environment: 'development',
    changed: true,
    environments: {
      development: { version: null, active: false }, staging: { version: null, active: false },
      production: { version: null, active: false }
    }
  })
  t.match(await request('GET', url, undefined, staging), { status: 404 }, 'it is not in staging')

  const { environment: _, ...definition } = example
  t.match(await request('POST', `${url}/versions`, { environment: 'development' }), {
    status: 201,
    body: { mappingId: id, version: 1, environment: 'development', definition }
  })
  await request('PATCH', url, { events: ['delete'] })
  t.match(await gridOf(), { changed: true, environments: { development: { version: 1 } } })

  const dry = await request('POST', `${url}/promote?dryRun=true`, { environment: 'development' })
  t.match(dry, {
    status: 200,
    body: {
      dryRun: true,
      version: 1,
      from: 'development',
      to: 'staging',
      previousVersion: null,
      checks: [{ name: 'topic', status: 'failed' }, { name: 'schema', status: 'ok' }, {
        name: 'table', status: 'warning'
      }]
    }
  })
  t.match(await request('GET', url, undefined, staging), { status: 404 }, 'a dry run changes nothing')

  t.match(await request('POST', `${url}/promote`, { environment: 'development', expectedVersion: 1 }), {
    status: 409,
    body: { code: 'VERSION_MISMATCH' }
  })
  t.match(await request('POST', `${url}/promote`, { environment: 'development', expectedVersion: 0 }), {
    status: 200,
    body: { dryRun: false, version: 1, to: 'staging', previousVersion: null }
  })
  t.match(await request('GET', url, undefined, staging), {
    status: 200, body: { version: 1, environment: 'development', events: ['insert', 'update'] }
  }, 'staging has the snapshot, not the working copy')
  t.match(await request('PATCH', url, { events: ['insert'] }, staging), {
    status: 409, body: { code: 'MAPPING_NOT_HOME' }
  })
  t.match(
    await request('POST', `${url}/promote`, { environment: 'production' }),
    { status: 400 },
    'production is the last environment'
  )
  t.match(await request('POST', `${url}/promote`, { environment: 'staging' }), {
    status: 200,
    body: { version: 1, from: 'staging', to: 'production' }
  })

  await request('POST', `${url}/versions`, { environment: 'development' })
  const second = await request('POST', `${url}/promote?dryRun=true`, { environment: 'development', expectedVersion: 1 })
  t.match(second.body, {
    version: 2, previousVersion: 1, diff: [{ path: '/events', from: ['insert', 'update'], to: ['delete'] }]
  })
  t.equal(second.body.diff.length, 1)
  await request('POST', `${url}/promote`, { environment: 'development' })
  t.match(await gridOf(), {
    changed: false, environments: { development: { version: 2 }, staging: { version: 2 }, production: { version: 1 } }
  })
  t.match((await request('GET', `${url}/versions`)).body.map((one: { version: number }) => one.version), [2, 1])
  t.match(
    (await request('GET', `${url}/versions`, undefined, production)).body.map((one: { version: number }) =>
      one.version
    ),
    [1],
    'production does not list the second'
  )

  t.match(await request('POST', `${url}/rollback`, { environment: 'staging', version: 1 }), {
    status: 200,
    body: { version: 1, events: ['insert', 'update'] }
  })
  t.match(await request('POST', `${url}/rollback`, { environment: 'development', version: 1 }), {
    status: 200,
    body: { version: null, events: ['insert', 'update'] }
  })
  t.match(await gridOf(), { changed: false, environments: { development: { version: 1 }, staging: { version: 1 } } })
  t.match(await request('POST', `${url}/rollback`, { environment: 'production', version: 2 }), {
    status: 404,
    body: { code: 'MAPPING_VERSION_NOT_FOUND', message: /production/ }
  }, 'rollback cannot promote past staging')
  await request('POST', `${url}/versions`, { environment: 'development' })
  await request('POST', `${url}/versions`, { environment: 'development' })
  await request('POST', `${url}/promote`, { environment: 'development' })
  t.match(
    await request('POST', `${url}/rollback`, { environment: 'staging', version: 3 }),
    { status: 404 },
    'an older version that never ran in staging is refused'
  )
  t.strictSame(
    (await request('GET', `${url}/versions`, undefined, staging)).body.map((one: { version: number }) => one.version),
    [4, 2, 1]
  )
  t.match(await request('POST', `${url}/rollback`, { environment: 'staging', version: 2 }), {
    status: 200,
    body: { version: 2 }
  })
  t.match(await request('POST', `${url}/rollback`, { environment: 'staging', version: 4 }), {
    status: 200,
    body: { version: 4 }
  }, 'and forward again')
  t.match(await request('POST', `${url}/rollback`, { environment: 'staging', version: 9 }), {
    status: 404,
    body: { code: 'MAPPING_VERSION_NOT_FOUND' }
  })

  t.match(await request('DELETE', url), {
    status: 409, body: { code: 'MAPPING_PROMOTED', message: /production, staging/ }
  })
  t.equal((await request('DELETE', url, undefined, staging)).status, 200)
  t.equal((await request('DELETE', url, undefined, production)).status, 200)
  t.equal((await request('DELETE', url)).status, 200)
})

await t.test('promotion without a snapshot takes one, from any home environment', async t => {
  const id = await create({ ...example, environment: 'staging' })
  t.match(await request('GET', `${base}/${id}`), { status: 404 })
  t.match(await request('POST', `${base}/${id}/promote`, { environment: 'staging' }, staging), {
    status: 200,
    body: { version: 1, to: 'production' }
  })
  t.match(
    await request('POST', `${base}/${id}/promote`, { environment: 'development' }, staging),
    { status: 404 },
    'the mapping never ran there'
  )
  const pinned =
    app.tokens.mint({
      subject: 'x', applicationId: shop.applicationId, permissions: ['admin'], environment: 'staging',
      expiresInS: undefined
    }).token
  const headers = { authorization: `Bearer ${pinned}` }
  t.match(await request('POST', `${base}/${id}/promote`, { environment: 'staging' }, headers), {
    status: 403,
    body: { code: 'PERMISSION_DENIED' }
  }, 'a pinned token cannot change another environment')
  t.match(await request('POST', base, { ...example, environment: 'production' }, headers), { status: 403 })
  t.match(await request('POST', `${base}/${id}/rollback`, { environment: 'production', version: 1 }, headers), {
    status: 403
  })
})

await t.test('a subscription enables a mapping in its own environment', async t => {
  const id = await create()
  const made = await request('POST', '/api/database/subscriptions', { mappingId: id })
  t.match(made, {
    status: 201, body: { id: /^sub_/, mappingId: id, environment: 'development', active: true, createdAt: Number }
  })
  t.match(await request('POST', '/api/database/subscriptions', { mappingId: id }), {
    status: 409, body: { code: 'DATABASE_SUBSCRIPTION_EXISTS' }
  })
  t.match(await request('POST', '/api/database/subscriptions', { mappingId: id }, staging), {
    status: 404, body: { code: 'MAPPING_NOT_FOUND' }
  })
  t.match(await request('POST', `/api/database/subscriptions/${made.body.id}/deactivate`), {
    status: 200,
    body: { active: false }
  })
  t.match(await request('POST', `/api/database/subscriptions/${made.body.id}/activate`, undefined, staging), {
    status: 404,
    body: { code: 'DATABASE_SUBSCRIPTION_NOT_FOUND' }
  })
  t.match(await request('POST', `/api/database/subscriptions/${made.body.id}/activate`), {
    status: 200,
    body: { active: true }
  })
  await request('DELETE', `${base}/${id}`)
  t.match(
    await request('POST', `/api/database/subscriptions/${made.body.id}/activate`),
    { status: 404 },
    'it is deleted with its mapping'
  )
})

await t.test('a preview evaluates like the reader', async t => {
  const { environment: _, ...mapping } = example
  const preview = (body: object) => request('POST', `${base}/preview`, body)
  t.match(
    await preview({
      mapping, operation: 'update', row: { id: 's1', status: 'ended', ended_at: null },
      oldRow: { id: 's1', status: 'active', ended_at: null }
    }),
    {
      status: 200,
      body: {
        matched: true,
        event: {
          topic: 'session.status', type: 'database.event', source: 'database',
          payload: { sessionId: 's1', status: 'ended' }, meta: { operation: 'update' }
        }
      }
    }
  )
  t.match(
    (await preview({
      mapping, operation: 'update', row: { id: 's1', status: 'x', ended_at: null },
      oldRow: { id: 's1', status: 'x', ended_at: null }
    })).body,
    { matched: false, reason: /trigger columns/ }
  )
  t.match((await preview({ mapping, operation: 'delete', row: { id: 's1' } })).body, {
    matched: false,
    reason: /operation/
  })
  t.match((await preview({ mapping, operation: 'insert', row: { id: 's1' } })).body, {
    matched: false, reason: /no column status/
  })
  t.match((await preview({ mapping, operation: 'update', row: { id: 's1', status: 'x', ended_at: null } })).body, {
    matched: true, event: { meta: { unverified: ['status', 'ended_at'] } }
  })
  const id = await create()
  t.match((await preview({ mappingId: id, operation: 'insert', row: { id: 's1', status: 'x' } })).body, {
    matched: true
  })
  t.match(await preview({ mappingId: 'map_none', operation: 'insert', row: {} }), { status: 404 })
  t.match(await preview({ operation: 'insert', row: {} }), { status: 400 })
  t.match(await preview({ mappingId: id, mapping, operation: 'insert', row: {} }), { status: 400 })
  t.match(await preview({ mapping: { ...mapping, when: { foo: 1 } }, operation: 'insert', row: {} }), {
    status: 400, body: { message: /\/when\/foo/ }
  })
})

await t.test('requests that need a connection return 404 without one', async t => {
  for (
    const [method, path, body] of [
      ['GET', 'connection'], ['DELETE', 'connection'], ['GET', 'tables'], ['GET', 'tables/sample?table=a'],
      ['POST', 'connection/test', {}]
    ] as const
  ) {
    t.match(await request(method, `/api/database/${path}`, body), {
      status: 404,
      body: { code: 'CONNECTION_NOT_FOUND' }
    }, path)
  }
})

await t.test('an invalid connection string is refused without repeating the password', async t => {
  const wrong = [
    'postgres://',
    'postgres:///db',
    'postgres://u:p@host',
    'postgres://host/db',
    'postgres://u:p@h/db?sslrootcert=/etc/passwd',
    'postgres://u:p@h/db?host=/tmp',
    'postgres://u:p@h/db?options=-c',
    'postgres://u:p@h/db?sslmode=magic',
    'postgres://u:%zz@h/db',
    'mysql://u:p@h/db',
    'postgres://u:p@h:99999/db'
  ]
  for (const connectionString of wrong) {
    const { status, text } = await request('PUT', '/api/database/connection', { connectionString })
    t.equal(status, 400, connectionString)
    t.notMatch(text, ':p@', 'the password is not returned')
  }
  const { body } = await request('POST', '/api/database/connection/test', {
    connectionString: 'postgres://u:p@127.0.0.1:1/db'
  })
  t.match(body, { ok: false, checks: [{ name: 'reachability', status: 'failed', message: /cannot be reached/ }] })
})

await t.test('connections can be tested, created, read and deleted', async t => {
  const id = await create()
  const fresh = await request('POST', '/api/database/connection/test', { connectionString: source.url })
  t.match(fresh, { status: 200, body: { ok: true } })
  const statusOf = ({ body }: { body: { checks: { name: string, status: string }[] } }) =>
    Object.fromEntries(body.checks.map(({ name, status }) => [name, status]))
  t.match(statusOf(fresh), {
    reachability: 'ok', version: 'ok', wal_level: 'ok', replication: 'ok', wal_senders: 'ok', slot: 'ok',
    publication: 'ok', replica_identity: 'warning'
  })
  t.match(
    fresh.body.checks.find(({ name }: { name: string }) => name === 'replica_identity').sql,
    'ALTER TABLE "public"."sessions" REPLICA IDENTITY FULL;'
  )
  t.same(await source.sql('select from pg_publication'), [], 'a test changes nothing')

  const put = await request('PUT', '/api/database/connection', { connectionString: source.url })
  t.match(put, {
    status: 200,
    body: {
      slot: /^realtime_cdc_slot_[0-9a-f]{12}$/, publication: /^realtime_cdc_slot_/, environment: 'development', lsn: {},
      connectionString: String
    }
  })
  t.notMatch(put.text, new URL(source.url).password)
  t.match(
    await request('GET', '/api/database/connection', undefined, staging), { status: 404 },
    'a connection belongs to one environment'
  )
  const tables = await request('GET', '/api/database/tables')
  t.match(tables.body, [{
    schema: 'public',
    name: 'sessions',
    partitioned: false,
    replicaIdentity: 'default',
    primaryKey: ['id'],
    columns: [{ name: 'id', type: 'text', nullable: false, generated: false }, { name: 'status' }, {
      name: 'ended_at', type: 'timestamp with time zone', nullable: true
    }]
  }])

  const [server] = await source.sql("select current_setting('server_version_num')::int as version")
  // From PostgreSQL 18 on, the stream has stored generated columns.
  const isPublishable = Number(server?.['version']) >= 180_000
  await source.sql(`
    create table kinds (
      a int, b int, flag boolean, padded char(4), amount numeric, doc jsonb, tags text[], at timestamptz, raw bytea,
      note text, twice int generated always as (a * 2) stored, primary key (b, a))`)
  await source.sql(`
    insert into kinds values (1, 1, null, null, null, null, null, null, null, null),
      (2, 1, true, 'ab', 12.50, '{"n": 1}', '{x,y}', '2024-01-15 10:00+02', 'abc', repeat('n', 3000))`)
  t.match(await request('GET', '/api/database/tables/sample?table=kinds'), {
    status: 200,
    body: {
      rows: [{
        a: 2, b: 1, flag: true, padded: 'ab  ', amount: 12.5, doc: { n: 1 }, tags: ['x', 'y'],
        at: '2024-01-15T08:00:00Z', raw: 'YWJj', note: `${'n'.repeat(2000)}…`
      }, { a: 1, flag: null, doc: null, note: null }],
      omitted: isPublishable ? [] : ['twice']
    }
  }, 'sample rows have the values of events, the latest ones first')
  t.same((await request('GET', '/api/database/tables/sample?table=kinds&limit=1')).body.rows.length, 1)
  t.match(await request('GET', '/api/database/tables/sample?table=nothing'), {
    status: 404, body: { code: 'TABLE_NOT_FOUND' }
  })
  t.match(await request('GET', '/api/database/tables/sample?table=a"b'), {
    status: 400, body: { details: [{ path: '/table' }] }
  })
  await source.sql('drop table kinds')

  const before = (await request('GET', base)).body.length
  const { environment: _, ...definition } = example
  t.match(await request('POST', `${base}/check`, definition), {
    status: 200, body: { problems: [{ code: 'TOPIC_NOT_FOUND' }, { code: 'REPLICA_IDENTITY', sql: /FULL/ }] }
  })
  t.match(await request('POST', `${base}/check`, { ...definition, triggerColumns: ['stauts'] }), {
    status: 400, body: { details: [{ path: '/triggerColumns/0' }] }
  })
  t.same((await request('GET', base)).body.length, before, 'a check stores nothing')

  t.match(await request('POST', base, { ...example, triggerColumns: ['stauts'] }), {
    status: 400, body: { message: /sessions does not have: stauts/, details: [{ path: '/triggerColumns/0' }] }
  })
  t.match(await request('POST', base, { ...example, payload: { a: ['$old.foo'] } }), {
    status: 400, body: { details: [{ path: '/payload/a/0' }] }
  })
  t.match(await request('POST', base, { ...example, when: { not: { eq: { bar: 1 } } } }), {
    status: 400, body: { details: [{ path: '/when/not/eq/bar' }] }
  })
  t.match(await request('PATCH', `${base}/${id}`, { payload: '$row.nothing' }), {
    status: 400,
    body: { details: [{ path: '/payload' }] }
  })
  const unseen = await create({ ...example, table: 'not_yet_there', payload: '$row.whatever' })
  await until(
    async () => (await request('GET', '/api/database/connection')).body.state === 'streaming', 'the stream'
  )
  t.match(await request('POST', '/api/database/subscriptions', { mappingId: unseen }), {
    status: 404, body: { code: 'TABLE_NOT_FOUND' }
  })
  t.match(
    (await request('GET', '/api/database/subscriptions')).body.filter((one: { mappingId: string }) =>
      one.mappingId === unseen
    ),
    [],
    'nothing was stored'
  )
  t.match(
    (await request('GET', `${base}/status`)).body.find((one: { id: string }) => one.id === unseen).problems.map((
      { code }: { code: string }
    ) => code),
    ['TOPIC_NOT_FOUND', 'TABLE_NOT_FOUND']
  )

  t.match(await request('DELETE', '/api/database/connection'), {
    status: 200, body: { leftovers: [{ name: 'slot' }, { name: 'publication' }] }
  })
})

await t.test('an unusable database is 503 for requests that need it, and does not affect others', async t => {
  await request('PUT', '/api/database/connection', { connectionString: 'postgres://u:p@127.0.0.1:1/db' })
  const id = await create()
  t.match(await request('GET', '/api/database/tables'), {
    status: 503, body: { code: 'SOURCE_UNAVAILABLE', message: /cannot be reached/ }
  })
  t.match(await request('POST', '/api/database/subscriptions', { mappingId: id }), {
    status: 503, body: { code: 'SOURCE_UNAVAILABLE' }
  })
  t.match(await request('GET', `${base}/status`), { status: 200 })
  const { body } = await request('DELETE', '/api/database/connection')
  t.match(body.leftovers, [{ name: 'slot', status: 'kept' }, { name: 'publication', status: 'kept' }])
})

await t.test('a caller with read permission cannot change anything', async t => {
  const id = await create()
  const headers = { authorization: `Bearer ${shop.token(['mappings:read'])}` }
  t.equal((await request('GET', base, undefined, headers)).status, 200)
  for (
    const [method, url, body] of [
      ['POST', base, example],
      ['PATCH', `${base}/${id}`, { events: ['insert'] }],
      ['DELETE', `${base}/${id}`],
      ['POST', `${base}/${id}/promote`, { environment: 'development' }],
      ['POST', `${base}/${id}/versions`, { environment: 'development' }],
      ['PUT', '/api/database/connection', { connectionString: source.url }],
      ['POST', '/api/database/subscriptions', { mappingId: id }]
    ] as const
  ) t.match(await request(method, url, body, headers), { status: 403 }, `${method} ${url}`)
})
