import type { DataOf } from '../app/api.ts'
import type { ItemOf } from '../app/queries.ts'

export type Table = ItemOf<DataOf<'/api/database/tables'>>
export type TableColumn = Table['columns'][number]

const part = (name: string): string => (/[".]/.test(name) ? `"${name.replaceAll('"', '""')}"` : name)

/** The name of a table as a mapping has it: without the schema `public`. */
export const tableName = ({ schema, name }: Pick<Table, 'schema' | 'name'>): string =>
  schema === 'public' ? part(name) : `${part(schema)}.${part(name)}`

const partForm = '(?:"((?:[^"]|"")+)"|([^".]+))'
const nameForm = new RegExp(`^${partForm}(?:\\.${partForm})?$`, 'u')

/** Finds the table that a mapping names, with or without the schema and quotes. */
export function findTable (tables: readonly Table[] | undefined, text: string): Table | undefined {
  const [, firstQuoted, firstPlain, secondQuoted, secondPlain] = nameForm.exec(text) ?? []
  const first = firstQuoted?.replaceAll('""', '"') ?? firstPlain
  const second = secondQuoted?.replaceAll('""', '"') ?? secondPlain
  const [schema, name] = second === undefined ? ['public', first] : [first, second]
  return tables?.find(table => table.schema === schema && table.name === name)
}

const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`

export interface TableWarning {
  tone: 'critical' | 'warning' | 'info'
  message: string
  sql?: string
}

/** The limits of a table as a source of events, with the statement that removes each. */
export function warningsOf (table: Table): TableWarning[] {
  const full = `ALTER TABLE ${quoted(table.schema)}.${quoted(table.name)} REPLICA IDENTITY FULL;`
  const hasKey = table.primaryKey.length > 0
  const generated = table.columns.filter(({ generated }) => generated).map(({ name }) => name)
  const warnings: TableWarning[] = []
  if (table.replicaIdentity === 'nothing' || (table.replicaIdentity === 'default' && !hasKey)) {
    warnings.push({
      tone: 'critical',
      message:
        'The table has no replica identity. Once it is published, PostgreSQL refuses updates and deletes of it, so ' +
        'enabling a mapping is refused. Add a primary key, or identify rows by all their columns.',
      sql: full
    })
  } else if (table.replicaIdentity !== 'full') {
    warnings.push({
      tone: 'warning',
      message:
        'The stream has only the key of old rows. Trigger columns, “changed” and $old need the full replica identity.',
      sql: full
    })
  }
  if (generated.length > 0) {
    warnings.push({
      tone: 'info',
      message: `The stream has generated columns only from PostgreSQL 18 on, if they are stored: ${generated.join(
        ', '
      )}.`
    })
  }
  if (table.partitioned) {
    warnings.push({
      tone: 'info',
      message: 'The table is partitioned: the weakest replica identity among its partitions counts.'
    })
  }
  return warnings
}
