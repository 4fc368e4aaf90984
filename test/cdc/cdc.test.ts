import pg from 'pg'
import { pino } from 'pino'
import t from 'tap'
import { build, listen } from '../support/build.ts'
import { connectSocketIo } from '../support/clients.ts'
import { createSource, sourced, uniqueName } from '../support/source-database.ts'
import { until } from '../support/waiting.ts'
import { receiver } from '../support/webhook-receiver.ts'

/* Row changes of a connected database become events: each exactly once, in commit order, with exact values. */

t.setTimeout(600_000)

const lines: Record<string, unknown>[] = []
const logger = pino({ level: 'info' }, { write: (line: string) => { lines.push(JSON.parse(line)) } })
const { app } = await build(t, {
  logger,
  variables: { WEBHOOK_ALLOW_PRIVATE: 'true' },
  // Any slot retains more than this.
  adapt: config => { Object.assign(config.cdc, { writersWaitMs: 5000, retainedBytesWarning: 1 }) }
})
const url = await listen(app)
const shop = await sourced(t, app)
await shop.connect()
const upTo = (last: number) => Array.from({ length: last }, (_, i) => i + 1)

/** Creates a table with its own topic and mapping. */
async function mapped (
  columns: string, { full = true, ...definition }: { full?: boolean, [more: string]: unknown } = {}
) {
  const table = uniqueName()
  const topic = await shop.topic(`cdc.${table.slice(2)}`)
  await shop.sql(`create table ${table} (${columns})`)
  if (full) await shop.sql(`alter table ${table} replica identity full`)
  const ids = await shop.map({ table, topic, events: ['insert', 'update', 'delete'], ...definition })
  return { table, topic, ...ids }
}

await t.test('inserts, updates and deletes become events in commit order, keyed by primary key', async t => {
  const { table, topic, mappingId } = await mapped('id int primary key, name text', {
    payload: {
      id: '$row.id', name: '$row.name', was: '$old.name', how: '$event.operation', dollars: '$$5',
      five: ['$event.table', 5]
    }
  })
  await shop.sql(`insert into ${table} values (1, 'a'), (2, 'b')`)
  await shop.sql(`update ${table} set name = 'c' where id = 1`)
  await shop.sql(`delete from ${table} where id = 2`)
  const events = await shop.events(topic, 4)
  const more = { dollars: '$5', five: [table, 5] }
  t.same(events.map(event => event.payload), [
    { id: 1, name: 'a', was: null, how: 'insert', ...more },
    { id: 2, name: 'b', was: null, how: 'insert', ...more },
    { id: 1, name: 'c', was: 'a', how: 'update', ...more },
    { id: 2, name: 'b', was: 'b', how: 'delete', ...more }
  ])
  t.same(events.map(event => event.key), ['1', '2', '1', '2'])
  t.match(events[0], {
    type: 'database.event',
    source: 'database',
    schemaVersion: null,
    offset: 1,
    meta: {
      mappingId,
      table: `public.${table}`,
      operation: 'insert',
      lsn: /^[0-9A-F]+\/[0-9A-F]+$/,
      xid: Number,
      committedAt: Number
    }
  })
  // A transaction may be cut into parts, with an entry each.
  const logs = await shop.logs(
    `mappingId=${mappingId}&status=delivered`,
    logs => logs.reduce((sum, log) => sum + log.events, 0) === 4
  )
  for (const log of logs) {
    t.match(log, { status: 'delivered', topic, table: `public.${table}`, code: null, message: null })
  }
  t.equal(new Set(logs.map(log => log.xid)).size, 3, 'the delivery log has entries for each transaction')
})

await t.test('a subscriber receives changes that commit after its acknowledgement', async t => {
  const { table, topic } = await mapped('id int primary key', { payload: '$row.id' })
  const client = await connectSocketIo(url, { token: shop.token() })
  t.teardown(() => client.close())
  await client.request('subscribe', { topic })
  for (const id of upTo(20)) await shop.sql(`insert into ${table} values (${id})`)
  t.same((await client.received(20)).map(event => event.payload), upTo(20))
})

await t.test('a webhook receives row changes like other events', async t => {
  const { table, topic, mappingId } = await mapped('id int primary key', { payload: { id: '$row.id' } })
  const sink = await receiver(t)
  const { status } = await shop.request('POST', '/api/webhooks', {
    url: sink.url, events: ['database.event'], topics: [topic]
  })
  t.equal(status, 201)
  await shop.sql(`insert into ${table} values (1), (2), (3)`)
  await sink.came(3)
  t.match(
    sink.received.map(({ body }) => body).sort((a, b) => a.data.offset - b.data.offset),
    upTo(3).map(id => (
      {
        type: 'database.event',
        data: {
          topic, offset: id, key: String(id), source: 'database', payload: { id },
          meta: { mappingId, operation: 'insert' }
        }
      }
    ))
  )
  await shop.publish(topic, 'by hand')
  await shop.sql(`insert into ${table} values (4)`)
  await sink.came(4)
  t.equal(sink.received.length, 4, 'events published to the same topic have another type')
})

await t.test('an enabled mapping applies to every commit after the answer, each time it is enabled', async t => {
  const table = uniqueName()
  const topic = await shop.topic(`cdc.${table.slice(2)}`)
  await shop.sql(`create table ${table} (id serial primary key, round int)`)
  const { subscriptionId } = await shop.map({ table, topic, events: ['insert'], payload: '$row.round' })
  const change = async (what: string) => {
    const { status, text } = await shop.request('POST', `/api/database/subscriptions/${subscriptionId}/${what}`)
    if (status !== 200) throw new Error(text)
  }
  const isPublished = async () =>
    (await shop.sql('select from pg_publication_tables where tablename = $1', [table])).length === 1
  for (const round of upTo(6)) {
    await shop.sql(`insert into ${table} (round) values (${round})`)
    // Changes while the mapping is disabled make no events. Each time, the table leaves the publication and returns.
    await shop.events(topic, round)
    await change('deactivate')
    await until(async () => !await isPublished(), 'the table to leave the publication')
    await shop.sql(`insert into ${table} (round) values (-${round})`)
    await change('activate')
    t.ok(await isPublished())
  }
  await shop.sql(`insert into ${table} (round) values (7)`)
  t.same((await shop.events(topic, 7)).map(event => event.payload), upTo(7))
})

await t.test('enabling waits for transactions that wrote to the table before it was published', async t => {
  const table = uniqueName()
  const topic = await shop.topic(`cdc.${table.slice(2)}`)
  await shop.sql(`create table ${table} (id int primary key)`)
  const other = new pg.Client({ connectionString: shop.source.url })
  await other.connect()
  await other.query('begin')
  await other.query(`insert into ${table} values (1)`)
  const { body: { id: mappingId } } = await shop.request('POST', '/api/database/mappings', {
    table, topic, events: ['insert'], payload: '$row.id'
  })
  let isAnswered = false
  const answering = shop.request('POST', '/api/database/subscriptions', { mappingId }).then(answer => {
    isAnswered = true
    return answer
  })
  await until(
    async () => (await shop.sql('select from pg_publication_tables where tablename = $1', [table])).length === 1,
    'the table in the publication'
  )
  t.notOk(isAnswered, 'the answer waits')
  await other.query('commit')
  t.match(await answering, { status: 201 })
  await other.query(`insert into ${table} values (2)`)
  t.same((await shop.events(topic, 1)).map(event => event.payload), [2])

  await other.query('begin')
  const second = uniqueName()
  await shop.sql(`create table ${second} (id int primary key)`)
  await other.query(`insert into ${second} values (1)`)
  const { body: { id } } = await shop.request('POST', '/api/database/mappings', {
    table: second, topic, events: ['insert']
  })
  t.match(await shop.request('POST', '/api/database/subscriptions', { mappingId: id }), {
    status: 409, body: { code: 'TABLE_BUSY' }
  }, 'the wait is limited')
  await other.query('commit')
  t.match(await shop.request('POST', '/api/database/subscriptions', { mappingId: id }), { status: 201 })
  await other.end()
})

await t.test('values of every type keep their meaning', async t => {
  const id = uniqueName()
  await shop.sql(`create type ${id}_mood as enum ('sad', 'über glücklich')`)
  await shop.sql(`create domain ${id}_price as numeric(10, 2)`)
  await shop.sql(`create type ${id}_pair as (a int, b text)`)
  const values: [string, string, unknown][] = [
    ['bool', 'true', true],
    ['bool', 'false', false],
    ['bool', 'null', null],
    ['int2', '-32768', -32768],
    ['int4', '2147483647', 2147483647],
    ['int8', '9007199254740991', 9007199254740991],
    ['int8', '9007199254740993', '9007199254740993'],
    ['int8', '-9223372036854775808', '-9223372036854775808'],
    ['numeric', '12.50', 12.5],
    ['numeric', '0.1', 0.1],
    ['numeric', '-0.00000012', -0.00000012],
    ['numeric', '123456789012345678901234567890', '123456789012345678901234567890'],
    ['numeric', '1.00000000000000000001', '1.00000000000000000001'],
    ['numeric', '9007199254740990.9', '9007199254740990.9'],
    ['numeric', '9007199254740991', 9007199254740991],
    ['numeric', '1524831183200260097', '1524831183200260097'],
    ['numeric', '1e-400', `0.${'0'.repeat(399)}1`],
    ['numeric', '1.23456789012345e-320', `0.${'0'.repeat(319)}123456789012345`],
    ['numeric', '0.00', 0],
    ['numeric', "'NaN'", 'NaN'],
    ['float4', '1.5', 1.5],
    ['float8', '0.1', 0.1],
    ['float8', "'NaN'", 'NaN'],
    ['float8', "'Infinity'", 'Infinity'],
    ['float8', "'-Infinity'", '-Infinity'],
    ['float8', '1e300', 1e300],
    ['text', "E'a\\nb \\'quoted\\' \\\\ ü 😀'", "a\nb 'quoted' \\ ü 😀"],
    ['text', "''", ''],
    ['varchar(5)', "'abc'", 'abc'],
    ['char(5)', "'abc'", 'abc  '],
    ['uuid', "'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'", 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'],
    ['timestamptz', "'2024-01-15 10:00:00+02'", '2024-01-15T08:00:00Z'],
    ['timestamptz', "'2024-01-15 10:00:00.123456+00'", '2024-01-15T10:00:00.123456Z'],
    ['timestamptz', "'infinity'", 'infinity'],
    ['timestamptz', "'-infinity'", '-infinity'],
    ['timestamptz', "'0044-03-15 12:00:00+00 BC'", '-000043-03-15T12:00:00Z'],
    ['timestamptz', "'12024-01-15 10:00:00+00'", '+012024-01-15T10:00:00Z'],
    ['timestamp', "'2024-01-15 10:00:00.5'", '2024-01-15T10:00:00.5'],
    ['date', "'2024-02-29'", '2024-02-29'],
    ['date', "'0001-01-01 BC'", '0000-01-01'],
    ['date', "'infinity'", 'infinity'],
    ['time', "'23:59:59.999999'", '23:59:59.999999'],
    ['timetz', "'10:00:00+02'", '10:00:00+02'],
    ['interval', "'1 year 2 days 03:04:05.5'", 'P1Y2DT3H4M5.5S'],
    ['json', '\'{"a": [1, "x", null], "big": 12345678901234567890, "text": "12345678901234567890", "e": 1e400}\'', {
      a: [1, 'x', null], big: '12345678901234567890', text: '12345678901234567890', e: '1e400'
    }],
    ['jsonb', "'[9007199254740993, 9007199254740991, 3.14159265358979323846, 1.00000000000000000001, 0.1, 1e-400]'", [
      '9007199254740993',
      9007199254740991,
      '3.14159265358979323846',
      '1.00000000000000000001',
      0.1,
      `0.${'0'.repeat(399)}1`
    ]],
    ['json', '\'{"a": 1234567.1234567890123, ", 9007199254740993": ", 9007199254740993"}\'', {
      a: '1234567.1234567890123', ', 9007199254740993': ', 9007199254740993'
    }],
    ['numeric[]', "'{9007199254740993,1.5}'", ['9007199254740993', 1.5]],
    ['jsonb', '\'{"b": {"c": true}, "__proto__x": 1}\'', { b: { c: true }, __proto__x: 1 }],
    ['jsonb', "'null'", null],
    ['jsonb', '\'"text"\'', 'text'],
    ['bytea', "'\\x00ff10'", 'AP8Q'],
    ['bytea', "''", ''],
    ['int4[]', "'{1,NULL,3}'", [1, null, 3]],
    ['int8[]', "'{9007199254740993}'", ['9007199254740993']],
    ['text[]', '\'{a,"b \\"c\\"",NULL,"NULL","",{}}\'::text', undefined],
    ['text[]', '\'{a,"b \\"c\\" \\\\ ,{}",NULL,"NULL",""}\'', ['a', 'b "c" \\ ,{}', null, 'NULL', '']],
    ['int4[][]', "'{{1,2},{3,4}}'", [[1, 2], [3, 4]]],
    ['int4[]', "'[0:1]={7,8}'", [7, 8]],
    ['text[]', "'{}'", []],
    ['timestamptz[]', "'{2024-01-15 10:00:00+00}'", ['2024-01-15T10:00:00Z']],
    ['jsonb[]', 'array[\'{"a":1}\'::jsonb]', [{ a: 1 }]],
    ['bool[]', "'{t,f}'", [true, false]],
    [`${id}_mood`, "'über glücklich'", 'über glücklich'],
    [`${id}_mood[]`, '\'{sad,"über glücklich"}\'', ['sad', 'über glücklich']],
    [`${id}_price`, '19.90', 19.9],
    [`${id}_price[]`, "'{1.5,2}'", [1.5, 2]],
    [`${id}_pair`, "row(1, 'x')", '(1,x)'],
    ['int4range', "'[1,5)'", '[1,5)'],
    ['tstzrange', "'[2024-01-15 10:00:00+00,)'", '["2024-01-15 10:00:00+00",)'],
    ['inet', "'10.0.0.1/8'", '10.0.0.1/8'],
    ['bit(3)', "B'101'", '101'],
    ['box[]', "'{(1,1),(0,0);(2,2),(0,0)}'", ['(1,1),(0,0)', '(2,2),(0,0)']]
  ].filter(([, , value]) => value !== undefined) as [string, string, unknown][]
  const { table, topic } = await mapped(`id int primary key, ${values.map(([type], i) => `c${i} ${type}`).join(', ')}`)
  await shop.sql(`insert into ${table} values (1, ${values.map(([, text]) => text).join(', ')})`)
  const [event] = await shop.events(topic, 1)
  const payload = event?.payload as Record<string, unknown>
  for (const [i, [type, text, wanted]] of values.entries()) t.strictSame(payload[`c${i}`], wanted, `${type} ${text}`)
  t.same((event?.meta as { unavailable?: unknown }).unavailable, undefined)
})

await t.test('changed compares with the old value where the stream has it', async t => {
  const { table, topic } = await mapped('id int primary key, status text, note text', {
    events: ['update'], triggerColumns: ['status', 'note'],
    when: { changed: { column: 'status', from: 'active', to: 'ended' } }
  })
  await shop.sql(`insert into ${table} values (1, 'active', 'x')`)
  await shop.sql(`update ${table} set status = 'active'`)
  await shop.sql(`update ${table} set note = 'y'`)
  await shop.sql(`update ${table} set status = 'ended'`)
  await shop.sql(`update ${table} set status = 'ended'`)
  await shop.sql(`update ${table} set status = 'active'`)
  await shop.sql(`update ${table} set status = 'paused'`)
  await shop.sql(`update ${table} set status = 'ended'`)
  await shop.sql(`update ${table} set status = 'active'`)
  await shop.sql(`update ${table} set status = 'ended', note = 'last'`)
  t.same((await shop.events(topic, 2)).map(event => event.payload), [{ id: 1, status: 'ended', note: 'y' }, {
    id: 1, status: 'ended', note: 'last'
  }])
})

await t.test('without old values, the event and the status report it', async t => {
  const { table, topic, mappingId } = await mapped('id int primary key, status text', {
    full: false, events: ['update', 'delete'], payload: { status: '$row.status', was: '$old.status' },
    when: { changed: 'status' }
  })
  await shop.sql(`insert into ${table} values (1, 'active')`)
  await shop.sql(`update ${table} set status = 'active'`)
  await shop.sql(`update ${table} set id = 2`)
  await shop.sql(`delete from ${table}`)
  const events = await shop.events(topic, 3)
  t.same(events.map(event => event.payload), [{ status: 'active' }, { status: 'active' }, {}])
  t.match(events.map(event => event.meta), [
    { unavailable: ['old.status'], unverified: ['status'] },
    { unavailable: ['old.status'], unverified: ['status'] },
    { unavailable: ['status', 'old.status'] }
  ])
  t.same(events.map(event => event.key), ['1', '2', '2'])
  const { body: [status] } = {
    body: (await shop.request('GET', '/api/database/mappings/status?limit=1000')).body.filter((
      { id }: { id: string }
    ) => id === mappingId)
  }
  t.match(status.problems, [{
    code: 'REPLICA_IDENTITY',
    sql: `ALTER TABLE "public"."${table}" REPLICA IDENTITY FULL;`
  }])
  await shop.sql(status.problems[0].sql)
  const after = (await shop.request('GET', '/api/database/mappings/status?limit=1000')).body.find((
    { id }: { id: string }
  ) => id === mappingId)
  t.same(after.problems, [], 'the statement fixes it')
})

await t.test('creating, changing, enabling and promoting a mapping warns about missing old values', async t => {
  const { table, topic } = await mapped('id int primary key, status text', { full: false, events: ['insert'] })
  const warning = {
    code: 'REPLICA_IDENTITY',
    message: /old values/,
    sql: `ALTER TABLE "public"."${table}" REPLICA IDENTITY FULL;`
  }
  for (
    const wanting of [{ when: { changed: 'status' } }, {
      when: { not: { changed: { column: 'status', to: 'ended' } } }
    }, { triggerColumns: ['status'] }]
  ) {
    const made = await shop.request('POST', '/api/database/mappings', { table, topic, events: ['update'], ...wanting })
    t.match(made, { status: 201, body: { problems: [warning] } })
    const on = await shop.request('POST', '/api/database/subscriptions', { mappingId: made.body.id })
    t.match(on, { status: 201, body: { active: true, problems: [warning] } })
    const off = await shop.request('POST', `/api/database/subscriptions/${on.body.id}/deactivate`)
    t.notOk('problems' in off.body)
    t.match(await shop.request('POST', `/api/database/subscriptions/${on.body.id}/activate`), {
      status: 200,
      body: { active: true, problems: [warning] }
    })
    t.notOk('problems' in (await shop.request('GET', `/api/database/mappings/${made.body.id}`)).body)
    t.match(
      (await shop.request('PATCH', `/api/database/mappings/${made.body.id}`, { events: ['insert', 'update'] })).body
        .problems,
      [warning]
    )
    const blind = await shop.request('PATCH', `/api/database/mappings/${made.body.id}`, {
      when: null,
      triggerColumns: null,
      payload: '$row.id'
    })
    t.strictSame(blind.body.problems, [], 'a mapping that needs no old values')
  }
})

await t.test('an untouched key column counts as unchanged', async t => {
  const { table, topic } = await mapped('id int primary key, n int', {
    full: false, events: ['update'], payload: ['$old.id', '$row.id'], when: { changed: 'id' }
  })
  await shop.sql(`insert into ${table} values (1, 1)`)
  await shop.sql(`update ${table} set n = 2`)
  await shop.sql(`update ${table} set id = 5`)
  t.same((await shop.events(topic, 1)).map(event => event.payload), [[1, 5]])
})

await t.test('an untouched TOASTed value comes from the old row or is reported as unavailable', async t => {
  const large = "(select string_agg(md5(n::text), '') from generate_series(1, 500) n)"
  for (const full of [true, false]) {
    const { table, topic } = await mapped('id int primary key, n int, large text', { full, events: ['update'] })
    await shop.sql(`alter table ${table} alter column large set storage external`)
    await shop.sql(`insert into ${table} values (1, 1, ${large})`)
    const [row] = await shop.sql(`select large from ${table}`)
    await shop.sql(`update ${table} set n = 2`)
    await shop.sql(`update ${table} set large = 'x' || large`)
    const [untouched, touched] = await shop.events(topic, 2)
    if (full) t.same(untouched?.payload, { id: 1, n: 2, ...row })
    else t.match(untouched, { payload: { id: 1, n: 2 }, meta: { unavailable: ['large'] } })
    t.equal('large' in (untouched?.payload as object), full)
    t.equal((touched?.payload as { large: string }).large, `x${row?.['large'] as string}`)
  }
})

await t.test('a condition on a value that the stream lacks fails in the delivery log', async t => {
  const { table, topic, mappingId } = await mapped('id int primary key, n int, large text', {
    full: false, events: ['update'], payload: '$row.n',
    when: { or: [{ not: { eq: { large: 'x' } } }, { eq: { n: 7 } }] }
  })
  await shop.sql(`alter table ${table} alter column large set storage external`)
  await shop.sql(
    `insert into ${table} values (1, 1, (select string_agg(md5(n::text), '') from generate_series(1, 500) n))`
  )
  await shop.sql(`update ${table} set n = 2`)
  await shop.sql(`update ${table} set n = 7`)
  t.same((await shop.events(topic, 1)).map(event => event.payload), [7])
  t.match(await shop.logs(`mappingId=${mappingId}&status=failed`, logs => logs.length > 0), [{
    code: 'CONDITION_UNKNOWN',
    events: 1
  }])
})

await t.test('values keep their meaning: a leading U+FEFF, vectors, a JSON null, INCLUDE columns', async t => {
  const { table, topic } = await mapped(
    'id int, extra text, j jsonb, v int2vector, o oidvector, "\uFEFFname" text, primary key (id) include (extra)',
    {
      full: false,
      payload: {
        id: '$row.id', extra: '$row.extra', j: '$row.j', v: '$row.v', o: '$row.o', name: '$row.\uFEFFname',
        old: '$old.extra'
      },
      when: { isNull: { j: false } }
    }
  )
  await shop.sql(
    `insert into ${table} values (1, '\uFEFFx', 'null', '1 2', '3', '\uFEFFy'), (2, null, null, null, null, null)`
  )
  await shop.sql(`update ${table} set extra = 'z' where id = 1`)
  const [inserted, updated] = await shop.events(topic, 2)
  t.match(inserted, {
    key: '1', payload: { id: 1, extra: '\uFEFFx', j: null, v: [1, 2], o: [3], name: '\uFEFFy', old: null }
  })
  t.match(
    updated, { key: '1', payload: { id: 1, extra: 'z' }, meta: { unavailable: ['old.extra'] } },
    'an INCLUDE column is not part of the key'
  )
})

await t.test('changes of partitions arrive under their table', async t => {
  const table = uniqueName()
  const topic = await shop.topic(`cdc.${table.slice(2)}`)
  await shop.sql(`create table ${table} (id int, day date, primary key (id, day)) partition by range (day)`)
  await shop.sql(`create table ${table}_1 partition of ${table} for values from ('2024-01-01') to ('2024-02-01')`)
  await shop.map({ table, topic, events: ['insert', 'update'] })
  await shop.sql(`insert into ${table} values (1, '2024-01-15')`)
  await shop.sql(`create table ${table}_2 partition of ${table} for values from ('2024-02-01') to ('2024-03-01')`)
  await shop.sql(`insert into ${table} values (2, '2024-02-15')`)
  const events = await shop.events(topic, 2)
  t.same(events.map(event => event.payload), [{ id: 1, day: '2024-01-15' }, { id: 2, day: '2024-02-15' }])
  t.same(events.map(event => event.key), ['["1","2024-01-15"]', '["2","2024-02-15"]'])
})

await t.test('the weakest replica identity among the partitions counts', async t => {
  const table = uniqueName()
  const topic = await shop.topic(`cdc.${table.slice(2)}`)
  await shop.sql(
    `create table ${table} (id int primary key, name text) partition by range (id);
    alter table ${table} replica identity full`
  )
  await shop.sql(
    `create table ${table}_1 partition of ${table} for values from (0) to (10);
    alter table ${table}_1 replica identity full`
  )
  await shop.sql(`create table ${table}_2 partition of ${table} for values from (10) to (20)`)
  const { mappingId } = await shop.map({
    table, topic, events: ['update', 'delete'], payload: { id: '$row.id', was: '$old.name' }, when: { changed: 'name' }
  })
  const change = async (id: number) =>
    await shop.sql(
      `insert into ${table} values (${id}, 'a');
      update ${table} set name = 'b' where id = ${id};
      update ${table} set id = id + 1 where id = ${id};
      delete from ${table} where id = ${
        id + 1
      }`
    )
  await change(1)
  await change(11)
  const events = await shop.events(topic, 5)
  t.match(
    events.map(({ payload, meta }) => ({ payload, unavailable: (meta as { unavailable?: string[] }).unavailable })),
    [
      { payload: { id: 1, was: 'a' }, unavailable: undefined },
      { payload: { id: 2, was: 'b' }, unavailable: undefined }, { payload: { id: 11 }, unavailable: ['old.name'] },
      { payload: { id: 12 }, unavailable: ['old.name'] }, { payload: { id: 12 }, unavailable: ['old.name'] }
    ]
  )
  t.notOk(events.slice(2).some(({ payload }) => 'was' in (payload as object)), 'an unknown value is not null')
  const problemsOf = async () =>
    (await shop.request('GET', '/api/database/mappings/status?limit=1000')).body.find(({ id }: { id: string }) =>
      id === mappingId
    ).problems
  const [problem] = await problemsOf()
  t.match(problem, { code: 'REPLICA_IDENTITY', sql: `ALTER TABLE "public"."${table}_2" REPLICA IDENTITY FULL;` })
  t.match(
    (await shop.request('GET', '/api/database/tables')).body.find(({ name }: { name: string }) => name === table),
    { partitioned: true, replicaIdentity: 'default' }
  )
  await shop.sql(problem.sql)
  t.same(await problemsOf(), [], 'the statement fixes it')
  await shop.sql(`insert into ${table} values (15, null); delete from ${table} where id = 15`)
  t.match((await shop.events(topic, 6)).at(-1)?.payload, { id: 15, was: null })

  t.match(await shop.request('POST', '/api/database/mappings', { table: `${table}_1`, topic, events: ['insert'] }), {
    status: 400,
    body: { message: new RegExp(`public.${table}$`), details: [{ path: '/table' }] }
  }, 'a mapping cannot name a partition')
  const late = await shop.request('POST', '/api/database/mappings', { table: `${table}_3`, topic, events: ['insert'] })
  await shop.sql(`create table ${table}_3 partition of ${table} for values from (20) to (30)`)
  t.match(await shop.request('POST', '/api/database/subscriptions', { mappingId: late.body.id }), {
    status: 409,
    body: { code: 'TABLE_NOT_PUBLISHED', message: new RegExp(`public.${table}`) }
  })
  t.match(
    (await shop.request('GET', '/api/database/mappings/status?limit=1000')).body.find(({ id }: { id: string }) =>
      id === late.body.id
    ).problems,
    [{ code: 'TABLE_IS_PARTITION' }]
  )
})

await t.test('a table without a replica identity is not published, so its owner can still write', async t => {
  const topic = await shop.topic(`cdc.${uniqueName().slice(2)}`)
  const plain = uniqueName()
  await shop.sql(`create table ${plain} (id int, n int)`)
  const parted = uniqueName()
  await shop.sql(
    `create table ${parted} (id int, n int) partition by range (id); alter table ${parted} replica identity full`
  )
  await shop.sql(
    `create table ${parted}_1 partition of ${parted} for values from (0) to (10);
    create table ${parted}_2 partition of ${parted} for values from (10) to (20)`
  )
  await shop.sql(`alter table ${parted}_1 replica identity full`)
  const nothing = uniqueName()
  await shop.sql(`create table ${nothing} (id int primary key, n int); alter table ${nothing} replica identity nothing`)
  const deferred = uniqueName()
  await shop.sql(`create table ${deferred} (id int primary key deferrable, n int)`)
  for (
    const [table, lacking] of [[plain, plain], [parted, `${parted}_2`], [nothing, nothing], [
      deferred,
      deferred
    ]] as const
  ) {
    const { body: { id: mappingId } } = await shop.request('POST', '/api/database/mappings', {
      table, topic, events: ['insert'], payload: '$row.n'
    })
    const sql = `ALTER TABLE "public"."${lacking}" REPLICA IDENTITY FULL;`
    t.match(await shop.request('POST', '/api/database/subscriptions', { mappingId }), {
      status: 409,
      body: { code: 'TABLE_NOT_PUBLISHED', message: /replica identity/, details: [{ path: '/table', sql }] }
    })
    t.same(await shop.sql('select from pg_publication_tables where tablename = $1', [table]), [])
    await shop.sql(`insert into ${table} values (15, 1); update ${table} set n = 2; delete from ${table}`)
    const statusOf = async () =>
      (await shop.request('GET', '/api/database/mappings/status?limit=1000')).body.find(({ id }: { id: string }) =>
        id === mappingId
      ).problems
    t.match(await statusOf(), [{ code: 'REPLICA_IDENTITY', message: /no replica identity/, sql }])
    await shop.sql(sql)
    t.match(
      await shop.request('POST', '/api/database/subscriptions', { mappingId }), { status: 201 },
      'the statement fixes it'
    )
    t.same(await statusOf(), [])
    await shop.sql(`insert into ${table} values (16, 3)`)
  }
  t.same((await shop.events(topic, 4)).map(event => event.payload), [3, 3, 3, 3])
})

await t.test('names may be anything that PostgreSQL allows', async t => {
  const schema = `Schö.n "${uniqueName()}"`
  const [table, column] = ['Ta ble.ü', 'Spal"te $x.y']
  const quoted = (name: string) => `"${name.replaceAll('"', '""')}"`
  const topic = await shop.topic('cdc.quoted')
  await shop.sql(`create schema ${quoted(schema)}`)
  await shop.sql(
    `create table ${quoted(schema)}.${quoted(table)} (id int primary key, ${
      quoted(column)
    } text, "__proto__" text, "constructor" int)`
  )
  await shop.map({
    table: `${quoted(schema)}.${quoted(table)}`,
    topic,
    events: ['insert'],
    payload: { value: `$row.${column}`, constructor: '$row.constructor' },
    when: { eq: { [column]: 'ü' } }
  })
  await shop.sql(`insert into ${quoted(schema)}.${quoted(table)} values (1, 'ü', 'p', 3)`)
  t.same((await shop.events(topic, 1)).map(event => event.payload), [{ value: 'ü', constructor: 3 }])
})

await t.test('generated columns are in the stream or reported as unavailable', async t => {
  const [server] = await shop.sql('select current_setting(\'server_version_num\')::int >= 180000 as is_18')
  const isNew = server?.['is_18'] === true
  const virtual = isNew ? ', virtual int generated always as (a * 3) virtual' : ''
  const { table, topic } = await mapped(
    `id int primary key, a int, stored int generated always as (a * 2) stored${virtual}`,
    {
      full: false, events: ['insert'], payload: { stored: '$row.stored', ...(isNew && { virtual: '$row.virtual' }) }
    }
  )
  await shop.sql(`insert into ${table} (id, a) values (1, 2)`)
  t.match(
    await shop.events(topic, 1),
    isNew
      ? [{ payload: { stored: 4 }, meta: { unavailable: ['virtual'] } }]
      : [{ payload: {}, meta: { unavailable: ['stored'] } }]
  )
})

await t.test('the definition of a table may change between and within transactions', async t => {
  const { table, topic } = await mapped('id int primary key, a text')
  await shop.sql(`insert into ${table} values (1, 'x')`)
  await shop.sql(`alter table ${table} add column b int default 5`)
  await shop.sql(`insert into ${table} values (2, 'y', 6)`)
  await shop.sql(`alter table ${table} drop column a`)
  await shop.sql(`update ${table} set b = 7 where id = 1`)
  await shop.sql(`alter table ${table} alter column b type text using b::text`)
  await shop.sql(
    `begin; insert into ${table} values (3, 'z'); alter table ${table} rename column b to c;
    insert into ${table} values (4, 'w'); commit`
  )
  t.same((await shop.events(topic, 5)).map(event => event.payload), [
    { id: 1, a: 'x' }, { id: 2, a: 'y', b: 6 }, { id: 1, b: 7 }, { id: 3, b: 'z' }, { id: 4, c: 'w' }
  ])
})

await t.test('TRUNCATE makes no event and does not stop the stream', async t => {
  const { table, topic } = await mapped('id int primary key', { payload: '$row.id' })
  await shop.sql(`insert into ${table} values (1)`)
  await shop.sql(`truncate ${table}`)
  await shop.sql(`begin; truncate ${table}; insert into ${table} values (2); commit`)
  t.same((await shop.events(topic, 2)).map(event => event.payload), [1, 2])
  const truncated = () =>
    lines.filter(({ msg, tables }) =>
      msg === 'cdc.truncate_ignored' && (tables as string[]).includes(`public.${table}`)
    )
  const count = () => truncated().reduce((sum, line) => sum + Number(line['count']), 0)
  await until(() => count() === 2, 'both to be logged')
  t.match(truncated()[0], { level: 30, lsn: String, tables: [`public.${table}`], hasMoreTables: false })
})

await t.test('rolled back transactions and savepoints make no events', async t => {
  const { table, topic } = await mapped('id int primary key', { payload: '$row.id' })
  await shop.sql(`begin; insert into ${table} values (1); rollback`)
  await shop.sql(
    `begin; insert into ${table} values (2); savepoint s; insert into ${table} values (3); rollback to s;
    insert into ${table} values (4); commit`
  )
  t.same((await shop.events(topic, 2)).map(event => event.payload), [2, 4])
})

await t.test('a failing mapping affects no other', async t => {
  const { table, topic } = await mapped('id int primary key, a text', { events: ['insert'], payload: '$row.id' })
  const strict = await shop.topic(`${topic}.strict`)
  await shop.request('POST', `/api/schemas/${strict}`, {
    schema: { type: 'object', properties: { id: { type: 'integer', maximum: 2 } }, required: ['id'] }
  })
  const gone = await shop.topic(`${topic}.gone`)
  const bad = {
    schema: await shop.map({ table, topic: strict, events: ['insert'], payload: { id: '$row.id' } }),
    topic: await shop.map({ table, topic: gone, events: ['insert'] }),
    column: await shop.map({ table, topic, events: ['insert'], payload: '$row.a', when: { isNull: { a: false } } }),
    size: await shop.map({
      table, topic, events: ['insert'], payload: Array.from({ length: 10 }, () => '$row.a'), when: { eq: { id: 3 } }
    })
  }
  await shop.request('DELETE', `/api/topics/${gone}`)
  await shop.sql(`insert into ${table} values (1, null), (2, null), (3, repeat('x', 100000))`)
  await shop.sql(`alter table ${table} drop column a`)
  await shop.sql(`insert into ${table} values (4), (5)`)
  const events = await shop.events(topic, 6)
  t.same(
    events.map(event => event.payload).filter(payload => typeof payload === 'number'), [1, 2, 3, 4, 5],
    'the valid mapping continues'
  )
  t.same(
    (await shop.events(strict, 2)).map(event => event.payload), [{ id: 1 }, { id: 2 }],
    'the schema refuses only invalid payloads'
  )
  // Independent of how the stream was cut into parts.
  const failures = async (mappingId: string, status: string, count: number) => {
    const logs = await shop.logs(
      `mappingId=${mappingId}&status=${status}`,
      logs => logs.reduce((sum, log) => sum + log.events, 0) >= count
    )
    t.equal(logs.reduce((sum, log) => sum + log.events, 0), count)
    return [...new Set(logs.map(log => `${log.code ?? ''} ${log.message ?? ''}`))].join()
  }
  t.match(await failures(bad.schema.mappingId, 'rejected', 3), /SCHEMA_VIOLATED .*(maximum|<= 2|at most)/)
  t.match(await failures(bad.topic.mappingId, 'rejected', 5), /^TOPIC_NOT_FOUND Topic not found: [^,]*$/)
  t.match(await failures(bad.column.mappingId, 'failed', 2), /^COLUMN_MISSING .*no column a$/)
  t.match(await failures(bad.size.mappingId, 'failed', 1), /^VALIDATION_FAILED .*bytes/)
  const metrics = (await app.inject('/api/metrics/prometheus')).body
  t.match(metrics, /realtime_cdc_mapping_failures_total\{code="COLUMN_MISSING"\} 2/)
  t.match(metrics, /realtime_cdc_lag_seconds \d/)
})

await t.test('one transaction makes events of several mappings, in order within each topic', async t => {
  const { table, topic } = await mapped('id int primary key, kind text', { events: ['insert'], payload: '$row.id' })
  const even = await shop.topic(`${topic}.even`)
  await shop.map({ table, topic: even, events: ['insert'], payload: '$row.id', when: { eq: { kind: 'even' } } })
  await shop.sql(
    `insert into ${table} select n, case when n % 2 = 0 then 'even' else 'odd' end from generate_series(1, 3000) n`
  )
  t.same((await shop.events(topic, 3000)).map(event => event.payload), upTo(3000))
  t.same((await shop.events(even, 1500)).map(event => event.payload), upTo(1500).map(n => n * 2))
})

await t.test('the slot of an idle database is acknowledged up to its current LSN', async t => {
  const [before] = await shop.sql(
    'select confirmed_flush_lsn::text as lsn from pg_replication_slots where database = current_database()'
  )
  await shop.sql(`create table ${uniqueName()} as select n, md5(n::text) from generate_series(1, 20000) n`)
  await until(async () => {
    const [row] = await shop.sql(
      'select confirmed_flush_lsn > $1::pg_lsn and pg_wal_lsn_diff(pg_current_wal_lsn(), confirmed_flush_lsn) < ' +
        '1000000 as is_there from pg_replication_slots where database = current_database()',
      [before?.['lsn']]
    )
    return row?.['is_there'] === true
  }, 'the acknowledgement')
  await until(async () => (await shop.connection()).lagMs === 0, 'no lag')
  t.match(await shop.connection(), {
    state: 'streaming', error: null, lsn: { server: String, confirmed: String, stored: String }, lagBytes: Number,
    retainedWalBytes: Number
  })
  t.match((await app.inject('/health/ready')).json(), { components: { cdc: { status: 'ok' } } })
})

await t.test('a slot that retains much WAL causes a warning', async t => {
  await until(() => lines.some(({ msg }) => msg === 'cdc.wal_retained'), 'the warning')
  t.match(lines.find(({ msg }) => msg === 'cdc.wal_retained'), {
    level: 40, connectionId: /^cdc_/, retainedBytes: Number, walStatus: String
  })
  t.match((await app.inject('/api/metrics/prometheus')).body, /realtime_cdc_retained_wal_bytes [1-9]/)
})

await t.test('no request returns the password', async t => {
  const secret = new URL(shop.source.url).password
  for (const path of ['connection', 'mappings', 'mappings/status', 'tables', 'subscriptions', 'logs']) {
    const { status, text } = await shop.request('GET', `/api/database/${path}`)
    t.equal(status, 200)
    t.notMatch(text, secret)
  }
  const { rows } = await app.pool.query('select to_jsonb(c)::text as text from cdc_connections c')
  t.notMatch(rows.map(row => row.text).join(), secret, 'it is stored encrypted')
})

await t.test('disconnecting drops the slot and publication and reports it', async t => {
  const { body } = await shop.request('DELETE', '/api/database/connection')
  t.match(body.leftovers, [{ name: 'slot', status: 'dropped' }, { name: 'publication', status: 'dropped' }])
  t.same(await shop.sql('select slot_name from pg_replication_slots where database = current_database()'), [])
  t.same(await shop.sql('select pubname from pg_publication'), [])
  t.match(await shop.request('GET', '/api/database/connection'), {
    status: 404, body: { code: 'CONNECTION_NOT_FOUND' }
  })
})

await t.test('deleting an application drops its slot and publication', async t => {
  const source = await createSource(t)
  const own = await sourced(t, app, source)
  await own.connect()
  t.equal((await source.sql('select from pg_replication_slots where database = current_database()')).length, 1)
  const { status } = await own.request('DELETE', `/api/applications/${own.applicationId}?force=true`)
  t.equal(status < 300, true)
  await until(
    async () => (await source.sql('select from pg_replication_slots where database = current_database()')).length === 0,
    'the slot to be dropped'
  )
  const publications = async () => (await source.sql('select from pg_publication')).length
  await until(async () => await publications() === 0, 'the publication to be dropped')
})
