import { sql, type Kysely } from 'kysely'
import type { Database } from '../../db/tables.ts'
import type { MappingDefinition } from '../../schemas/database.ts'
import type { Scope } from '../../schemas/scope.ts'
import { parseTableName, type TableName } from '../cdc/mappings/table-name.ts'

export interface ActiveDefinition { id: string, subscriptionId: string, definition: MappingDefinition }

/** What is switched on in a scope, as it runs there. */
export async function readActiveDefinitions (db: Kysely<Database>, { applicationId, environment }: Scope): Promise<ActiveDefinition[]> {
  const { rows } = await sql<{ id: string, subscription_id: string, definition: string }>`
    select s.id as subscription_id, m.id, case when m.environment = s.environment then m.definition else v.definition end as definition
    from mapping_subscriptions s join mappings m on m.id = s.mapping_id
    left join mapping_environments e on e.mapping_id = m.id and e.environment = s.environment
    left join mapping_versions v on v.mapping_id = m.id and v.version = e.version
    where s.application_id = ${applicationId} and s.environment = ${environment} and s.active and (m.environment = s.environment or v.version is not null)
    order by m.created_at, m.id`.execute(db)
  return rows.map(row => ({ id: row.id, subscriptionId: row.subscription_id, definition: JSON.parse(row.definition) as MappingDefinition }))
}

export async function readActiveTables (db: Kysely<Database>, scope: Scope): Promise<TableName[]> {
  return (await readActiveDefinitions(db, scope)).map(({ definition }) => parseTableName(definition.table))
}
