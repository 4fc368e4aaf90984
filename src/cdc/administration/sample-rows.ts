import type { TableSample } from '../../../schemas/database.ts'
import { NotFoundError } from '../../errors.ts'
import { ColumnTypes } from '../decoding/column-types.ts'
import { parseTableName, quoteIdentifier, quoteTable, tableText, type TableName } from '../mappings/table-name.ts'
import { generatedColumnsVersion } from '../source/published-table.ts'
import { SourceError, type SourceClient } from '../source/source.ts'

/** Longer values are cut: they are shown to a person, and a page of them must stay small. */
const valueLengthMax = 2000

interface ColumnRow { name: string, type: number, primary: number | null, generated: string, version: number }

const columnsSql = `
  select a.attname::text as name, a.atttypid::bigint::float8 as type, a.attgenerated::text as generated,
    current_setting('server_version_num')::int as version,
    (select k.ordinal::int from pg_index i cross join unnest(i.indkey) with ordinality k(attnum, ordinal)
      where i.indrelid = c.oid and i.indisprimary and k.attnum = a.attnum and k.ordinal <= i.indnkeyatts) as primary
  from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
  where n.nspname = $1 and c.relname = $2 and c.relkind in ('r', 'p') and a.attnum > 0 and not a.attisdropped
  order by a.attnum`

/**
 * Reads a few rows of a table, the latest ones by primary key, with their values as the stream would carry them. Throws
 * NotFoundError `TABLE_NOT_FOUND`.
 */
export async function readSampleRows (client: SourceClient, text: string, limit: number): Promise<TableSample> {
  const table = parseTableName(text)
  const { rows: all } = await client.query<ColumnRow>(columnsSql, [table.schema, table.name])
  if (!all.every(isColumn)) throw malformed()
  if (all.length === 0) {
    throw new NotFoundError('TABLE_NOT_FOUND', `The connected database has no table ${tableText(table)}`)
  }
  const isInStream = ({ generated, version }: ColumnRow) =>
    generated === '' || (generated === 's' && version >= generatedColumnsVersion)
  const columns = all.filter(isInStream)
  const types = new ColumnTypes()
  await types.load(client, columns.map(({ type }) => type))
  const rows = columns.length === 0 ? [] : await readTexts(client, table, all, columns, limit)
  return {
    rows: rows.map(row => Object.fromEntries(columns.map(({ name, type }, i) => [name, decoded(row[i], types, type)]))),
    omitted: all.filter(column => !isInStream(column)).map(({ name }) => name)
  }
}

/** Reads the values as the texts of their types' output functions, as the stream has them. */
async function readTexts (
  client: SourceClient, table: TableName, all: readonly ColumnRow[], columns: readonly ColumnRow[], limit: number
): Promise<(string | null)[][]> {
  const values = columns.map(({ name }) => {
    const column = `t.${quoteIdentifier(name)}`
    // `format` uses the output function, which a cast of a boolean or of a padded text does not.
    return `case when num_nulls(${column}) = 0 then left(format('%s', ${column}), ${valueLengthMax + 1}) end`
  })
  const key = all.filter(({ primary }) => primary !== null).sort((a, b) => Number(a.primary) - Number(b.primary))
  const order = key.map(({ name }) => `t.${quoteIdentifier(name)} desc`).join(', ')
  const { rows }: { rows: { texts: (string | null)[] }[] } = await client.query(
    `select array[${values.join(', ')}]::text[] as texts from ${quoteTable(table)} t ${
      order === '' ? '' : `order by ${order}`
    } limit ${limit}`
  )
  if (rows.length > limit || !rows.every(({ texts }) => areTexts(texts, columns.length))) throw malformed()
  return rows.map(({ texts }) => texts)
}

/** A cut value stays text: it no longer has the form of its type. */
function decoded (text: string | null | undefined, types: ColumnTypes, type: number): unknown {
  if (text === null || text === undefined) return null
  return text.length > valueLengthMax ? `${text.slice(0, valueLengthMax)}…` : types.of(type)(text)
}

/** A server may return anything: values that are passed on must have the expected types. */
const isColumn = ({ name, type, generated }: ColumnRow): boolean =>
  typeof name === 'string' && typeof type === 'number' && typeof generated === 'string'
const areTexts = (texts: unknown, length: number): boolean =>
  Array.isArray(texts) && texts.length === length &&
  texts.every(value => value === null || typeof value === 'string')
const malformed = () => new SourceError('SOURCE_PROTOCOL', '(the result of a query is malformed)')
