import pg from 'pg'
import t from 'tap'
import { createPool } from '../../db/connection.ts'
import { write, type ScopedDocument, type WriteSet } from '../../src/events/statements.ts'
import { createDatabase } from '../support/database.ts'
import { readSources } from './sql/program.ts'
import { describer } from './sql/result-columns.ts'
import { RowType } from './sql/row-type.ts'
import { findFragments, findStatements } from './sql/statements.ts'
import { tableTypes } from './sql/table-types.ts'

/*
 * Compares hand-written SQL with the row types that are declared for it. The statements are found in the sources, so
 * that none can be forgotten, and PostgreSQL describes each of them: names and types of all columns, and whether the
 * column of a table may be null. A statement that only reads also runs, with every parameter null.
 */

/* The type checker reads all of the sources: that alone takes a minute on a busy machine. */
t.setTimeout(900_000)

const scope = { applicationId: 'app', environment: 'development' as const }
const document: ScopedDocument = {
  scope, service: 's', id: 'd', revision: 1, data: {}, dataText: '{}', deleted: false, expiresAt: null, createdAt: 0,
  updatedAt: 0
}
/** The write has one text for each combination of parts that may be empty. */
const sets: WriteSet[] = [[], [document]].flatMap(updates =>
  [[], [document]].flatMap(inserts =>
    [[], [{ webhookId: 'w', log: 0, backs: [0] }]].flatMap(owed =>
      [undefined, { topics: [], routing: [] }].map(facts => ({
        now: 0, updates, inserts, logs: [], events: [], owed, facts
      }))
    )
  )
)
const given = {
  'src/cluster/leases.ts': { table: ['replays'], keyColumn: ['id'] },
  'src/events/topic-retention.ts': { partition: ['events'], period: ['0'] },
  'src/events/statements.ts': { writeText: sets.map(set => write(set).text) },
  'src/foundation/encryption/reencrypt.ts': {
    table: ['signing_keys'], id: ['id'], boundTo: ['id'], column: ['secret_sealed']
  }
}

/** The tables that fragments select from, under the names that they use. */
const fragmentTables = ['api_keys k', 'cdc_positions', 'documents', 'replays', 'schemas', 'users u']

const sources = readSources()
const { checker } = sources
const statements = findStatements(sources, given)

const databaseUrl = await createDatabase(t)
const pool = createPool({ connectionString: databaseUrl, max: 1 })
const source = new pg.Client({ connectionString: databaseUrl })
const replication = new pg.Client(Object.assign({ connectionString: databaseUrl }, { replication: 'database' }))
t.teardown(() => Promise.all([pool.end(), source.end(), replication.end()]).then(() => {}))
await Promise.all([source.connect(), replication.connect()])
const platform = await pool.connect()
t.teardown(() => platform.release())
const describe = await describer(source, replication)

/** An outer join may return null in a column that is never null in its table. */
const mayLackRows = (text: string): boolean => /\b(left|right|full) join\b/i.test(text)

t.test('the scanner finds the statements and their texts', async t => {
  t.ok(statements.length > 150, `${statements.length} statements`)
  const typed = statements.filter(({ row }) => row !== undefined)
  t.ok(typed.length > 80, `${typed.length} with typed rows`)
  t.ok(statements.filter(({ isForSource }) => isForSource).length > 30, 'statements for connected databases')
  t.same(typed.flatMap(({ texts }) => texts instanceof Error ? texts.message : []), [], 'each typed one has its texts')
  t.same(
    statements.filter(one => one.readsUntyped && !(one.texts instanceof Error)).map(({ place }) => place), [],
    'rows are read only with a declared type'
  )
})

t.test('PostgreSQL accepts every statement and returns the declared columns', async t => {
  for (const { place, texts, row, isForSource } of statements) {
    for (const text of texts instanceof Error ? [] : texts) {
      t.same(await problems(text, row && RowType.of(checker, row), isForSource ? source : platform), [], place)
    }
  }
})

t.test('a fragment within a typed query has the declared type', async t => {
  for (const { place, texts, type } of findFragments(sources)) {
    t.ok(Array.isArray(texts), `${place} has its texts`)
    for (const text of texts instanceof Error ? [] : texts) {
      const row = new RowType(checker, [['value', type]])
      const found: string[][] = []
      for (const table of fragmentTables) {
        found.push(await problems(`select (${text}) as value from ${table}`, row, platform))
      }
      t.ok(found.some(one => one.length === 0), `${place} from one of fragmentTables`, { found })
    }
  }
})

const tables = tableTypes(sources)

t.test('the tables have the columns that db/tables.ts declares', async t => {
  t.ok(tables.size > 30, `${tables.size} tables`)
  for (const [table, row] of tables) t.same(await problems(`select * from ${table}`, row, platform), [], table)
})

t.test('each kind of difference is found', async t => {
  const roles = tables.get('role_assignments')
  const wrong = 'select 1 as user_id, mfa_confirmed_at as role_id, id as application_id, name from users'
  t.same(await problems(wrong, roles, platform), [
    'user_id is declared as string, but is int4',
    'role_id is declared as string, but is int8',
    'role_id may be null',
    'application_id is never null',
    'name is not declared',
    wrong
  ])
  const maximum = "select max(user_id) as user_id, '' as role_id from role_assignments"
  t.same(await problems(maximum, roles, platform), [
    'application_id is missing', 'user_id is declared as string, but was null', maximum
  ])
  t.match((await problems('select nothing', roles, platform))[0], /column "nothing" does not exist/)
})

/** Returns how a statement differs from the type of its rows, or why PostgreSQL rejects it. */
async function problems (text: string, row: RowType | undefined, session: pg.ClientBase): Promise<string[]> {
  const columns = await describe(text, session).catch((error: Error) => error)
  if (columns instanceof Error) return [columns.message, text]
  if (row === undefined) return []
  const found = [
    ...row.differences(columns, mayLackRows(text)),
    ...(await rowsWithoutData(session, text)).flatMap(values => row.misfits(values, columns))
  ]
  return found.length === 0 ? [] : [...found, text]
}

/**
 * Returns the rows of a statement in an empty database, with every parameter null: those of an aggregate, for example.
 * A statement that writes returns none.
 */
async function rowsWithoutData (session: pg.ClientBase, text: string): Promise<Record<string, unknown>[]> {
  if (createsSlot.test(text)) return []
  const numbers = [...text.matchAll(/\$(\d+)/g)].map(([, number]) => Number(number))
  await session.query('begin read only')
  try {
    const values = Array(Math.max(0, ...numbers)).fill(null)
    const { rows } = await session.query<Record<string, unknown>>(text, values)
    return rows
  } catch (error) {
    if (unrunnable.has((error as pg.DatabaseError).code ?? '')) return []
    throw error
  } finally {
    await session.query('rollback')
  }
}

const createsSlot = /\bpg_create_logical_replication_slot\b/

/** The statement writes, or is a command of the replication protocol. */
const unrunnable = new Set(['25006', '42601'])
