import { sql, type Kysely } from 'kysely'
import type { Database } from '../../../db/tables.ts'
import type { MappingQuery, MappingStatus } from '../../../schemas/database.ts'
import { environments, type Environment, type Scope } from '../../../schemas/scope.ts'
import { isAllowed } from '../../identity/access/permissions.ts'
import type { Principal } from '../../identity/access/principal.ts'
import { jsonEqual } from '../../documents/json-equal.ts'
import type { PageOf } from '../../foundation/paging.ts'
import type { ReadMappingProblems } from './mapping-problems.ts'
import { readMappingPage } from '../mappings/mapping-page.ts'
import type { MappingRow } from '../mappings/mapping-rows.ts'

type Grid = MappingStatus['environments']

/** Reports which version of each mapping runs in which environment, and what keeps it from working in this one. */
export function createMappingStatus (
  { db, readProblems }: { db: Kysely<Database>, readProblems: ReadMappingProblems }
) {
  /**
   * Reads the environments of each mapping, with its version there and whether it is enabled; also whether the working
   * copy differs from its latest snapshot.
   */
  async function readGrid (rows: readonly MappingRow[]): Promise<Map<string, { grid: Grid, changed: boolean }>> {
    const ids = rows.map(({ id }) => id)
    const { rows: promoted } = await sql<{ id: string, environment: Environment, version: number }>`
      select mapping_id as id, environment, version from mapping_environments where mapping_id = any(${ids}::text[])`
      .execute(db)
    const { rows: active } = await sql<{ id: string, environment: Environment }>`
      select mapping_id as id, environment from mapping_subscriptions where mapping_id = any(${ids}::text[]) and active`
      .execute(db)
    const { rows: snapshots } = await sql<{ id: string, working: string, taken: string | null }>`
      select m.id, m.definition as working, v.definition as taken from mappings m
      left join mapping_versions v on v.mapping_id = m.id and v.version = m.home_version
      where m.id = any(${ids}::text[])`
      .execute(db)
    return new Map(rows.map(row => {
      const grid = Object.fromEntries(environments.map(environment => [environment, {
        version: environment === row.home
          ? row.homeVersion
          : promoted.find(one => one.id === row.id && one.environment === environment)?.version ?? null,
        active: active.some(one => one.id === row.id && one.environment === environment)
      }])) as Grid
      const own = snapshots.find(one => one.id === row.id)
      const changed = own?.taken == null || !jsonEqual(JSON.parse(own.working), JSON.parse(own.taken))
      return [row.id, { grid, changed }]
    }))
  }

  /** Includes other environments only if the principal may read them. */
  return async function status (
    principal: Principal, scope: Scope, query: MappingQuery
  ): Promise<PageOf<MappingStatus>> {
    const { items: rows, nextCursor } = await readMappingPage(db, scope, query)
    const [grids, problems] = await Promise.all([
      readGrid(rows), readProblems(scope, rows.map(({ definition }) => definition))
    ])
    const isSeen = ([environment]: [string, unknown]) =>
      isAllowed(principal, { ...scope, environment: environment as Environment }, 'mappings:read')
    const items = rows.map(({ id, definition, home }) => {
      const { grid, changed } = grids.get(id) as { grid: Grid, changed: boolean }
      return {
        id, table: definition.table, topic: definition.topic, environment: home, changed,
        environments: Object.fromEntries(Object.entries(grid).filter(isSeen)), problems: problems.get(definition) ?? []
      }
    })
    return { items, nextCursor }
  }
}
export type ReadMappingStatus = ReturnType<typeof createMappingStatus>
