import { setTimeout as sleep } from 'node:timers/promises'
import { ConflictError, NotFoundError } from '../../errors.ts'
import type { CompiledMapping } from '../mappings/compiled-mapping.ts'
import type { SourceClient } from './source.ts'
import { quoteIdentifier, quoteTable, tableText, type TableName } from '../mappings/table-name.ts'
import { readPublishedTable, type PublishedTable } from './published-table.ts'
import { problemsOf, writeProblems } from './table-problems.ts'
import { readTable } from './tables.ts'

interface PublishedRow { oid: number | null, is_published: boolean }

const publishedSql = `
  select c.oid::bigint::float8 as oid, c.oid is not null and (
    exists (select from pg_publication p where p.pubname = $1 and p.puballtables) or
    exists (select from pg_publication_tables t where t.pubname = $1 and ((t.schemaname = $2 and t.tablename = $3)
      or (c.relkind = 'p' and exists (
        select from pg_partition_tree(c.oid) l
        join pg_class lc on lc.oid = l.relid join pg_namespace ln on ln.oid = lc.relnamespace
        where l.isleaf and ln.nspname = t.schemaname and lc.relname = t.tablename)))) ) as is_published
  from (select 1) one
  left join (pg_class c join pg_namespace n on n.oid = c.relnamespace and n.nspname = $2)
    on c.relname = $3 and c.relkind in ('r', 'p')`

/** Without `ONLY`, the children of an inheritance tree would be published too, and their updates might fail. */
export const addTableSql = (publication: string, table: TableName): string =>
  `ALTER PUBLICATION ${quoteIdentifier(publication)} ADD TABLE ONLY ${quoteTable(table)};`

export async function isPublished (
  client: SourceClient, publication: string, table: TableName
): Promise<boolean | 'missing'> {
  const { rows: [row] } = await client.query<PublishedRow>(publishedSql, [publication, table.schema, table.name])
  return row === undefined || row.oid === null ? 'missing' : row.is_published
}

/**
 * Makes sure that the publication carries every later commit to the mapping's table. The stream lacks part of a
 * transaction that wrote to the table before it was added, so such transactions are waited for, at most `waitMs`.
 * Throws NotFoundError `TABLE_NOT_FOUND`, ConflictError `TABLE_NOT_PUBLISHED` or `TABLE_BUSY`.
 */
export async function publishTable (
  client: SourceClient, publication: string, mapping: CompiledMapping, waitMs: number
): Promise<'added' | 'present'> {
  const { table } = mapping
  const seen = await readTable(client, table)
  if (seen === undefined) throw tableNotFound(table)
  if (seen.root !== null) {
    throw notPublished(
      table, `it is a partition: its changes arrive under ${tableText(seen.root)}. Map that table instead`
    )
  }
  if (await isPublished(client, publication, table) === true) {
    await inTransaction(client, () => requireFit(client, publication, table, mapping))
    return 'present'
  }
  await addTable(client, publication, table, mapping)
  await writersEnded(client, publication, table, waitMs)
  return 'added'
}

/**
 * Removes a table from the publication. PostgreSQL refuses it for a publication that the platform does not own or that
 * has no list of tables.
 */
export async function unpublishTable (client: SourceClient, publication: string, table: TableName): Promise<void> {
  await client.query(`alter publication ${quoteIdentifier(publication)} drop table only ${quoteTable(table)}`)
}

/**
 * Adds a table to the publication. Throws ConflictError `TABLE_NOT_PUBLISHED`, also if publishing would break the
 * source application's writes, or if the given mapping would miss changes. The check runs after the table was added and
 * before the transaction commits, while the lock of `ALTER PUBLICATION` keeps its definition unchanged.
 */
export async function addTable (
  client: SourceClient, publication: string, table: TableName, mapping?: CompiledMapping
): Promise<void> {
  const sql = addTableSql(publication, table)
  await inTransaction(client, async () => {
    await client.query('savepoint adding')
    try {
      await client.query(sql)
    } catch (error) {
      const { code, message } = error as Error & { code?: string }
      if (code === undefined || !/^(42|0A|22|55)/.test(code)) throw error
      await client.query('rollback to savepoint adding')
      await requireFit(client, publication, table, mapping)
      // 42710: another session has just added it.
      if (code !== '42710') throw notPublished(table, message, sql, error)
    }
    await requireFit(client, publication, table, mapping)
  })
}

async function inTransaction (client: SourceClient, work: () => Promise<void>): Promise<void> {
  await client.query('begin')
  try {
    await work()
    await client.query('commit')
  } catch (error) {
    await client.query('rollback').catch(() => {})
    throw error
  }
}

/** Throws ConflictError `TABLE_NOT_PUBLISHED` with the statements that help. */
async function requireFit (
  client: SourceClient, publication: string, table: TableName, mapping: CompiledMapping | undefined
): Promise<void> {
  const seen = await readPublishedTable(client, publication, table)
  if (seen === undefined) throw tableNotFound(table)
  const problem = (mapping === undefined ? writeProblems(seen) : problemsOf(seen, mapping)).find(({ harm }) =>
    harm !== 'none'
  )
  if (problem !== undefined) throw notPublished(table, problem.message, problem.sql)
  await requireWritable(client, seen)
}

/** Plans an update and a delete, so that PostgreSQL itself makes the checks of its version. Executes nothing. */
async function requireWritable (client: SourceClient, { table, parts: [whole] }: PublishedTable): Promise<void> {
  const name = `${whole?.kind === 'p' ? '' : 'only '}${quoteTable(table)}`
  const [column] = whole?.columns ?? []
  for (
    const statement of [
      ...(column === undefined ? [] : [`update ${name} set ${quoteIdentifier(column)} = default`]),
      `delete from ${name}`
    ]
  ) {
    await client.query('savepoint planning')
    try {
      await client.query(`explain ${statement}`)
    } catch (error) {
      const { code = '', message } = error as Error & { code?: string }
      if (code === '42P10' || code === '55000') throw notPublished(table, message, undefined, error)
      // The plan needs the privilege to write; without it there is nothing to check.
      if (code === '' || code.startsWith('57') || code.startsWith('08')) throw error
      await client.query('rollback to savepoint planning')
    }
  }
}

const tableNotFound = (table: TableName) =>
  new NotFoundError('TABLE_NOT_FOUND', `Table not found in the connected database: ${tableText(table)}`)

const notPublished = (table: TableName, message: string, sql?: string, cause?: unknown) =>
  new ConflictError(
    'TABLE_NOT_PUBLISHED',
    `The table ${tableText(table)} cannot be published: ${message}`,
    { details: [{ path: '/table', message, ...(sql !== undefined && { sql }) }], cause }
  )

/** Waits until every transaction that now holds a writer's lock has ended. A prepared one has no process. */
async function writersEnded (
  client: SourceClient, publication: string, table: TableName, waitMs: number
): Promise<void> {
  const writersSql = `
    select distinct l.virtualtransaction as id, l.pid is null as "isPrepared" from pg_locks l
    where l.locktype = 'relation' and l.mode = 'RowExclusiveLock'
      and l.database = (select oid from pg_database where datname = current_database())
      and l.relation in (select relid from pg_partition_tree(to_regclass($1)) union select to_regclass($1))
      and l.pid is distinct from pg_backend_pid()`
  const read = async () =>
    new Map(
      (await client.query<{ id: string, isPrepared: boolean }>(writersSql, [quoteTable(table)])).rows.map(
        row => [row.id, row.isPrepared]
      )
    )
  const before = await read()
  const deadline = performance.now() + waitMs
  for (let left = before; left.size > 0;) {
    if (performance.now() > deadline) {
      // Undone, so that the next attempt waits for the writers again.
      await unpublishTable(client, publication, table).catch(() => {})
      const prepared = [...left.values()].filter(isPrepared => isPrepared).length
      const which = prepared === 0 ? '' : ` (${prepared} of them prepared: pg_prepared_xacts lists them)`
      throw new ConflictError(
        'TABLE_BUSY',
        `${left.size} transactions that have written to ${
          tableText(table)
        } are still open${which}. Retry after they have ended`
      )
    }
    await sleep(20)
    const now = await read()
    left = new Map([...left].filter(([id]) => now.has(id)))
  }
}
