import type { Pgoutput } from 'pg-logical-replication'
import type { SourceClient } from '../source/source.ts'
import { tableKey, type TableName } from '../mappings/table-name.ts'
import { ColumnTypes, type Decode } from './column-types.ts'

/** A table as the stream describes it, completed from the catalogue. */
export interface Relation {
  /** The table that mappings name: for a partition, the table that it belongs to. */
  readonly table: TableName
  /** The table as one text. */
  readonly key: string
  readonly columns: readonly string[]
  readonly decoders: ReadonlyMap<string, Decode>
  readonly primaryKey: readonly string[]
  /** Columns of the replica identity. An update without an old key left them unchanged. */
  readonly identity: ReadonlySet<string>
  /**
   * Whether a null in an old row may also mean that the stream lacks the value: some partitions send only the key,
   * without marking it as such.
   */
  readonly isPartlySeen: boolean
  /** Columns that the table has and the stream lacks. */
  readonly generated: ReadonlySet<string>
}

interface CatalogueRow {
  schema: string
  name: string
  primary_key: string[]
  generated: string[]
  has_keys_only: boolean
}

const catalogueSql = `
  select coalesce(rn.nspname, n.nspname) as schema, coalesce(r.relname, c.relname) as name,
    array(select a.attname::text from pg_index i cross join unnest(i.indkey) with ordinality k(attnum, ordinal)
      join pg_attribute a on a.attrelid = c.oid and a.attnum = k.attnum
      where i.indrelid = c.oid and i.indisprimary and k.ordinal <= i.indnkeyatts order by k.ordinal) as primary_key,
    array(select a.attname::text from pg_attribute a
      where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated <> '') as generated,
    exists (select from pg_partition_tree(c.oid) t join pg_class l on l.oid = t.relid
      where t.isleaf and l.relkind = 'r' and l.relreplident <> 'f') as has_keys_only
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
  left join pg_class r on c.relispartition and r.oid = pg_partition_root(c.oid)
  left join pg_namespace rn on rn.oid = r.relnamespace
  where n.nspname = $1 and c.relname = $2`

/**
 * The tables of a stream. The stream sends a new description, as a new object, when the definition of a table changes.
 */
export class Relations {
  readonly #client: SourceClient
  readonly #types = new ColumnTypes()
  readonly #known = new WeakMap<Pgoutput.MessageRelation, Relation>()

  constructor (client: SourceClient) {
    this.#client = client
  }

  /** Looks up unknown tables. Await it before `of`. */
  async prepare (messages: Iterable<Pgoutput.MessageRelation>): Promise<void> {
    for (const message of new Set(messages)) {
      if (!this.#known.has(message)) this.#known.set(message, await this.#describe(message))
    }
  }

  of (message: Pgoutput.MessageRelation): Relation {
    const relation = this.#known.get(message)
    if (relation === undefined) throw new Error('a relation was not prepared')
    return relation
  }

  async #describe (message: Pgoutput.MessageRelation): Promise<Relation> {
    const { schema, name, columns, keyColumns, replicaIdentity } = message
    // The library reads OIDs as signed integers.
    const oids = columns.map(column => column.typeOid >>> 0)
    await this.#types.load(this.#client, oids)
    const row = await this.#lookUp(schema, name)
    const table = row === undefined ? { schema, name } : { schema: row.schema, name: row.name }
    return {
      table,
      key: tableKey(table),
      columns: columns.map(column => column.name),
      decoders: new Map(columns.map((column, i) => [column.name, this.#types.of(oids[i] as number)])),
      primaryKey: row?.primary_key ?? [],
      identity: new Set(replicaIdentity === 'full' ? [] : keyColumns),
      isPartlySeen: replicaIdentity === 'full' && row?.has_keys_only === true,
      generated: new Set(row?.generated.filter(column => !columns.some(one => one.name === column)))
    }
  }

  /** Returns undefined for a dropped table, or one whose names are not valid text: no mapping can name those. */
  async #lookUp (schema: string, name: string): Promise<CatalogueRow | undefined> {
    try {
      return (await this.#client.query<CatalogueRow>(catalogueSql, [schema, name])).rows[0]
    } catch (error) {
      if (!['22021', '22P05'].includes(String((error as { code?: string }).code))) throw error
      return undefined
    }
  }
}
