import type { Operation } from '../../../schemas/database.ts'
import type { Queryable } from './source.ts'
import { quoteTable, type TableName } from '../mappings/table-name.ts'

/**
 * From this version on, stored generated columns can be published, and unpublished ones may not be part of a replica
 * identity.
 */
export const generatedColumnsVersion = 180_000

/** A table or one of its partitions. Rows are written with the replica identity of their partition. */
export interface TablePart extends TableName {
  kind: 'r' | 'p' | 'f'
  persistence: 'p' | 'u' | 't'
  identity: 'd' | 'n' | 'f' | 'i'
  /** Columns that identify old rows; null when no index provides them. */
  identityColumns: string[] | null
  /** Only for the table itself: partitions have the same columns, and there may be thousands. */
  columns: string[]
  stored: string[]
  virtual: string[]
  /** A unique index that can become the identity; empty for the primary key. */
  usableIndex: string | null
}

/** A table as the publication lists it. */
export interface PublishedEntry extends TableName { filter: string | null, columns: string[] | null }

export interface Publication {
  operations: Operation[]
  viaRoot: boolean
  generated: boolean
  /** A published table that could not be updated if updates were published. */
  unidentified: string | null
  entries: PublishedEntry[] | null
}

/** The first part is the table itself. */
export interface PublishedTable {
  table: TableName
  version: number
  publicationName: string
  parts: TablePart[]
  publication: Publication
}

const unidentified = (table: string) => `${table}.relkind = 'r' and ${table}.relreplident <> 'f' and not exists (
  select from pg_index i where i.indrelid = ${table}.oid and i.indisvalid and i.indimmediate
    and case ${table}.relreplident when 'd' then i.indisprimary when 'i' then i.indisreplident else false end)`

const columnsOf = (condition: string) =>
  `(select coalesce(jsonb_agg(a.attname order by a.attnum), '[]') from pg_attribute a
    where a.attrelid = p.oid and a.attnum > 0 and not a.attisdropped and ${condition})`

const partsSql = `
  select current_setting('server_version_num')::int as version, jsonb_agg(jsonb_build_object(
    'schema', n.nspname, 'name', p.relname, 'kind', p.relkind, 'persistence', p.relpersistence,
    'identity', p.relreplident,
    'columns', case when p.oid = c.oid then ${columnsOf("a.attgenerated = ''")} else '[]' end, 'stored', ${
  columnsOf("a.attgenerated = 's'")
}, 'virtual', ${columnsOf("a.attgenerated = 'v'")},
    'identityColumns', (
      select jsonb_agg(a.attname) from pg_index i cross join unnest(i.indkey) with ordinality k(attnum, ordinal)
      join pg_attribute a on a.attrelid = p.oid and a.attnum = k.attnum
      where i.indrelid = p.oid and i.indisvalid and i.indimmediate and k.ordinal <= i.indnkeyatts
        and case p.relreplident when 'd' then i.indisprimary when 'i' then i.indisreplident else false end),
    'usableIndex', (
      select case when i.indisprimary then '' else ic.relname end
      from pg_index i join pg_class ic on ic.oid = i.indexrelid
      where i.indrelid = p.oid and i.indisvalid and i.indimmediate and i.indisunique
        and i.indpred is null and i.indexprs is null
        and not exists (
          select from unnest(i.indkey) with ordinality k(attnum, ordinal)
          join pg_attribute a on a.attrelid = p.oid and a.attnum = k.attnum
          where k.ordinal <= i.indnkeyatts and not a.attnotnull)
      order by i.indisprimary desc, ic.relname limit 1)
    ) order by p.oid <> c.oid, p.relkind <> 'p', p.oid) as parts
  from pg_class c join pg_namespace cn on cn.oid = c.relnamespace
  cross join lateral (select c.oid union select relid from pg_partition_tree(c.oid) where isleaf) ids
  join pg_class p on p.oid = ids.oid join pg_namespace n on n.oid = p.relnamespace
  where cn.nspname = $1 and c.relname = $2 and c.relkind in ('r', 'p') and p.relkind in ('r', 'p', 'f')`

/** Read as JSON, because the catalogue has row filters and column lists only from PostgreSQL 15 on. */
const publicationSql = `
  select array_remove(array[case when p.pubinsert then 'insert' end, case when p.pubupdate then 'update' end,
      case when p.pubdelete then 'delete' end], null) as operations,
    p.pubviaroot as "viaRoot", to_jsonb(p)->>'pubgencols' = 's' is true as generated,
    (select min(t.schemaname || '.' || t.tablename) from pg_publication_tables t
      join pg_namespace n on n.nspname = t.schemaname
      join pg_class c on c.relnamespace = n.oid and c.relname = t.tablename
      where t.pubname = p.pubname and exists (select from pg_class l
        where (l.oid = c.oid or l.oid in (select relid from pg_partition_tree(c.oid))) and ${
  unidentified('l')
})) as unidentified,
    (select jsonb_agg(jsonb_build_object('schema', t.schemaname, 'name', t.tablename,
        'filter', to_jsonb(t)->>'rowfilter', 'columns', to_jsonb(t)->'attnames'))
      from pg_publication_tables t join pg_namespace n on n.nspname = t.schemaname
      join pg_class c on c.relnamespace = n.oid and c.relname = t.tablename
      where t.pubname = p.pubname and ((t.schemaname = $2 and t.tablename = $3)
        or c.oid in (select relid from pg_partition_tree(to_regclass($4))))) as entries
  from pg_publication p where p.pubname = $1`

/**
 * Returns undefined if the table does not exist. A missing publication is assumed to be as the platform would create
 * it.
 */
export async function readPublishedTable (
  client: Queryable, publicationName: string, table: TableName
): Promise<PublishedTable | undefined> {
  const { rows: [seen] } = await client.query<{ version: number, parts: TablePart[] | null }>(partsSql, [
    table.schema, table.name
  ])
  if (seen?.parts == null) return undefined
  const { rows: [found] } = await client.query<Publication>(publicationSql, [
    publicationName, table.schema, table.name, quoteTable(table)
  ])
  const publication = found ??
    {
      operations: ['insert', 'update', 'delete'], viaRoot: true, generated: seen.version >= generatedColumnsVersion,
      unidentified: null, entries: null
    }
  return { table, version: seen.version, publicationName, parts: seen.parts, publication }
}

export const isFull = ({ parts }: PublishedTable): boolean =>
  parts.every(part => part.kind === 'f' || part.identity === 'f')

/** Returns the parts that hold rows of this database. */
export const leavesOf = ({ parts }: PublishedTable): TablePart[] => parts.filter(part => part.kind === 'r')

/** Returns the columns that the publication's column list leaves out. */
export const leftOutOf = ({ parts }: PublishedTable, { columns }: PublishedEntry): string[] =>
  columns === null ? [] : (parts[0]?.columns ?? []).filter(column => !columns.includes(column))
