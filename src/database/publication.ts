import { setTimeout as sleep } from 'node:timers/promises'
import { ConflictError, NotFoundError } from '../errors.ts'
import type { SourceClient } from './source.ts'
import { quoteIdentifier, quoteTable, tableText, type TableName } from './table-name.ts'
import { readTable, replicaIdentitySql } from './tables.ts'

interface PublishedRow { oid: number | null, is_published: boolean }

const publishedSql = `
  select c.oid::bigint::float8 as oid, c.oid is not null and (
    exists (select from pg_publication p where p.pubname = $1 and p.puballtables) or
    exists (select from pg_publication_tables t where t.pubname = $1 and ((t.schemaname = $2 and t.tablename = $3)
      or (c.relkind = 'p' and exists (select from pg_partition_tree(c.oid) l join pg_class lc on lc.oid = l.relid join pg_namespace ln on ln.oid = lc.relnamespace
        where l.isleaf and ln.nspname = t.schemaname and lc.relname = t.tablename)))) ) as is_published
  from (select 1) one left join (pg_class c join pg_namespace n on n.oid = c.relnamespace and n.nspname = $2) on c.relname = $3 and c.relkind in ('r', 'p')`

export const addTableSql = (publication: string, table: TableName): string =>
  `ALTER PUBLICATION ${quoteIdentifier(publication)} ADD TABLE ${quoteTable(table)};`

export async function isPublished (client: SourceClient, publication: string, table: TableName): Promise<boolean | 'missing'> {
  const { rows: [row] } = await client.query<PublishedRow>(publishedSql, [publication, table.schema, table.name])
  return row === undefined || row.oid === null ? 'missing' : row.is_published
}

/**
 * Sees to it that whatever is committed to the table from now on is in the publication. A transaction that wrote to it
 * before it was added is not wholly in the stream, so those are waited for: within bounds, and then the answer is no.
 * Throws NotFoundError `TABLE_NOT_FOUND`, ConflictError `TABLE_NOT_PUBLISHED` or `TABLE_BUSY`.
 */
export async function publishTable (client: SourceClient, publication: string, table: TableName, waitMs: number): Promise<'added' | 'present'> {
  const seen = await readTable(client, table)
  if (seen === undefined) throw new NotFoundError('TABLE_NOT_FOUND', `Table not found in the connected database: ${tableText(table)}`)
  if (seen.root !== null) throw notPublished(table, `it is a partition, whose changes are those of ${tableText(seen.root)}: map that`)
  if (await isPublished(client, publication, table) === true) return 'present'
  await addTable(client, publication, table)
  await writersEnded(client, publication, table, waitMs)
  return 'added'
}

/** Takes a table out again, if the publication is one that tables are added to; a publication that is not ours may refuse. */
export async function unpublishTable (client: SourceClient, publication: string, table: TableName): Promise<void> {
  await client.query(`alter publication ${quoteIdentifier(publication)} drop table ${quoteTable(table)}`)
}

/** Throws ConflictError `TABLE_NOT_PUBLISHED`: also when it would break what the tenant itself does to the table. */
export async function addTable (client: SourceClient, publication: string, table: TableName): Promise<void> {
  const seen = await readTable(client, table)
  if (seen?.isUnidentified === true && await publishesOldRows(client, publication)) {
    throw notPublished(table, 'it has no replica identity, and PostgreSQL would refuse updates and deletes of it', replicaIdentitySql(seen))
  }
  try {
    await client.query(addTableSql(publication, table))
  } catch (error) {
    const { code, message } = error as Error & { code?: string }
    // Somebody else has just added it.
    if (code === '42710') return
    if (code === undefined || !/^(42|0A|22|55)/.test(code)) throw error
    throw notPublished(table, message, addTableSql(publication, table), error)
  }
}

async function publishesOldRows (client: SourceClient, publication: string): Promise<boolean> {
  const { rows: [row] } = await client.query<{ does: boolean }>('select pubupdate or pubdelete as does from pg_publication where pubname = $1', [publication])
  return row?.does === true
}

const notPublished = (table: TableName, message: string, sql?: string, cause?: unknown) =>
  new ConflictError('TABLE_NOT_PUBLISHED', `The table ${tableText(table)} cannot be added to the publication: ${message}`, { details: [{ path: '/table', message, ...(sql !== undefined && { sql }) }], cause })

/** Whoever holds the lock of a writer now, until they have let go of it. */
async function writersEnded (client: SourceClient, publication: string, table: TableName, waitMs: number): Promise<void> {
  const writersSql = `
    select distinct l.virtualtransaction as id from pg_locks l
    where l.locktype = 'relation' and l.database = (select oid from pg_database where datname = current_database()) and l.mode = 'RowExclusiveLock'
      and l.relation in (select relid from pg_partition_tree(to_regclass($1)) union select to_regclass($1)) and l.pid <> pg_backend_pid()`
  const read = async () => new Set((await client.query<{ id: string }>(writersSql, [quoteTable(table)])).rows.map(row => row.id))
  const before = await read()
  const deadline = performance.now() + waitMs
  for (let left = before; left.size > 0;) {
    if (performance.now() > deadline) {
      // Not left half done: the next attempt waits for them again.
      await unpublishTable(client, publication, table).catch(() => {})
      throw new ConflictError('TABLE_BUSY', `${left.size} transactions that have written to ${tableText(table)} are still open; try again when they have ended`)
    }
    await sleep(20)
    const now = await read()
    left = new Set([...left].filter(id => now.has(id)))
  }
}
