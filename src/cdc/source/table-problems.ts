import type { MappingProblem, Operation } from '../../../schemas/database.ts'
import type { CompiledMapping } from '../mappings/compiled-mapping.ts'
import type { Queryable } from './source.ts'
import { quoteIdentifier, quoteTable, tableText, type TableName } from '../mappings/table-name.ts'

/**
 * `writes`: PostgreSQL refuses updates or deletes of the source application once the table is published. `loss`: the
 * stream lacks changes that the mapping needs. `none`: the mapping works, within the limits that the message describes.
 */
export type Harm = 'writes' | 'loss' | 'none'

export interface TableProblem extends MappingProblem { harm: Harm }

/**
 * From this version on, stored generated columns can be published, and unpublished ones may not be part of a replica
 * identity.
 */
const generatedColumnsVersion = 180_000

/** A table or one of its partitions. Rows are written with the replica identity of their partition. */
interface Part extends TableName {
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

interface Entry extends TableName { filter: string | null, columns: string[] | null }

interface Publication {
  operations: Operation[]
  viaRoot: boolean
  generated: boolean
  /** A published table that could not be updated if updates were published. */
  unidentified: string | null
  entries: Entry[] | null
}

/** The first part is the table itself. */
export interface PublishedTable {
  table: TableName
  version: number
  publicationName: string
  parts: Part[]
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
  const { rows: [seen] } = await client.query<{ version: number, parts: Part[] | null }>(partsSql, [
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

/**
 * Returns the problems of a mapping that reads the table through this publication, or would if the table were in it.
 */
export function problemsOf (seen: PublishedTable, mapping: CompiledMapping): TableProblem[] {
  return [
    ...writeProblems(seen),
    ...storageProblems(seen),
    ...publicationProblems(seen, mapping),
    ...listProblems(seen, mapping),
    ...blindness(seen, mapping)
  ]
}

/** Returns what would make PostgreSQL refuse the source application's updates or deletes. */
export function writeProblems (seen: PublishedTable): TableProblem[] {
  const { version, publication, publicationName } = seen
  const leaves = leavesOf(seen)
  if (!publication.operations.some(operation => operation !== 'insert')) return []
  const problems: TableProblem[] = []
  const lacking = leaves.filter(part => part.identity !== 'f' && part.identityColumns === null)
  if (lacking.length > 0) {
    problems.push({
      harm: 'writes',
      code: 'REPLICA_IDENTITY',
      message: `${namesOf(lacking)} has no replica identity: ${writesRefused}${keysWanted(seen, lacking)}`,
      ...sqlOf(identitySql(seen, lacking))
    })
  }
  if (version < generatedColumnsVersion) return problems
  const virtual = leaves.filter(part => part.identity === 'f' && part.virtual.length > 0)
  if (virtual.length > 0) {
    problems.push({
      harm: 'writes',
      code: 'GENERATED_COLUMNS',
      message: `${namesOf(virtual)} has REPLICA IDENTITY FULL and a virtual generated column: ${writesRefused}${
        keysWanted(seen, virtual)
      }`,
      ...sqlOf(identitySql(seen, virtual))
    })
  }
  const stored = publication.generated
    ? []
    : leaves.filter(part =>
      part.stored.length > 0 &&
      (part.identity === 'f' || part.identityColumns?.some(column => part.stored.includes(column)))
    )
  if (stored.length > 0) {
    const message = `The replica identity of ${
      namesOf(stored)
    } has a generated column that ${publicationName} does not publish: ${writesRefused}`
    problems.push({ harm: 'writes', code: 'GENERATED_COLUMNS', message, sql: publishGeneratedSql(seen) })
  }
  return problems
}

/** Finds tables whose changes are not in the WAL, and so not in the stream. */
function storageProblems (seen: PublishedTable): TableProblem[] {
  const problems: TableProblem[] = []
  const unlogged = leavesOf(seen).filter(part => part.persistence !== 'p')
  if (unlogged.length > 0) {
    const sql = unlogged.filter(part => part.persistence === 'u').map(part =>
      `ALTER TABLE ${quoteTable(part)} SET LOGGED;`
    ).join('\n')
    problems.push({
      harm: 'loss',
      code: 'UNLOGGED',
      message: `${namesOf(unlogged)} is unlogged or temporary: its changes are not in the stream`,
      ...sqlOf(sql)
    })
  }
  const foreign = seen.parts.filter(part => part.kind === 'f')
  if (foreign.length > 0) {
    problems.push({
      harm: 'none',
      code: 'FOREIGN_PARTITION',
      message: `${namesOf(foreign)} is a foreign table: its changes are not in the stream`
    })
  }
  return problems
}

function publicationProblems (
  { table, parts, publication, publicationName }: PublishedTable, { definition }: CompiledMapping
): TableProblem[] {
  const problems: TableProblem[] = []
  const name = quoteIdentifier(publicationName)
  const missing = definition.events.filter(operation => !publication.operations.includes(operation))
  if (missing.length > 0) {
    const message = `The publication ${publicationName} does not publish ${missing.join(' or ')}`
    const breaks = publication.unidentified !== null && !publication.operations.some(operation =>
      operation !== 'insert'
    ) && missing.some(operation => operation !== 'insert')
    problems.push(
      breaks
        ? {
            harm: 'loss',
            code: 'OPERATION_NOT_PUBLISHED',
            message: `${message}. First give ${
            publication.unidentified ?? ''
          } a replica identity; otherwise PostgreSQL would refuse updates and deletes of it`
          }
        : {
            harm: 'loss',
            code: 'OPERATION_NOT_PUBLISHED',
            message,
            sql: `ALTER PUBLICATION ${name} SET (publish = '${
            [...publication.operations, ...missing, 'truncate'].join(', ')
          }');`
          }
    )
  }
  if (!publication.viaRoot && parts.some(part => part.kind === 'p')) {
    problems.push({
      harm: 'none',
      code: 'PARTITIONS_APART',
      message: `The publication ${publicationName} publishes the partitions of ${
        tableText(table)
      } separately: changes of a partition that is dropped before they are read make no event`,
      sql: `ALTER PUBLICATION ${name} SET (publish_via_partition_root = true);`
    })
  }
  return problems
}

/** Finds row filters and column lists, which only publications that were created by hand have. */
function listProblems (seen: PublishedTable, mapping: CompiledMapping): TableProblem[] {
  const { publication, publicationName } = seen
  const problems: TableProblem[] = []
  const entries = publication.entries ?? []
  const filtered = entries.filter(({ filter }) => filter !== null)
  if (filtered.length > 0) {
    problems.push({
      harm: 'loss',
      code: 'ROW_FILTER',
      message: `The publication ${publicationName} has a row filter for ${
        namesOf(filtered)
      }: changes of other rows are not in the stream`,
      sql: addAgainSql(seen, filtered)
    })
  }
  const listed = entries.filter(entry => leftOutOf(seen, entry).length > 0)
  const leftOut = new Set(listed.flatMap(entry => leftOutOf(seen, entry)))
  if (leftOut.size === 0) return problems
  const needed = mapping.definition.payload === undefined
    ? [...leftOut]
    : [...mapping.columns.keys()].filter(column => leftOut.has(column))
  const list = `The publication ${publicationName} has a column list for ${namesOf(listed)}`
  if (
    publication.operations.some(operation => operation !== 'insert') &&
    leavesOf(seen).some(part => part.identity === 'f' || part.identityColumns?.some(column => leftOut.has(column)))
  ) {
    problems.push({
      harm: 'writes',
      code: 'COLUMN_LIST',
      message: `${list} that leaves out columns of the replica identity: ${writesRefused}`,
      sql: addAgainSql(seen, listed)
    })
  } else if (needed.length > 0) {
    problems.push({
      harm: 'loss',
      code: 'COLUMN_LIST',
      message: `${list} without ${needed.join(', ')}`,
      sql: addAgainSql(seen, listed)
    })
  }
  return problems
}

/** Finds columns that are compared with their old values though the stream lacks those. */
function blindness (seen: PublishedTable, mapping: CompiledMapping): TableProblem[] {
  const leaves = leavesOf(seen)
  if (writeProblems(seen).length > 0 || isFull(seen)) return []
  const blind = mapping.watched.filter(column => !leaves.every(part => part.identityColumns?.includes(column)))
  if (blind.length === 0) return []
  return [{
    harm: 'none',
    code: 'REPLICA_IDENTITY',
    message: `The stream lacks the old values of ${tableText(seen.table)}: each update of it counts as a change of ${
      blind.join(', ')
    }${whyNotFull(seen)}`,
    ...sqlOf(fullIdentitySql(seen))
  }]
}

const writesRefused = 'once it is published, PostgreSQL refuses updates and deletes of it'

export const isFull = ({ parts }: PublishedTable): boolean =>
  parts.every(part => part.kind === 'f' || part.identity === 'f')

const leavesOf = ({ parts }: PublishedTable): Part[] => parts.filter(part => part.kind === 'r')
const namesOf = (tables: readonly TableName[]): string =>
  tables.length > 3 ? `${namesOf(tables.slice(0, 3))} and ${tables.length - 3} more` : tables.map(tableText).join(', ')
const sqlOf = (sql: string | undefined) => sql === undefined || sql === '' ? {} : { sql }
const leftOutOf = ({ parts }: PublishedTable, { columns }: Entry): string[] =>
  columns === null ? [] : (parts[0]?.columns ?? []).filter(column => !columns.includes(column))

/** PostgreSQL 18 and later refuse updates of a table that has both. */
const canBeFull = ({ version }: PublishedTable, part: Part): boolean =>
  version < generatedColumnsVersion || part.virtual.length === 0

export const whyNotFull = (seen: PublishedTable): string =>
  leavesOf(seen).every(part => canBeFull(seen, part))
    ? ''
    : '. REPLICA IDENTITY FULL does not help: the table has a virtual generated column, and PostgreSQL would refuse ' +
      'updates of it'

/**
 * Returns the statements after which the stream carries complete old rows; undefined if PostgreSQL would then refuse
 * updates.
 */
export function fullIdentitySql (seen: PublishedTable): string | undefined {
  if (!leavesOf(seen).every(part => canBeFull(seen, part))) return undefined
  const parts = seen.parts.filter(part => part.kind !== 'f' && part.identity !== 'f')
  const { publication, version } = seen
  const listed = (publication.entries ?? []).filter(entry => leftOutOf(seen, entry).length > 0)
  const needsGenerated = version >= generatedColumnsVersion && !publication.generated &&
    parts.some(part => part.stored.length > 0)
  return [
    ...(listed.length > 0 ? [addAgainSql(seen, listed)] : []),
    ...(needsGenerated ? [publishGeneratedSql(seen)] : []),
    ...parts.map(part => `ALTER TABLE ${quoteTable(part)} REPLICA IDENTITY FULL;`)
  ].join('\n')
}

/** Returns the statements that give each part an identity with which it can be updated. */
function identitySql (seen: PublishedTable, lacking: readonly Part[]): string | undefined {
  if (lacking.every(part => canBeFull(seen, part))) return fullIdentitySql(seen)
  return lacking.flatMap(part => {
    if (part.usableIndex === null) return []
    return `ALTER TABLE ${quoteTable(part)} REPLICA IDENTITY ${
      part.usableIndex === '' ? 'DEFAULT' : `USING INDEX ${quoteIdentifier(part.usableIndex)}`
    };`
  }).join('\n')
}

/** Names the tables that need a primary key, because no statement can give them an identity as they are. */
function keysWanted (seen: PublishedTable, lacking: readonly Part[]): string {
  const keyless = lacking.every(part => canBeFull(seen, part)) ? [] : lacking.filter(part => part.usableIndex === null)
  return keyless.length === 0 ? '' : `. Give ${namesOf(keyless)} a primary key and REPLICA IDENTITY DEFAULT`
}

const publishGeneratedSql = ({ publicationName }: PublishedTable): string =>
  `ALTER PUBLICATION ${quoteIdentifier(publicationName)} SET (publish_generated_columns = stored);`

/** Adds the tables again without row filter and column list, in one transaction so that the stream misses nothing. */
function addAgainSql ({ publicationName }: PublishedTable, entries: readonly Entry[]): string {
  const name = quoteIdentifier(publicationName)
  return [
    'BEGIN;',
    ...entries.flatMap(entry =>
      ['DROP', 'ADD'].map(verb => `ALTER PUBLICATION ${name} ${verb} TABLE ONLY ${quoteTable(entry)};`)
    ),
    'COMMIT;'
  ].join('\n')
}
