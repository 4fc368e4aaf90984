import { pino } from 'pino'
import t from 'tap'
import type { DatabaseLog } from '../../../schemas/database.ts'
import { build } from '../../support/build.ts'
import { sourced, uniqueName } from '../../support/source-database.ts'
import { until } from '../../support/waiting.ts'

/*
 * An error that PostgreSQL raises while it decodes a transaction fails that transaction in the delivery log, and no
 * later one.
 */

t.setTimeout(600_000)

const lines: Record<string, unknown>[] = []
const logger = pino({ level: 'info' }, { write: (line: string) => { lines.push(JSON.parse(line)) } })
const { app } = await build(t, { logger })

const metric = async (line: string) =>
  Number(new RegExp(`^${line} (\\d+)`, 'm').exec((await app.inject('/api/metrics/prometheus')).body)?.[1] ?? 0)
const passedOver = () => metric('realtime_cdc_transactions_passed_over_total')
const numbersTo = (last: number) => Array.from({ length: last }, (_, i) => i + 1)
type Test = typeof t
type Tap = Parameters<typeof sourced>[0]

/**
 * Creates rows of an enum, and removes one of its values from the catalogue while a row has it. PostgreSQL then cannot
 * write that row as text.
 */
async function withBrokenEnum (t: Tap) {
  const shop = await sourced(t, app)
  const topics = { rows: await shop.topic('row.changed'), others: await shop.topic('other.inserted') }
  await shop.sql("create type mood as enum ('good', 'bad')")
  await shop.sql('create table rows (id int primary key, mood mood, note int)')
  await shop.sql('create table others (id int primary key)')
  await shop.connect()
  const mappings = {
    rows:
      (await shop.map({ table: 'rows', topic: topics.rows, events: ['insert', 'update'], payload: '$row.note' }))
        .mappingId,
    others:
      (await shop.map({ table: 'others', topic: topics.others, events: ['insert'], payload: '$row.id' })).mappingId
  }
  await shop.sql("insert into rows values (1, 'good', 1), (2, 'bad', 2)")
  await shop.events(topics.rows, 2)
  await shop.sql("delete from pg_enum where enumlabel = 'bad' and enumtypid = 'mood'::regtype")
  return {
    ...shop,
    mappings,
    topics,
    failures: (mappingId: string, count = 1) =>
      shop.logs(`mappingId=${mappingId}&status=failed`, (logs: DatabaseLog[]) => logs.length >= count),
    async has ({ same }: Pick<Test, 'same'>, topic: string, numbers: number[]) {
      same((await shop.events(topic, numbers.length)).map(({ payload }) => payload), numbers, 'each once, in order')
    }
  }
}

await t.test('a failing output function fails its transaction in the log; other transactions arrive', async t => {
  const shop = await withBrokenEnum(t)
  const before = await passedOver()
  await shop.sql('insert into others values (1)')
  await shop.sql(`begin; update rows set note = 3 where id = 1; insert into others values (2);
    update rows set note = 99 where id = 2; insert into others values (99); commit`)
  await shop.sql('insert into others values (3)')
  await shop.sql('update rows set note = 4 where id = 1')
  await shop.has(t, shop.topics.others, [1, 2, 3])
  await shop.has(t, shop.topics.rows, [1, 2, 3, 4])
  for (const mappingId of Object.values(shop.mappings)) {
    const [log, ...others] = await shop.failures(mappingId)
    t.match(log, {
      code: 'ROW_UNDECODABLE', events: 0, xid: Number, lsn: String,
      message: /rejects the data \(22P03\).* after the first 2 are not delivered/
    })
    t.ok((log as DatabaseLog).xid > 0)
    t.notMatch(log?.message, /enum/, 'not the server\'s words')
    t.same(others, [])
  }
  await until(async () => await passedOver() > before, 'the transaction to be counted')
  t.equal(await passedOver() - before, 1)
  t.ok(await metric('realtime_cdc_mapping_failures_total\\{code="ROW_UNDECODABLE"\\}') >= 2)
  t.match(lines.find(({ msg }) => msg === 'cdc.transaction_undecodable'), {
    level: 50, sqlState: '22P03', lsn: String, reason: /enum/, mappings: 2
  })
  t.match(lines.find(({ code }) => code === 'DECODING_FAILED'), { msg: 'cdc.reader_failed' })
  t.match(await shop.connection(), { state: 'streaming', error: null })
})

await t.test('transactions between failing ones arrive', async t => {
  const shop = await withBrokenEnum(t)
  for (const id of numbersTo(3)) {
    await shop.sql('update rows set note = 99 where id = 2')
    await shop.sql('insert into others values ($1)', [id])
  }
  await shop.has(t, shop.topics.others, [1, 2, 3])
  const logs = await shop.failures(shop.mappings.rows, 3)
  t.equal(new Set(logs.map(({ lsn }) => lsn)).size, 3, 'each has its own entry')
  t.match(logs, logs.map(() => ({ code: 'ROW_UNDECODABLE', message: /None of the transaction's changes/ })))
  await shop.has(t, shop.topics.rows, [1, 2])
})

await t.test('a failing transaction is skipped even if no mapping is enabled', async t => {
  const shop = await sourced(t, app)
  const topic = await shop.topic('other.inserted')
  await shop.sql(
    `create type mood as enum ('good', 'bad'); create table rows (id int primary key, mood mood);
    create table others (id int primary key)`
  )
  const publication = uniqueName()
  await shop.sql(`create publication ${publication} for table rows, others`)
  await shop.connect({ publication })
  const before = await passedOver()
  await shop.sql("insert into rows values (1, 'bad')")
  await shop.sql("delete from pg_enum where enumlabel = 'bad' and enumtypid = 'mood'::regtype")
  await shop.sql('update rows set id = 2')
  await until(async () => await passedOver() > before, 'the transaction to be skipped')
  await shop.state('streaming')
  await shop.map({ table: 'others', topic, events: ['insert'], payload: '$row.id' })
  await shop.sql('insert into others values (1)')
  t.same((await shop.events(topic, 1)).map(({ payload }) => payload), [1])
  t.equal(await passedOver() - before, 1)
})

await t.test('a row filter that fails before its transaction is sent skips only that transaction', async t => {
  const shop = await sourced(t, app)
  const topic = await shop.topic('row.inserted')
  await shop.sql('create table rows (id int primary key, divisor int); create table others (id int primary key)')
  const publication = uniqueName()
  await shop.sql(`create publication ${publication} for table rows where (100 / divisor > 0), others`)
  await shop.connect({ publication })
  await shop.sql('alter table others replica identity full')
  const { mappingId } = await shop.map({ table: 'others', topic, events: ['insert'], payload: '$row.id' })
  const before = await passedOver()
  await shop.sql('insert into others values (1)')
  await shop.sql('begin; insert into rows values (1, 0); insert into others values (99); commit')
  await shop.sql('insert into others values (2)')
  await shop.sql('insert into others values (3)')
  await shop.sql('begin; insert into others values (98); insert into rows values (2, 0); commit')
  await shop.sql('insert into others values (4)')
  t.same((await shop.events(topic, 5)).map(({ payload }) => payload), [1, 2, 3, 98, 4])
  const logs = await shop.logs(`mappingId=${mappingId}&status=failed`, logs => logs.length === 2)
  t.match(logs, logs.map(() => ({ code: 'ROW_UNDECODABLE', message: /rejects the data \(22012\)/ })))
  await until(async () => await passedOver() >= before + 2, 'the transactions to be counted')
  t.equal(await passedOver() - before, 2)
  t.match(await shop.connection(), { state: 'streaming', error: null })
})
