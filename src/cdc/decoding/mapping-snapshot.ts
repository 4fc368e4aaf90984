import { sql, type Kysely } from 'kysely'
import { compileMapping, type CompiledMapping } from '../mappings/compiled-mapping.ts'
import { tableKey, tableText, type TableName, parseTableName } from '../mappings/table-name.ts'
import type { Database } from '../../../db/tables.ts'
import type { MappingDefinition } from '../../../schemas/database.ts'
import type { Scope } from '../../../schemas/scope.ts'

/** Identifies a mapping in the delivery log. */
export interface MappingReference { id: string, subscriptionId: string, topic: string, table: string }

/** A mapping that a subscription has enabled, as it runs in the environment. */
export interface ActiveMapping {
  readonly id: string
  readonly subscriptionId: string
  readonly compiled: CompiledMapping
  readonly reference: MappingReference
}

export interface MappingSnapshot {
  readonly revision: number
  readonly definitions: readonly ActiveDefinition[]
  readonly byTable: ReadonlyMap<string, readonly ActiveMapping[]>
  readonly tables: readonly TableName[]
}

/** Compiles the enabled mappings of a scope. */
export function toSnapshot (revision: number, definitions: readonly ActiveDefinition[]): MappingSnapshot {
  const byTable = new Map<string, ActiveMapping[]>()
  const tables: TableName[] = []
  for (const { id, subscriptionId, definition } of definitions) {
    const compiled = compileMapping(definition)
    const reference = { id, subscriptionId, topic: definition.topic, table: tableText(compiled.table) }
    const key = tableKey(compiled.table)
    const others = byTable.get(key)
    if (others === undefined) tables.push(compiled.table)
    byTable.set(key, [...others ?? [], { id, subscriptionId, compiled, reference }])
  }
  return { revision, definitions, byTable, tables }
}

export interface ActiveDefinition { id: string, subscriptionId: string, definition: MappingDefinition }

/** Reads the enabled mappings of a scope, as they run there. */
export async function readActiveDefinitions (
  db: Kysely<Database>, { applicationId, environment }: Scope
): Promise<ActiveDefinition[]> {
  const { rows } = await sql<{ id: string, subscription_id: string, definition: string }>`
    select s.id as subscription_id, m.id,
      case when m.environment = s.environment then m.definition else v.definition end as definition
    from mapping_subscriptions s join mappings m on m.id = s.mapping_id
    left join mapping_environments e on e.mapping_id = m.id and e.environment = s.environment
    left join mapping_versions v on v.mapping_id = m.id and v.version = e.version
    where s.application_id = ${applicationId} and s.environment = ${environment} and s.active
      and (m.environment = s.environment or v.version is not null)
    order by m.created_at, m.id`.execute(db)
  return rows.map(row => ({
    id: row.id, subscriptionId: row.subscription_id, definition: JSON.parse(row.definition) as MappingDefinition
  }))
}

export async function readActiveTables (db: Kysely<Database>, scope: Scope): Promise<TableName[]> {
  return (await readActiveDefinitions(db, scope)).map(({ definition }) => parseTableName(definition.table))
}
