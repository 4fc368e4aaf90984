import t from 'tap'
import type { MappingDefinition } from '../../../schemas/database.ts'
import { compileMapping } from '../../../src/cdc/mappings/compiled-mapping.ts'
import { addTable, isPublished, publishTable, unpublishTable } from '../../../src/cdc/source/publication.ts'
import { createPublicationSql } from '../../../src/cdc/source/slot.ts'
import { openSource } from '../../../src/cdc/source/source.ts'
import { readPublishedTable } from '../../../src/cdc/source/published-table.ts'
import { problemsOf } from '../../../src/cdc/source/table-problems.ts'
import { build } from '../../support/build.ts'
import { startTestPostgres } from '../../support/postgres.ts'
import { until } from '../../support/waiting.ts'
import { createSource, sourced, uniqueName } from '../../support/source-database.ts'

/*
 * Enabling a mapping never blocks the source application's writes, and never succeeds if changes would be missing
 * without notice. Set TEST_DATABASE_URL to test another version of PostgreSQL.
 */

t.setTimeout(600_000)

const own = await createSource(t)

const everything: Pick<MappingDefinition, 'topic' | 'events'> = { topic: 'x.y', events: ['insert', 'update', 'delete'] }

{
  const client = await openSource(own.url)
  t.teardown(() => client.close())
  const version = Number((await client.query('show server_version_num')).rows[0]?.['server_version_num'])
  const major = Math.floor(version / 10_000)

  /** Creates a publication and a table. In statements, `_` stands for the table and `PUB` for the publication. */
  async function world (t: Tap, tables: string, publication = createPublicationSql('PUB', version)) {
    const [table, name] = [uniqueName(), uniqueName()]
    const named = (sql: string) =>
      sql.replaceAll(/\b_(?=\b|\d)/g, table).replaceAll(/\b_pkey\b/g, `${table}_pkey`).replaceAll(
        /\bPUB(?![A-Z])/g,
        name
      )
    const sql = async (text: string) => (await client.query(named(text))).rows
    await sql(tables)
    await sql(publication)
    t.teardown(async () => {
      await sql('drop publication PUB')
      await sql('drop table if exists _ cascade')
    })
    const mapping = (more: object = {}) => compileMapping({ ...everything, table, ...more })
    return {
      table,
      sql,
      named,
      mapping,
      publish: async (more?: object) => await publishTable(client, name, mapping(more), 100),
      add: async () => await addTable(client, name, { schema: 'public', name: table }),
      unpublish: async () => await unpublishTable(client, name, { schema: 'public', name: table }),
      isPublished: async () => await isPublished(client, name, { schema: 'public', name: table }),
      published: async () =>
        (await sql("select tablename as name from pg_publication_tables where pubname = 'PUB' order by 1")).map(row =>
          row['name'] as string
        ),
      async problems (more?: object) {
        const seen = await readPublishedTable(client, name, { schema: 'public', name: table })
        return seen === undefined ? undefined : problemsOf(seen, mapping(more))
      },
      /** The writes of the source application. */
      writes: async (target = '_', column = 'n') => {
        await sql(`update ${target} set ${column} = ${column}`)
        await sql(`delete from ${target} where false`)
      }
    }
  }

  /**
   * Checks that enabling is refused before the statement in the refusal is run and possible after it, and that the
   * application can write throughout.
   */
  async function refusedUntilMended (
    t: Tap, w: Awaited<ReturnType<typeof world>>,
    { message, code, more }: { message: RegExp, code: string, more?: object }
  ) {
    const isBroken = (await w.isPublished()) === true && (await w.writes().then(() => false, () => true))
    const error = await w.publish(more).then(() => undefined, (error: Refusal) => error)
    t.match(error, { code: 'TABLE_NOT_PUBLISHED', message }, 'enabling is refused')
    const [problem] = (await w.problems(more))?.filter(({ harm }) => harm !== 'none') ?? []
    t.match(problem, { code, message })
    t.equal(error?.details?.[0]?.sql, problem?.sql, 'the status has the same statements')
    if (!isBroken) await w.writes()
    if (problem?.sql === undefined) return
    await w.sql(problem.sql)
    await w.publish(more)
    t.same((await w.problems(more))?.filter(({ harm }) => harm !== 'none'), [], 'the statements fix it')
    await w.writes()
  }

  await t.test(`PostgreSQL ${major}`, async t => {
    await t.test('children of an inheritance tree are not published with their parent', async t => {
      const w = await world(
        t, 'create table _ (id int primary key, n int); create table _1 () inherits (_); insert into _1 values (1, 1)'
      )
      await w.publish()
      t.same(await w.published(), [w.table])
      await w.writes()
      t.equal(await w.publish(), 'present')
      await w.unpublish()
      t.same(await w.published(), [], 'the table can be removed again')
    })

    await t.test('a table that could not be updated once published is refused', async t => {
      const noIdentity = { message: /no replica identity/, code: 'REPLICA_IDENTITY' }
      await refusedUntilMended(t, await world(t, 'create table _ (n int)'), noIdentity)
      await refusedUntilMended(t, await world(t, 'create table _ (n int primary key deferrable)'), noIdentity)
      await refusedUntilMended(
        t, await world(t, 'create table _ (n int primary key); alter table _ replica identity nothing'), noIdentity
      )
      await refusedUntilMended(
        t,
        await world(
          t,
          'create table _ (n int not null); create unique index _1 on _ (n); alter table _ replica identity using ' +
            'index _1; drop index _1'
        ),
        noIdentity
      )
      await refusedUntilMended(
        t,
        await world(
          t,
          'create table _ (n int) partition by range (n); create table _1 partition of _ (n primary key) for values ' +
            'from (0) to (9); create table _2 partition of _ for values from (9) to (99)'
        ),
        noIdentity
      )
      const inserts = await world(t, 'create table _ (n int)', "create publication PUB with (publish = 'insert')")
      await inserts.publish({ events: ['insert'] })
      await inserts.writes()
    })

    await t.test('the status reports a partition that is created later without an identity', async t => {
      const w = await world(
        t,
        'create table _ (id int, n int) partition by range (id); create table _1 partition of _ (id primary key) ' +
          'for values from (0) to (9)'
      )
      await w.publish()
      await w.sql('create table _2 partition of _ for values from (9) to (99); insert into _ values (10, 1)')
      const [problem] = await w.problems() ?? []
      t.match(problem, {
        code: 'REPLICA_IDENTITY', harm: 'writes', message: w.named('public._2 has no replica identity')
      })
      await t.rejects(w.writes(), { code: '55000' })
      await w.sql(problem?.sql ?? '')
      await w.writes()
      t.same(await w.problems(), [])
    })

    await t.test('unpublished stored generated columns in the identity are refused', async t => {
      const full =
        'create table _ (id int primary key, n int, g int generated always as (n * 2) stored); alter table _ ' +
          'replica identity full'
      await (await world(t, full)).publish()
      const byHand = "create publication PUB with (publish = 'insert, update, delete, truncate')"
      const w = await world(t, full, byHand)
      const keyed = await world(
        t, 'create table _ (n int, g int generated always as (n * 2) stored primary key)', byHand
      )
      const wanting = await world(
        t, 'create table _ (id int primary key, n int, g int generated always as (n * 2) stored)', byHand
      )
      await wanting.publish({ when: { changed: 'n' } })
      const [advice] = await wanting.problems({ when: { changed: 'n' } }) ?? []
      t.match(advice, { code: 'REPLICA_IDENTITY', harm: 'none', sql: /REPLICA IDENTITY FULL;$/ })
      if (version >= 180_000) {
        await refusedUntilMended(t, w, { message: /generated column/, code: 'GENERATED_COLUMNS' })
        await refusedUntilMended(t, keyed, { message: /generated column/, code: 'GENERATED_COLUMNS' })
        t.match(advice?.sql, /^ALTER PUBLICATION .* SET \(publish_generated_columns = stored\);\n/)
      } else {
        for (const each of [w, keyed]) {
          await each.publish()
          await each.writes()
        }
        t.notMatch(advice?.sql, /publish_generated_columns/, 'this version lacks the option')
      }
      await wanting.sql(advice?.sql ?? '')
      await wanting.writes()
    })

    if (version >= 180_000) {
      await t.test('virtual generated columns with FULL are refused', async t => {
        const virtual = (more: string) =>
          `create table _ (n int not null${more}, g int generated always as (n * 2) virtual)`
        const refusal = { message: /virtual generated column/, code: 'GENERATED_COLUMNS' }
        await refusedUntilMended(
          t,
          await world(t, `${virtual(' primary key')}; alter table _ replica identity full`),
          refusal
        )
        await refusedUntilMended(
          t,
          await world(t, `${virtual(' unique')}; alter table _ replica identity full`),
          refusal
        )
        const keyless = await world(t, `${virtual('')}; alter table _ replica identity full`)
        await refusedUntilMended(t, keyless, refusal)
        t.match((await keyless.problems())?.[0]?.message, /Give public\.\w+ a primary key/)
        await keyless.sql('alter table _ add primary key (n); alter table _ replica identity default')
        await keyless.publish()
        await keyless.writes()
        const bare = await world(t, virtual(''))
        const error = await bare.publish().then(() => undefined, (error: Refusal) => error)
        t.match(error, { message: /no replica identity/ })
        t.notMatch(error?.details?.[0]?.sql, /FULL/)
        const nothing = await world(t, `${virtual(' unique')}; alter table _ replica identity nothing`)
        await refusedUntilMended(t, nothing, { message: /no replica identity/, code: 'REPLICA_IDENTITY' })

        const watching = await world(t, `${virtual(' primary key')}; alter table _ add m int`)
        await watching.publish({ when: { changed: 'm' } })
        const [advice] = await watching.problems({ when: { changed: 'm' } }) ?? []
        t.match(
          advice, { code: 'REPLICA_IDENTITY', harm: 'none', message: /FULL does not help/, sql: undefined },
          'no harmful statement is advised'
        )
        await watching.writes()

        const late = await world(t, 'create table _ (id int primary key, n int); alter table _ replica identity full')
        await late.publish()
        await late.sql('alter table _ add g int generated always as (n * 2) virtual; insert into _ values (1, 1)')
        t.match(await late.problems(), [{
          code: 'GENERATED_COLUMNS', harm: 'writes',
          sql: 'ALTER TABLE "public"."' + late.table + '" REPLICA IDENTITY DEFAULT;'
        }], 'the status reports a column that is added later')
        await late.sql((await late.problems())?.[0]?.sql ?? '')
        await late.writes()

        const parted = await world(
          t,
          'create table _ (n int primary key, g int generated always as (n * 2) virtual) partition by range (n); ' +
            'create table _1 partition of _ for values from (0) to (9); alter table _1 replica identity full'
        )
        await refusedUntilMended(t, parted, refusal)
      })
    }

    await t.test('a publication that lacks an operation of the mapping is refused', async t => {
      const w = await world(
        t, 'create table _ (n int primary key)', "create publication PUB for table _ with (publish = 'insert')"
      )
      t.equal(await w.publish({ events: ['insert'] }), 'present')
      await refusedUntilMended(t, w, { message: /does not publish update or delete/, code: 'OPERATION_NOT_PUBLISHED' })
      const fragile = await world(
        t, 'create table _ (n int)', "create publication PUB for table _ with (publish = 'insert')"
      )
      const [problem] = await fragile.problems() ?? []
      t.match(problem, {
        code: 'OPERATION_NOT_PUBLISHED',
        message: new RegExp(`First give public.${fragile.table} a replica identity`),
        sql: undefined
      })
      const deletes = await world(
        t, 'create table _ (n int primary key)', "create publication PUB with (publish = 'update')"
      )
      await refusedUntilMended(t, deletes, {
        message: /does not publish insert/, code: 'OPERATION_NOT_PUBLISHED', more: { events: ['insert'] }
      })
    })

    if (version >= 150_000) {
      await t.test('row filters and incomplete column lists are refused', async t => {
        const table = 'create table _ (id int primary key, n int, m int)'
        await refusedUntilMended(t, await world(t, table, 'create publication PUB for table _ where (id > 5)'), {
          message: /row filter/, code: 'ROW_FILTER'
        })
        await refusedUntilMended(t, await world(t, table, 'create publication PUB for table _ where (n > 5)'), {
          message: /row filter/, code: 'ROW_FILTER'
        })
        await refusedUntilMended(t, await world(t, table, 'create publication PUB for table _ (id, n)'), {
          message: /without m$/, code: 'COLUMN_LIST'
        })
        await refusedUntilMended(t, await world(t, table, 'create publication PUB for table _ (id, n)'), {
          message: /without m$/, code: 'COLUMN_LIST', more: { payload: '$row.id', when: { isNull: 'm' } }
        })
        await refusedUntilMended(t, await world(t, table, 'create publication PUB for table _ (n)'), {
          message: /leaves out columns of the replica identity/, code: 'COLUMN_LIST'
        })
        await refusedUntilMended(
          t,
          await world(t, `${table}; alter table _ replica identity full`, 'create publication PUB for table _ (id, n)'),
          { message: /leaves out columns/, code: 'COLUMN_LIST' }
        )
        const partial = await world(t, table, 'create publication PUB for table _ (id, n)')
        t.equal(
          await partial.publish({ payload: { id: '$row.id' }, when: { gt: { n: 1 } } }), 'present',
          'the list has every needed column'
        )
        t.match(
          (await partial.problems({ payload: '$row.id', triggerColumns: ['n'] }))?.[0]?.sql,
          /^BEGIN;[^]*DROP TABLE ONLY[^]*ADD TABLE ONLY[^]*COMMIT;\nALTER TABLE .* FULL;$/, 'FULL requires all columns'
        )
        const parted =
          'create table _ (id int primary key, n int) partition by range (id); create table _1 partition of _ for ' +
            'values from (0) to (9)'
        await refusedUntilMended(
          t,
          await world(
            t, parted, 'create publication PUB for table _ where (id > 5) with (publish_via_partition_root = true)'
          ),
          { message: /row filter/, code: 'ROW_FILTER' }
        )
        await refusedUntilMended(t, await world(t, parted, 'create publication PUB for table _1 where (id > 5)'), {
          message: /row filter/, code: 'ROW_FILTER'
        })
      })
    }

    await t.test('tables and partitions that are not in the WAL are refused', async t => {
      const unlogged = { message: /unlogged/, code: 'UNLOGGED' }
      await refusedUntilMended(t, await world(t, 'create unlogged table _ (n int primary key)'), unlogged)
      await refusedUntilMended(
        t,
        await world(
          t,
          'create table _ (n int primary key) partition by range (n); create unlogged table _1 partition of _ for ' +
            'values from (0) to (9); create table _2 partition of _ for values from (9) to (99)'
        ),
        unlogged
      )
      const temporary = await world(t, 'create temp table _ (n int primary key)')
      t.equal(await temporary.problems(), undefined)
    })

    await t.test('the status reports a publication that lists partitions', async t => {
      const w = await world(
        t,
        'create table _ (n int primary key) partition by range (n); create table _1 partition of _ for values from ' +
          '(0) to (9)',
        'create publication PUB'
      )
      await w.publish()
      const [problem] = await w.problems() ?? []
      t.match(problem, { code: 'PARTITIONS_APART', harm: 'none' })
      await w.sql(problem?.sql ?? '')
      t.same(await w.problems(), [])
    })

    await t.test('a reader adds a table again only if that breaks no writes, whatever a mapping misses', async t => {
      const w = await world(t, 'create table _ (n int)', "create publication PUB with (publish = 'insert, update')")
      await t.rejects(w.add(), { code: 'TABLE_NOT_PUBLISHED' })
      await w.writes()
      await w.sql('alter table _ replica identity full')
      await w.add()
      await w.add()
      t.ok(await w.isPublished())
    })

    if (version >= 150_000) {
      await t.test('PostgreSQL refuses before the commit what the catalogue does not show', async t => {
        const w = await world(
          t, 'create table _ (id int primary key, n int); alter table _ replica identity full',
          'create publication PUB for table _ (id, n)'
        )
        t.same(await w.problems(), [], 'a list of all columns looks like no list')
        const isRefused = await w.writes().then(() => false, () => true)
        if (isRefused) await t.rejects(w.publish(), { code: 'TABLE_NOT_PUBLISHED' })
        else await w.publish()
      })
    }
  })
}

await t.test('enabling waits for prepared transactions that have written', async t => {
  const server = await startTestPostgres({ settings: { max_prepared_transactions: '5' } })
  t.teardown(() => server.stop())
  const [client, other] = [await openSource(server.url), await openSource(server.url)]
  for (const each of [client, other]) t.teardown(() => each.close())
  const mapping = compileMapping({ ...everything, table: 'orders' })
  for (
    const sql of [
      'create table orders (n int primary key)', 'create publication p', 'begin', 'insert into orders values (1)',
      "prepare transaction 'one'"
    ]
  ) await other.query(sql)
  await t.rejects(publishTable(client, 'p', mapping, 100), {
    code: 'TABLE_BUSY', message: /1 of them prepared: pg_prepared_xacts/
  })
  t.equal(await isPublished(client, 'p', mapping.table), false, 'the table is removed again')
  const waiting = publishTable(client, 'p', mapping, 60_000)
  await until(async () => await isPublished(other, 'p', mapping.table) === true, 'the table to be added')
  await other.query("commit prepared 'one'")
  t.equal(await waiting, 'added')
})

await t.test('enabling, the status and the connection test report the same problems', async t => {
  const { app } = await build(t)
  const shop = await sourced(t, app)
  const topic = await shop.topic('order.placed')
  await shop.sql(
    `create table orders (id int primary key, n int);
    create publication by_hand for table orders (id) with (publish = 'insert')`
  )
  const before = await shop.request('POST', '/api/database/connection/test', {
    connectionString: shop.source.url, publication: 'by_hand'
  })
  t.match(before.body, { ok: true })
  await shop.connect({ publication: 'by_hand' })
  const { body: { id: mappingId } } = await shop.request('POST', '/api/database/mappings', {
    table: 'orders', topic, events: ['insert', 'update']
  })
  const test = await shop.request('POST', '/api/database/connection/test', {})
  t.match(test.body, { ok: false })
  const checks = (test.body.checks as { name: string, status: string, message: string, sql?: string }[]).filter((
    { status }
  ) => status === 'failed')
  t.match(checks, [{ name: 'table', message: /does not publish update/ }, { name: 'table', message: /column list/ }])
  const status = async () =>
    (await shop.request('GET', '/api/database/mappings/status')).body[0].problems as { code: string, sql?: string }[]
  t.same((await status()).map(({ code }) => code), ['OPERATION_NOT_PUBLISHED', 'COLUMN_LIST'])
  const on = async () => await shop.request('POST', '/api/database/subscriptions', { mappingId })
  t.match(await on(), {
    status: 409,
    body: {
      code: 'TABLE_NOT_PUBLISHED', message: /does not publish update/,
      details: [{ path: '/table', sql: /^ALTER PUBLICATION/ }]
    }
  })
  for (const { sql } of await status()) await shop.sql(sql ?? '')
  t.match(await on(), { status: 201 })
  await shop.sql('insert into orders values (1, 2); update orders set n = 3')
  t.same((await shop.events(topic, 2)).map(({ payload }) => payload), [{ id: 1, n: 2 }, { id: 1, n: 3 }])
  await shop.sql('alter publication by_hand set table orders where (id > 5)')
  t.match(await status(), [{ code: 'ROW_FILTER' }], 'the status reports later changes')
})

type Tap = Pick<typeof t, 'match' | 'same' | 'equal' | 'teardown'>
type Refusal = Error & { code?: string, details?: { sql?: string }[] }
