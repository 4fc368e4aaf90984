import { sql, type Kysely } from 'kysely'
import type { Database } from '../../../db/tables.ts'
import type { Mapping, MappingDefinition } from '../../../schemas/database.ts'
import type { Environment, Scope } from '../../../schemas/scope.ts'
import { NotFoundError } from '../../errors.ts'

/** A mapping as a scope sees it: at home the working copy, elsewhere the version that was promoted there. */
export interface MappingRow {
  id: string
  applicationId: string
  home: Environment
  /** Null at home. */
  version: number | null
  definition: MappingDefinition
  lastVersion: number
  /** The version of the working copy's latest snapshot, or the version last rolled back to. */
  homeVersion: number | null
  createdAt: number
  updatedAt: number
}

interface Row {
  id: string
  application_id: string
  environment: Environment
  version: number | null
  definition: string
  topic: string
  last_version: number
  home_version: number | null
  created_at: number
  updated_at: number
}

export interface RowsWanted { id?: string, topic?: string, limit?: number }

/**
 * Reads mappings, oldest first. A mapping that is neither at home in the environment nor promoted to it is not found.
 */
export async function readMappings (
  db: Kysely<Database>, { applicationId, environment }: Scope, { id, topic, limit }: RowsWanted
): Promise<MappingRow[]> {
  const { rows } = await sql<Row>`
    select * from (
      select m.id, m.application_id, m.environment,
        case when m.environment = ${environment} then null else v.version end as version,
        case when m.environment = ${environment} then m.definition else v.definition end as definition,
        case when m.environment = ${environment} then m.topic else v.topic end as topic,
        m.last_version, m.home_version, m.created_at, m.updated_at
      from mappings m
      left join mapping_environments e on e.mapping_id = m.id and e.environment = ${environment}
      left join mapping_versions v on v.mapping_id = m.id and v.version = e.version
      where m.application_id = ${applicationId} and (m.environment = ${environment} or v.version is not null)
        ${id === undefined ? sql`` : sql`and m.id = ${id}`}) seen
    ${topic === undefined ? sql`` : sql`where topic = ${topic}`}
    order by created_at, id ${limit === undefined ? sql`` : sql`limit ${limit}`}`.execute(db)
  return rows.map(row => ({
    id: row.id,
    applicationId: row.application_id,
    home: row.environment,
    version: row.version,
    definition: JSON.parse(row.definition) as MappingDefinition,
    lastVersion: row.last_version,
    homeVersion: row.home_version,
    createdAt: row.created_at,
    updatedAt: row.updated_at
  }))
}

/** Throws NotFoundError `MAPPING_NOT_FOUND`. */
export async function readMapping (db: Kysely<Database>, scope: Scope, id: string): Promise<MappingRow> {
  const [row] = await readMappings(db, scope, { id })
  if (row === undefined) throw new NotFoundError('MAPPING_NOT_FOUND', `Mapping not found: ${id}`)
  return row
}

export const toMapping = (
  { id, definition, home, version, applicationId, createdAt, updatedAt }: MappingRow
): Mapping => ({ id, ...definition, environment: home, version, applicationId, createdAt, updatedAt })
