import type { MappingDefinition, Operation } from '../../../schemas/database.ts'
import { encodeJson, invalid } from '../../foundation/json.ts'
import { parseCondition, type Condition } from './conditions.ts'
import type { RowChange } from './row-change.ts'
import { parseTableName, type TableName } from './table-name.ts'
import { parseTemplate, wholeRow, type Template } from './template.ts'

/** Why a change makes no event. */
export type Unmatched = 'operation' | 'triggerColumns' | 'when' | 'unknown'

export type Evaluation =
  | { matched: false, reason: Unmatched }
  | {
    matched: true
    payload: unknown /** JSON text of the payload. */
    text: string
    unavailable: string[]
    unverified: string[]
  }

export interface CompiledMapping {
  readonly definition: MappingDefinition
  readonly table: TableName
  /** The columns that the mapping names, each with the first path that names it. */
  readonly columns: ReadonlyMap<string, string>
  /** The columns that are compared with their old values. */
  readonly watched: readonly string[]
  /**
   * Throws when the mapping cannot be applied to the change, for example because a column is missing or the payload is
   * too large.
   */
  evaluate (change: RowChange): Evaluation
}

/**
 * Compiles a mapping. The reader and the preview both evaluate the result. Throws ValidationError with the path of the
 * invalid part.
 */
export function compileMapping (definition: MappingDefinition): CompiledMapping {
  const columns = new Map<string, string>()
  const note = (column: string, path: string) => { if (!columns.has(column)) columns.set(column, path) }
  const table = parseTableName(definition.table)
  const operations: ReadonlySet<Operation> = new Set(definition.events)
  const triggers = definition.triggerColumns
  for (const [i, column] of (triggers ?? []).entries()) note(column, `/triggerColumns/${i}`)
  const watched = new Set(triggers)
  const template: Template = definition.payload === undefined
    ? wholeRow
    : parseTemplate(checked(definition.payload, '/payload'), '/payload', note)
  const condition: Condition = definition.when === undefined
    ? () => true
    : parseCondition(checked(definition.when, '/when'), '/when', note)
  collectWatched(definition.when, watched)

  return {
    definition,
    table,
    columns,
    watched: [...watched],
    evaluate (change) {
      if (!operations.has(change.operation)) return { matched: false, reason: 'operation' }
      if (
        triggers !== undefined && change.operation === 'update' &&
        !triggers.some(column => change.changed(column) ?? true)
      ) {
        return { matched: false, reason: 'triggerColumns' }
      }
      const truth = condition(change)
      if (truth !== true) return { matched: false, reason: truth === false ? 'when' : 'unknown' }
      const unavailable: string[] = []
      const payload = template(change, unavailable)
      const unverified = watched.size === 0 || change.operation !== 'update'
        ? []
        : [...watched].filter(column => change.changed(column) === undefined)
      return { matched: true, payload, text: encodeJson(payload, '/payload'), unavailable, unverified }
    }
  }
}

/** Requires that the value is within the limits for stored JSON. */
function checked (value: unknown, path: string): unknown {
  encodeJson(value, path)
  return value
}

function collectWatched (when: unknown, watched: Set<string>): void {
  if (Array.isArray(when)) for (const one of when) collectWatched(one, watched)
  if (typeof when !== 'object' || when === null || Array.isArray(when)) return
  for (const [name, operand] of Object.entries(when)) {
    if (name === 'changed') watched.add(typeof operand === 'string' ? operand : (operand as { column: string }).column)
    else if (['not', 'and', 'or'].includes(name)) collectWatched(operand, watched)
  }
}

/** Throws ValidationError for the first column that the table does not have. */
export function requireColumns (mapping: CompiledMapping, table: TableName, existing: ReadonlySet<string>): void {
  for (const [column, path] of mapping.columns) {
    if (!existing.has(column)) {
      throw invalid(
        path, `names a column that ${table.schema}.${table.name} does not have: ${column.slice(0, 100)}`
      )
    }
  }
}
