import pg from 'pg'
import t from 'tap'
import { textDecoder, Undecodable } from '../../../src/cdc/decoding/text-decoder.ts'
import { build } from '../../support/build.ts'
import { createDatabase, withDatabase } from '../../support/database.ts'
import { sourced, uniqueName, type TestSource } from '../../support/source-database.ts'
import type { Teardown } from '../../support/teardown.ts'

/* A value that is not valid in the database's encoding only fails its row in the mappings that need it. */

t.setTimeout(600_000)

const { app } = await build(t)

/** Creates a database of the encoding, which is dropped after the test with its slots. */
async function createSource (t: Teardown, encoding: string): Promise<TestSource> {
  const serverUrl = await createDatabase(t)
  const server = await connect(serverUrl)
  const name = uniqueName()
  await server.query(
    `create database ${name} encoding '${encoding}' template template0 locale_provider libc lc_collate 'C' lc_ctype 'C'`
  )
  const client = await connect(withDatabase(serverUrl, name))
  t.teardown(async () => {
    await client.end()
    for (let left = 1; left > 0;) {
      await server.query(
        'select pg_terminate_backend(active_pid) from pg_replication_slots where database = $1 and active', [name]
      )
      await server.query(`drop database if exists ${name} with (force)`).catch(() => {})
      left = (await server.query('select from pg_database where datname = $1', [name])).rows.length
    }
    await server.end()
  })
  return {
    url: withDatabase(serverUrl, name), client,
    sql: async (text, values) => (await client.query(text, values)).rows as Record<string, unknown>[]
  }
}

async function connect (url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url })
  client.on('error', () => {})
  await client.connect()
  return client
}

const cases = [
  { encoding: 'SQL_ASCII', valid: String.raw`E'caf\xc3\xa9'`, text: 'café', invalid: String.raw`E'caf\xe9'` },
  { encoding: 'WIN1252', valid: String.raw`E'caf\xe9 \x80'`, text: 'café €', invalid: String.raw`E'\x81'` },
  { encoding: 'WIN1251', valid: String.raw`E'\xc4\xe0'`, text: 'Да', invalid: String.raw`E'\x98'` },
  { encoding: 'LATIN9', valid: String.raw`E'\xa4'`, text: '€', invalid: undefined },
  { encoding: 'EUC_JP', valid: String.raw`E'\xa4\xa2'`, text: 'あ', invalid: undefined }
]

for (const { encoding, valid, text, invalid } of cases) {
  await t.test(`${encoding}: valid text arrives, invalid text fails its row, and the stream continues`, async t => {
    const shop = await sourced(t, app, await createSource(t, encoding))
    const [whole, ids] = [await shop.topic('row.whole'), await shop.topic('row.id')]
    await shop.sql('create table rows (id int primary key, name text)')
    await shop.sql('alter table rows replica identity full')
    await shop.connect()
    const { mappingId } = await shop.map({ table: 'rows', topic: whole, events: ['insert', 'update', 'delete'] })
    await shop.map({ table: 'rows', topic: ids, events: ['insert'], payload: '$row.id' })
    await shop.sql(`insert into rows values (1, ${valid})`)
    if (invalid !== undefined) {
      await shop.sql(
        `begin; insert into rows values (2, ${invalid}); insert into rows values (3, 'in the same transaction'); commit`
      )
      await shop.sql('update rows set id = 4 where id = 2')
      await shop.sql("update rows set name = 'repaired' where id = 4")
      await shop.sql(`update rows set name = ${invalid} where id = 4`)
      await shop.sql('delete from rows where id = 4')
    }
    await shop.sql("insert into rows values (5, 'after')")
    const events = await shop.events(whole, invalid === undefined ? 2 : 4)
    const payloads = events.map(({ payload }) => payload)
    t.same(
      payloads,
      invalid === undefined
        ? [{ id: 1, name: text }, { id: 5, name: 'after' }]
        : [{ id: 1, name: text }, { id: 3, name: 'in the same transaction' }, { id: 4, name: 'repaired' }, {
            id: 5, name: 'after'
          }]
    )
    t.same(
      (await shop.events(ids, invalid === undefined ? 2 : 4)).map(({ payload }) => payload),
      invalid === undefined ? [1, 5] : [1, 2, 3, 5], 'a mapping that does not need the value receives the row'
    )
    if (invalid !== undefined) {
      const logs = await shop.logs(
        `mappingId=${mappingId}&status=failed`,
        logs => logs.reduce((sum, { events }) => sum + events, 0) === 4
      )
      for (const log of logs) t.match(log, { code: 'VALUE_UNDECODABLE', message: new RegExp(`name.*${encoding}`) })
    }
    t.match(await shop.connection(), { state: 'streaming', error: null })
  })
}

await t.test('a leading U+FEFF is kept, in values, keys and names', async t => {
  const shop = await sourced(t, app)
  const topic = await shop.topic('row.whole')
  await shop.sql('create table "\uFEFFrows" (id text primary key, "\uFEFFname" text, notes text[])')
  await shop.sql('alter table "\uFEFFrows" replica identity full')
  await shop.connect()
  await shop.map({ table: '\uFEFFrows', topic, events: ['insert', 'update'] })
  await shop.sql('insert into "\uFEFFrows" values ($1, $2, $3)', ['\uFEFF1', '\uFEFFtext', ['\uFEFFa', 'b\uFEFF']])
  await shop.sql('update "\uFEFFrows" set "\uFEFFname" = $1', ['\uFEFF'])
  const row = { id: '\uFEFF1', '\uFEFFname': '\uFEFFtext', notes: ['\uFEFFa', 'b\uFEFF'] }
  t.strictSame((await shop.events(topic, 2)).map(({ key, payload }) => ({ key, payload })), [
    { key: '\uFEFF1', payload: row }, { key: '\uFEFF1', payload: { ...row, '\uFEFFname': '\uFEFF' } }
  ])
})

await t.test('each byte decodes as PostgreSQL converts it', async t => {
  const client = await connect(await createDatabase(t))
  await client.query(`create function as_utf8 (byte int, encoding name) returns text language plpgsql as $$
    begin return convert_from(set_byte('\\x00', 0, byte), encoding); exception when others then return null; end $$`)
  const encodings = [
    'UTF8', 'LATIN1', 'LATIN2', 'LATIN3', 'LATIN4', 'LATIN5', 'LATIN6', 'LATIN7', 'LATIN8', 'LATIN9', 'ISO_8859_5',
    'ISO_8859_6', 'ISO_8859_7', 'ISO_8859_8', 'KOI8R', 'KOI8U', 'WIN866', 'WIN874', 'WIN1250', 'WIN1251', 'WIN1252',
    'WIN1253', 'WIN1254', 'WIN1255', 'WIN1256', 'WIN1257', 'WIN1258'
  ]
  for (const encoding of encodings) {
    const { rows } = await client.query<{ byte: number, text: string | null }>(
      'select byte, as_utf8(byte, $1) as text from generate_series(1, 255) byte', [encoding]
    )
    const decode = textDecoder(encoding)
    const differing = rows.flatMap(({ byte, text }) => {
      const own = decode?.(Buffer.from([byte]))
      return (own instanceof Undecodable ? null : own) === text
        ? []
        : [{ byte: byte.toString(16), text, own: own instanceof Undecodable ? null : own }]
    })
    t.same(differing, [], encoding)
  }
  await client.end()
})
