import type { DatabaseTable } from '../../../schemas/database.ts'
import { SourceError, type SourceClient } from './source.ts'
import type { TableName } from '../mappings/table-name.ts'

/** More than an editor can show, and few enough to read at once. */
const tablesMax = 2000
/** How many tables one query returns: its result blocks the thread that receives it. */
const pageTables = 100
/** The limit for the names and types of all tables together. */
const textMax = 16 * 1024 * 1024

export interface SourceTable extends DatabaseTable {
  /** For a partition, the table that it belongs to: its changes arrive under that table. */
  root: TableName | null
}

interface Row {
  schema: string, name: string, partitioned: boolean, identity: string, root: TableName | null, primary_key: string[]
  columns: { name: string, type: string, nullable: boolean, generated: boolean }[] | null
}

/**
 * Rows are written with the replica identity of their partition, but arrive under the name of the table. So the weakest
 * identity counts.
 */
const tablesSql = (where: string, limit: number) => `
  select n.nspname::text as schema, c.relname::text as name, c.relkind = 'p' as partitioned, parts.identity,
    (select jsonb_build_object('schema', rn.nspname, 'name', r.relname)
      from pg_class r join pg_namespace rn on rn.oid = r.relnamespace
      where c.relispartition and r.oid = pg_partition_root(c.oid)) as root,
    array(select a.attname::text from pg_index i cross join unnest(i.indkey) with ordinality k(attnum, ordinal)
      join pg_attribute a on a.attrelid = c.oid and a.attnum = k.attnum
      where i.indrelid = c.oid and i.indisprimary and k.ordinal <= i.indnkeyatts order by k.ordinal) as primary_key,
    (select jsonb_agg(jsonb_build_object('name', a.attname, 'type', format_type(a.atttypid, a.atttypmod),
        'nullable', not a.attnotnull, 'generated', a.attgenerated <> '') order by a.attnum)
      from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped) as columns
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
  cross join lateral (
    select (array_agg(p.relreplident::text order by position(p.relreplident::text in 'ndif')))[1] as identity
    from (select c.oid union select relid from pg_partition_tree(c.oid) where isleaf) ids
    join pg_class p on p.oid = ids.oid
    where p.relkind in ('r', 'p')) parts
  where c.relkind in ('r', 'p') and ${where}
  order by 1, 2 limit ${limit}`

/** Returns the tables that mappings may name. Partitions appear as the table that they belong to. */
export async function readTables (client: SourceClient): Promise<DatabaseTable[]> {
  const tables: DatabaseTable[] = []
  let text = 0
  let isMore = true
  while (isMore && tables.length < tablesMax) {
    const last = tables.at(-1)
    const { rows } = await client.query<Row>(pageSql, [last?.schema ?? '', last?.name ?? ''])
    if (rows.length > pageTables) throw notAsked()
    for (const row of rows) {
      requireTable(row)
      text += lengthOf(row)
      tables.push(toTable(row))
    }
    if (text > textMax) throw new SourceError('SOURCE_PROTOCOL', '(the names of its tables and columns are too long)')
    isMore = rows.length === pageTables
  }
  return tables
}

/** Selects the tables after a schema and name. */
const pageSql = tablesSql(
  `not c.relispartition and c.relpersistence = 'p'
    and n.nspname <> 'information_schema' and n.nspname not like 'pg\\_%'
    and (n.nspname::text, c.relname::text) > ($1::text, $2::text)`,
  pageTables)

export async function readTable (client: SourceClient, { schema, name }: TableName): Promise<SourceTable | undefined> {
  const { rows: [row] } = await client.query<Row>(tablesSql('n.nspname = $1 and c.relname = $2', 1), [schema, name])
  if (row !== undefined) requireTable(row)
  return row && { ...toTable(row), root: row.root }
}

const identities: Record<string, DatabaseTable['replicaIdentity']> = {
  d: 'default', n: 'nothing', f: 'full', i: 'index'
}

const notAsked = () => new SourceError('SOURCE_PROTOCOL', '(the result of a query is malformed)')
const isText = (value: unknown): boolean => typeof value === 'string'

/** A server may return anything: values that are passed on must have the expected types. */
function requireTable ({ schema, name, primary_key: key, columns }: Row): void {
  const isTable = isText(schema) && isText(name) && Array.isArray(key) && key.every(isText)
  const areColumns = columns === null ||
    (Array.isArray(columns) && columns.every(column => isText(column?.name) && isText(column.type)))
  if (!isTable || !areColumns) throw notAsked()
}

const lengthOf = ({ schema, name, columns }: Row): number =>
  schema.length + name.length +
  (columns ?? []).reduce((sum, column) => sum + column.name.length + column.type.length, 0)

const toTable = (row: Row): DatabaseTable => ({
  schema: row.schema,
  name: row.name,
  partitioned: row.partitioned,
  replicaIdentity: identities[row.identity] ?? 'default',
  primaryKey: row.primary_key,
  columns: row.columns ?? []
})
