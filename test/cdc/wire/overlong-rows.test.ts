import t from 'tap'
import { build } from '../../support/build.ts'
import { sourced } from '../../support/source-database.ts'

/* A row change that exceeds CDC_ROW_BYTES_MAX fails by itself, and the stream continues. */

t.setTimeout(600_000)

const { app } = await build(t, { adapt: ({ cdc }) => { cdc.limits.messageBytesMax = 200_000 } })

await t.test('an overlong row fails only in the mappings of its operation', async t => {
  const shop = await sourced(t, app)
  const [written, deleted, other] = [
    await shop.topic('row.written'), await shop.topic('row.deleted'), await shop.topic('other.written')
  ]
  await shop.sql('create table rows (id int primary key, note text)')
  await shop.sql('create table others (id int primary key)')
  await shop.sql('alter table rows replica identity full')
  await shop.connect()
  const toWritten = await shop.map({ table: 'rows', topic: written, events: ['insert', 'update'], payload: '$row.id' })
  const toDeleted = await shop.map({ table: 'rows', topic: deleted, events: ['delete'], payload: '$row.id' })
  const toOther = await shop.map({ table: 'others', topic: other, events: ['insert'], payload: '$row.id' })
  const long = "repeat('x', 150000)"
  await shop.sql(
    `begin; insert into rows values (1, 'short'); insert into rows values (2, repeat('x', 5000000));
    insert into others values (1);
    insert into rows values (3, ${long}); commit`
  )
  // Old and new values exceed the limit together, but not separately.
  await shop.sql(`update rows set note = ${long} || 'y' where id = 3`)
  await shop.sql('delete from rows where id = 2')
  await shop.sql('delete from rows where id = 3; insert into rows values (4)')
  t.same((await shop.events(written, 3)).map(({ payload }) => payload), [1, 3, 4])
  t.same((await shop.events(other, 1)).map(({ payload }) => payload), [1])
  t.same((await shop.events(deleted, 1)).map(({ payload }) => payload), [3])
  const failures = async (mappingId: string, count: number) =>
    (await shop.logs(`mappingId=${mappingId}&status=failed`, logs => logs.length === count))
      .map(({ code, events, message, table }) => ({
        code, events, table, bytes: Number(/has (\d+) bytes and exceeds CDC_ROW_BYTES_MAX/.exec(message ?? '')?.[1])
      }))
  const failed = (await failures(toWritten.mappingId, 2)).sort((a, b) => a.bytes - b.bytes)
  t.match(failed, [{ code: 'ROW_TOO_LARGE', events: 1, table: 'public.rows' }, { code: 'ROW_TOO_LARGE', events: 1 }])
  t.ok(failed.every(({ bytes }, i) => Math.abs(bytes - (i === 0 ? 300_000 : 5_000_000)) < 200), JSON.stringify(failed))
  t.match(await failures(toDeleted.mappingId, 1), [{ code: 'ROW_TOO_LARGE', events: 1 }])
  t.same(await failures(toOther.mappingId, 0), [])
  t.match(await shop.connection(), { state: 'streaming', error: null })
  t.match(await app.instruments.registry.metrics(), /realtime_cdc_mapping_failures_total\{code="ROW_TOO_LARGE"\} 3/)
})
