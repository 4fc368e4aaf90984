import type { Kysely } from 'kysely'
import type { Database } from '../../../db/tables.ts'
import type { Preview, PreviewBody } from '../../../schemas/database.ts'
import type { Scope } from '../../../schemas/scope.ts'
import { jsonEqual } from '../../documents/json-equal.ts'
import { ValidationError } from '../../errors.ts'
import { encodeJson, invalid } from '../../foundation/json.ts'
import { compileMapping, type Unmatched } from './compiled-mapping.ts'
import { MissingColumnError } from './conditions.ts'
import { readMapping } from './mapping-rows.ts'
import { givenValues, missing, type RowChange } from './row-change.ts'
import { tableText, type TableName } from './table-name.ts'

const reasons: Record<Unmatched, string> = {
  operation: 'The operation is not in events',
  triggerColumns: 'None of the trigger columns has changed',
  when: 'The condition does not hold',
  unknown: 'The condition depends on values that are unknown'
}

/** Previews the event that a mapping would make of a change. Uses the reader's evaluation and has no side effects. */
export function createPreview ({ db }: { db: Kysely<Database> }) {
  return async function preview (scope: Scope, body: PreviewBody): Promise<Preview> {
    const { mapping, mappingId, row, oldRow } = body
    if ((mapping === undefined) === (mappingId === undefined)) {
      throw invalid('/mapping', 'or /mappingId is required, but not both')
    }
    encodeJson(row, '/row')
    if (oldRow !== undefined) encodeJson(oldRow, '/oldRow')
    const compiled = compileMapping(mapping ?? (await readMapping(db, scope, mappingId as string)).definition)
    try {
      const evaluation = compiled.evaluate(supposed(body, compiled.table))
      if (!evaluation.matched) return { matched: false, reason: reasons[evaluation.reason] }
      const { payload, unavailable, unverified } = evaluation
      return {
        matched: true,
        reason: compiled.definition.when === undefined ? 'The mapping has no condition' : 'The condition holds',
        event: {
          topic: compiled.definition.topic,
          type: 'database.event',
          source: 'database',
          payload,
          meta: {
            table: tableText(compiled.table),
            operation: body.operation,
            ...(unavailable.length > 0 && { unavailable }),
            ...(unverified.length > 0 && { unverified })
          }
        }
      }
    } catch (error) {
      if (error instanceof MissingColumnError) {
        return { matched: false, reason: `The row has no column ${error.column.slice(0, 100)}` }
      }
      if (error instanceof ValidationError) {
        return { matched: false, reason: `The payload cannot be published: ${error.message}` }
      }
      throw error
    }
  }
}
export type PreviewMapping = ReturnType<typeof createPreview>

function supposed ({ operation, row, oldRow }: PreviewBody, { schema, name }: TableName): RowChange {
  const values = givenValues(row)
  const old = operation === 'insert' ? undefined : operation === 'delete' ? values : oldRow && givenValues(oldRow)
  return {
    operation,
    row: values,
    old,
    changed (column) {
      if (operation !== 'update') return true
      const [before, after] = [old?.get(column), values.get(column)]
      if (after === missing || before === missing) throw new MissingColumnError(column)
      return old === undefined ? undefined : !jsonEqual(before, after)
    },
    event: { operation, table: name, schema, lsn: '0/0', xid: 0, committedAt: Date.now() }
  }
}
