import type pg from 'pg'
import type { DatabaseTable } from '../../schemas/database.ts'
import type { TableName } from './table-name.ts'

/** More than an editor can show, and few enough to read at once. */
const tablesMax = 2000

interface Row {
  schema: string, name: string, partitioned: boolean, identity: string, primary_key: string[]
  columns: { name: string, type: string, nullable: boolean, generated: boolean }[] | null
}

const tablesSql = (where: string) => `
  select n.nspname::text as schema, c.relname::text as name, c.relkind = 'p' as partitioned, c.relreplident::text as identity,
    array(select a.attname::text from pg_index i cross join unnest(i.indkey) with ordinality k(attnum, ordinal)
      join pg_attribute a on a.attrelid = c.oid and a.attnum = k.attnum where i.indrelid = c.oid and i.indisprimary order by k.ordinal) as primary_key,
    (select jsonb_agg(jsonb_build_object('name', a.attname, 'type', format_type(a.atttypid, a.atttypmod), 'nullable', not a.attnotnull, 'generated', a.attgenerated <> '') order by a.attnum)
      from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped) as columns
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where c.relkind in ('r', 'p') and ${where}
  order by 1, 2 limit ${tablesMax}`

/** Every table that mappings may name: partitions are seen as the table that they are parts of. */
export async function readTables (client: pg.ClientBase): Promise<DatabaseTable[]> {
  const { rows } = await client.query<Row>(tablesSql("not c.relispartition and c.relpersistence = 'p' and n.nspname <> 'information_schema' and n.nspname not like 'pg\\_%'"))
  return rows.map(toTable)
}

export async function readTable (client: pg.ClientBase, { schema, name }: TableName): Promise<DatabaseTable | undefined> {
  const { rows: [row] } = await client.query<Row>(tablesSql('n.nspname = $1 and c.relname = $2'), [schema, name])
  return row && toTable(row)
}

const identities: Record<string, DatabaseTable['replicaIdentity']> = { d: 'default', n: 'nothing', f: 'full', i: 'index' }

const toTable = (row: Row): DatabaseTable => ({
  schema: row.schema,
  name: row.name,
  partitioned: row.partitioned,
  replicaIdentity: identities[row.identity] ?? 'default',
  primaryKey: row.primary_key,
  columns: row.columns ?? []
})
