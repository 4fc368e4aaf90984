import type pg from 'pg'

/** A column of a statement's result, as PostgreSQL describes it without running the statement. */
export interface ResultColumn {
  name: string
  /** For example `int8` or `_text`. */
  type: string
  /** A value as pg reads it. */
  sample: unknown
  /** Whether the table's column allows null; undefined for an expression or a column of a view. */
  isNullable: boolean | undefined
}

/** A session whose statements are described, as far as it decides how values are read. */
export type Reader = Pick<pg.ClientBase, 'getTypeParser'>

export type Describe = (text: string, reader: Reader) => Promise<ResultColumn[]>

/** Commands of the replication protocol. PostgreSQL describes their results only when they run. */
const commands = new Set(['IDENTIFY_SYSTEM'])

/**
 * Describes statements through a session, and commands through a replication session. Throws PostgreSQL's error for a
 * statement that it cannot prepare.
 */
export async function describer (client: pg.Client, replication: pg.Client): Promise<Describe> {
  const { rows: known } = await client.query<{ oid: number, name: string, element: string | null }>(`
    select t.oid, t.typname::text as name, e.typname::text as element
    from pg_type t left join pg_type e on e.oid = t.typelem and t.typcategory = 'A'`)
  const typesByOid = new Map(known.map(({ oid, name, element }) => [oid, { name, element }]))
  const { rows: attributes } = await client.query<{ place: string, nullable: boolean }>(`
    select a.attrelid || '.' || a.attnum as place, not a.attnotnull as nullable
    from pg_attribute a join pg_class c on c.oid = a.attrelid where c.relkind in ('r', 'p')`)
  const nullables = new Map(attributes.map(({ place, nullable }) => [place, nullable]))

  return async (text, reader) => {
    const fields = commands.has(text) ? (await replication.query(text)).fields : await fieldsOf(client, text)
    return fields.map(({ name, dataTypeID, tableID, columnID }) => {
      const type = typesByOid.get(dataTypeID)
      if (type === undefined) throw new Error(`unknown type ${dataTypeID} of ${name}`)
      const parse = reader.getTypeParser(dataTypeID, 'text') as (text: string) => unknown
      return {
        name,
        type: type.name,
        sample: parse(sampleOf(type)),
        isNullable: nullables.get(`${tableID}.${columnID}`)
      }
    })
  }
}

const samples: Record<string, string> = {
  text: 'a', varchar: 'a', name: 'a', char: 'a', unknown: 'a', uuid: '00000000-0000-0000-0000-000000000000',
  int2: '1', int4: '1', int8: '1', float4: '1', float8: '1', numeric: '1', oid: '1', xid: '1', pg_lsn: '0/0', bool: 't',
  bytea: '\\x00', json: '{}', jsonb: '{}', timestamptz: '2000-01-01 00:00:00+00', void: ''
}

function sampleOf ({ name, element }: { name: string, element: string | null }): string {
  const sample = samples[element ?? name]
  if (sample === undefined) throw new Error(`add a sample value of the type ${element ?? name}`)
  return element === null ? sample : `{${sample}}`
}

/** Lets PostgreSQL parse and describe a statement: pg itself describes only statements that it runs. */
function fieldsOf (client: pg.Client, text: string): Promise<pg.FieldDef[]> {
  return new Promise((resolve, reject) => {
    let fields: pg.FieldDef[] = []
    client.query({
      submit (connection: pg.Connection) {
        connection.parse({ name: '', text, types: [] }, true)
        connection.describe({ type: 'S', name: '' }, true)
        connection.sync()
      },
      handleRowDescription (message: { fields: pg.FieldDef[] }) { fields = message.fields },
      handleError: reject,
      handleReadyForQuery: () => resolve(fields)
    })
  })
}
