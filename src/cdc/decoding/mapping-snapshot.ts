import type { ActiveDefinition } from '../../database/active-definitions.ts'
import { compileMapping, type CompiledMapping } from '../mappings/compiled-mapping.ts'
import { tableKey, tableText, type TableName } from '../mappings/table-name.ts'

/** Names a mapping in the delivery log. */
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

/** Compiles what is enabled in a scope. */
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
