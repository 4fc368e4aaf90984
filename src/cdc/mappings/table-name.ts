import { invalid } from '../../foundation/json.ts'

export interface TableName { schema: string, name: string }

/** PostgreSQL's NAMEDATALEN - 1, in bytes. */
const identifierBytesMax = 63
const part = '(?:"((?:[^"]|"")+)"|([^".]+))'
const form = new RegExp(`^${part}(?:\\.${part})?$`, 'u')

/**
 * Parses `name` or `schema.name`, exactly as in the catalogue: case is not folded. Parts that contain a dot are quoted
 * as in SQL. Throws ValidationError.
 */
export function parseTableName (text: string, path = '/table'): TableName {
  const parts = form.exec(text)
  if (parts === null) {
    throw invalid(path, 'must be name or schema.name; quote parts that contain dots or quotes as in SQL')
  }
  const [first, second] = [partOf(parts[1], parts[2]), partOf(parts[3], parts[4])]
  for (const name of [first, second]) {
    if (name !== undefined && Buffer.byteLength(name) > identifierBytesMax) {
      throw invalid(path, `must have parts of at most ${identifierBytesMax} bytes`)
    }
  }
  return second === undefined ? { schema: 'public', name: first as string } : { schema: first as string, name: second }
}

const partOf = (quoted: string | undefined, plain: string | undefined) => quoted?.replaceAll('""', '"') ?? plain

export const tableKey = ({ schema, name }: TableName): string => JSON.stringify([schema, name])

/** Formats a table for people, as a mapping names it. */
export const tableText = ({ schema, name }: TableName): string => `${schema}.${name}`

export const quoteIdentifier = (name: string): string => `"${name.replaceAll('"', '""')}"`
export const quoteTable = ({ schema, name }: TableName): string => `${quoteIdentifier(schema)}.${quoteIdentifier(name)}`
