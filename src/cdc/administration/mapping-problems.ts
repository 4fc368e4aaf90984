import { sql, type Kysely } from 'kysely'
import type { Database } from '../../../db/tables.ts'
import type { MappingDefinition, MappingProblem } from '../../../schemas/database.ts'
import type { Scope } from '../../../schemas/scope.ts'
import { compileMapping, type CompiledMapping } from '../mappings/compiled-mapping.ts'
import { addTableSql, isPublished } from '../source/publication.ts'
import type { SourceClient } from '../source/source.ts'
import type { Source, SourcePool } from '../threads/source-pool.ts'
import { tableKey, tableText, type TableName } from '../mappings/table-name.ts'
import { readPublishedTable, type PublishedTable } from '../source/published-table.ts'
import { problemsOf, type TableProblem } from '../source/table-problems.ts'
import { readTable, type SourceTable } from '../source/tables.ts'

/**
 * Reads what keeps the mappings of a scope from working or from reading old values, as far as its database is
 * reachable.
 */
export function createMappingProblems ({ db, sources }: { db: Kysely<Database>, sources: SourcePool }) {
  return async function readProblems (
    scope: Scope, definitions: readonly MappingDefinition[]
  ): Promise<Map<MappingDefinition, MappingProblem[]>> {
    if (definitions.length === 0) return new Map()
    const { rows: topics } = await sql<{ name: string }>`
      select name from topics where application_id = ${scope.applicationId} and environment = ${scope.environment}
        and name = any(${definitions.map(({ topic }) => topic)}::text[])`.execute(db)
    const registered = new Set(topics.map(({ name }) => name))
    const found = await sources.ifPossible(scope, (client, source) => findProblems(client, source, definitions))
    return new Map(definitions.map(definition => {
      const { topic } = definition
      const unregistered: MappingProblem = {
        code: 'TOPIC_NOT_FOUND', message: `The topic ${topic} is not registered in ${scope.environment}`
      }
      const ofTable = (found?.get(definition) ?? []).map(({ harm: _, ...problem }): MappingProblem => problem)
      return [definition, [...registered.has(topic) ? [] : [unregistered], ...ofTable]]
    }))
  }
}
export type ReadMappingProblems = ReturnType<typeof createMappingProblems>

/**
 * Reads the problems of the tables and columns of mappings from the connected database. `harm` is `none` if the mapping
 * works nevertheless, or would once it is enabled.
 */
export async function findProblems (
  client: SourceClient, source: Source, definitions: readonly MappingDefinition[]
): Promise<Map<MappingDefinition, TableProblem[]>> {
  const { publication } = source
  const tables = new Map<string, SeenTable>()
  const problems = new Map<MappingDefinition, TableProblem[]>()
  for (const definition of definitions) {
    const mapping = compileMapping(definition)
    const key = tableKey(mapping.table)
    const seen = tables.get(key) ?? await seeTable(client, publication, mapping.table)
    tables.set(key, seen)
    problems.set(definition, seenProblems(mapping, seen, source))
  }
  return problems
}

interface SeenTable { table: SourceTable | undefined, isPublished: boolean, published: PublishedTable | undefined }

async function seeTable (client: SourceClient, publication: string, name: TableName): Promise<SeenTable> {
  return {
    table: await readTable(client, name),
    isPublished: await isPublished(client, publication, name) === true,
    published: await readPublishedTable(client, publication, name)
  }
}

function seenProblems (
  mapping: CompiledMapping, { table, isPublished, published }: SeenTable, { publication, row }: Source
): TableProblem[] {
  const name = tableText(mapping.table)
  if (table === undefined || published === undefined) {
    return [{
      harm: 'loss',
      code: 'TABLE_NOT_FOUND',
      message: `The table ${name} does not exist in the connected database or is not visible to its user`
    }]
  }
  if (table.root !== null) {
    return [{
      harm: 'loss',
      code: 'TABLE_IS_PARTITION',
      message: `${name} is a partition: its changes arrive under ${tableText(table.root)}. Map that table instead`
    }]
  }
  const found = problemsOf(published, mapping)
  const problems = [...found]
  // Not offered while the statement would be refused or would break the source application's writes.
  if (!isPublished && !found.some(({ harm }) => harm !== 'none')) {
    problems.push({
      harm: row.owns_publication ? 'none' : 'loss',
      code: 'NOT_PUBLISHED',
      message: `${name} is not in the publication; enabling a mapping adds it if the user owns both`,
      sql: addTableSql(publication, mapping.table)
    })
  }
  const columns = new Set(table.columns.map(column => column.name))
  for (const column of mapping.columns.keys()) {
    if (columns.has(column)) continue
    problems.push({ harm: 'loss', code: 'COLUMN_NOT_FOUND', message: `${name} has no column ${column}` })
  }
  return problems
}
