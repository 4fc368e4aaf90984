import { sql, type Kysely } from 'kysely'
import type { Database } from '../../db/tables.ts'
import type { PageQuery } from '../../schemas/common.ts'
import type { MappingDefinition, MappingProblem, MappingStatus } from '../../schemas/database.ts'
import { environments, type Environment, type Scope } from '../../schemas/scope.ts'
import { isAllowed } from '../auth/permissions.ts'
import type { Principal } from '../auth/principal.ts'
import { jsonEqual } from '../documents/json-equal.ts'
import { decodeCursor, toPage, type PageOf } from '../paging.ts'
import { compileMapping, type CompiledMapping } from './compiled-mapping.ts'
import { readMappings, type MappingRow } from './mapping-rows.ts'
import { addTableSql, isPublished } from './publication.ts'
import type { SourceClient } from './source.ts'
import type { Source, Sources } from './sources.ts'
import { tableKey, tableText, type TableName } from './table-name.ts'
import { problemsOf, readPublishedTable, type PublishedTable } from './table-problems.ts'
import { readTable, type SourceTable } from './tables.ts'

type Grid = MappingStatus['environments']

/** Which version of each mapping runs where, and what keeps it from doing so here. */
export function createMappingStatus ({ db, sources }: { db: Kysely<Database>, sources: Sources }) {
  /** One mapping's environments, each with its version and whether it is on; at home, whether there is anything newer than the snapshot. */
  async function readGrid (rows: readonly MappingRow[]): Promise<Map<string, { grid: Grid, changed: boolean }>> {
    const ids = rows.map(({ id }) => id)
    const { rows: promoted } = await sql<{ id: string, environment: Environment, version: number }>`
      select mapping_id as id, environment, version from mapping_environments where mapping_id = any(${ids}::text[])`.execute(db)
    const { rows: active } = await sql<{ id: string, environment: Environment }>`
      select mapping_id as id, environment from mapping_subscriptions where mapping_id = any(${ids}::text[]) and active`.execute(db)
    const { rows: snapshots } = await sql<{ id: string, working: string, taken: string | null }>`
      select m.id, m.definition as working, v.definition as taken from mappings m
      left join mapping_versions v on v.mapping_id = m.id and v.version = m.home_version where m.id = any(${ids}::text[])`.execute(db)
    return new Map(rows.map(row => {
      const grid = Object.fromEntries(environments.map(environment => [environment, {
        version: environment === row.home ? row.homeVersion : promoted.find(one => one.id === row.id && one.environment === environment)?.version ?? null,
        active: active.some(one => one.id === row.id && one.environment === environment)
      }])) as Grid
      const own = snapshots.find(one => one.id === row.id)
      const changed = own?.taken == null || !jsonEqual(JSON.parse(own.working), JSON.parse(own.taken))
      return [row.id, { grid, changed }]
    }))
  }

  async function readProblems (scope: Scope, rows: readonly MappingRow[]): Promise<Map<string, MappingProblem[]>> {
    const { rows: topics } = await sql<{ name: string }>`
      select name from topics where application_id = ${scope.applicationId} and environment = ${scope.environment}
        and name = any(${rows.map(({ definition }) => definition.topic)}::text[])`.execute(db)
    const registered = new Set(topics.map(({ name }) => name))
    const found = await sources.ifPossible(scope, (client, source) => lookAt(client, source, rows.map(({ definition }) => definition)))
    return new Map(rows.map(({ id, definition }) => {
      const problems = found?.get(definition) ?? []
      const topic: MappingProblem[] = registered.has(definition.topic) ? [] : [{ code: 'TOPIC_NOT_FOUND', message: `The topic ${definition.topic} is not registered in ${scope.environment}` }]
      return [id, [...topic, ...problems]]
    }))
  }

  /** Of other environments, those that the principal may look into. */
  return async function status (principal: Principal, scope: Scope, { limit = 100, cursor }: PageQuery): Promise<PageOf<MappingStatus>> {
    const after = cursor === undefined ? undefined : decodeCursor(cursor, ['number', 'string']) as [number, string]
    const rows = await readMappings(db, scope, { limit: limit + 1, ...(after !== undefined && { after }) })
    const [grids, problems] = await Promise.all([readGrid(rows), rows.length === 0 ? new Map<string, MappingProblem[]>() : readProblems(scope, rows)])
    const isSeen = ([environment]: [string, unknown]) => isAllowed(principal, { ...scope, environment: environment as Environment }, 'database:read')
    return toPage(rows, limit, ({ id, definition, home }) => {
      const { grid, changed } = grids.get(id) as { grid: Grid, changed: boolean }
      return { id, table: definition.table, topic: definition.topic, environment: home, changed, environments: Object.fromEntries(Object.entries(grid).filter(isSeen)), problems: problems.get(id) ?? [] }
    }, row => [row.createdAt, row.id])
  }
}
export type ReadMappingStatus = ReturnType<typeof createMappingStatus>

async function lookAt (client: SourceClient, { publication }: Source, definitions: readonly MappingDefinition[]): Promise<Map<MappingDefinition, MappingProblem[]>> {
  const tables = new Map<string, SeenTable>()
  const problems = new Map<MappingDefinition, MappingProblem[]>()
  for (const definition of definitions) {
    const mapping = compileMapping(definition)
    const key = tableKey(mapping.table)
    const seen = tables.get(key) ?? await lookAtTable(client, publication, mapping.table)
    tables.set(key, seen)
    problems.set(definition, seenProblems(mapping, seen, publication))
  }
  return problems
}

interface SeenTable { table: SourceTable | undefined, isPublished: boolean, published: PublishedTable | undefined }

async function lookAtTable (client: SourceClient, publication: string, name: TableName): Promise<SeenTable> {
  return {
    table: await readTable(client, name),
    isPublished: await isPublished(client, publication, name) === true,
    published: await readPublishedTable(client, publication, name)
  }
}

function seenProblems (mapping: CompiledMapping, { table, isPublished, published }: SeenTable, publication: string): MappingProblem[] {
  const name = tableText(mapping.table)
  if (table === undefined || published === undefined) return [{ code: 'TABLE_NOT_FOUND', message: `The connected database has no table ${name}, or its user may not see it` }]
  if (table.root !== null) return [{ code: 'TABLE_IS_PARTITION', message: `${name} is a partition, whose changes are those of ${tableText(table.root)}: map that` }]
  const found = problemsOf(published, mapping)
  const problems: MappingProblem[] = found.map(({ code, message, sql }) => ({ code, message, ...(sql !== undefined && { sql }) }))
  // As it is, the statement would be refused, or break what the source application does to the table.
  if (!isPublished && !found.some(({ harm }) => harm !== 'none')) {
    problems.push({ code: 'NOT_PUBLISHED', message: `${name} is not in the publication; switching a mapping on adds it, if the user owns both`, sql: addTableSql(publication, mapping.table) })
  }
  const columns = new Set(table.columns.map(column => column.name))
  for (const column of mapping.columns.keys()) if (!columns.has(column)) problems.push({ code: 'COLUMN_NOT_FOUND', message: `${name} has no column ${column}` })
  return problems
}
