import type { DeploymentCheck } from '../../schemas/deployments.ts'
import type { MappingDefinition } from '../../schemas/database.ts'
import type { Scope } from '../../schemas/scope.ts'
import { findProblems } from '../cdc/administration/mapping-problems.ts'
import { parseTableName, tableText } from '../cdc/mappings/table-name.ts'
import type { SourcePool } from '../cdc/threads/source-pool.ts'

/**
 * Checks the tables of mappings in the database that is connected in the target. A problem within whose limits the
 * mapping works does not fail its check, but is described in it.
 */
export async function checkTables (
  sources: SourcePool, target: Scope, definitions: readonly MappingDefinition[]
): Promise<Map<MappingDefinition, DeploymentCheck[]>> {
  if (definitions.length === 0) return new Map()
  const { environment } = target
  const all = (check: DeploymentCheck) => new Map(definitions.map(definition => [definition, [check]]))
  if (await sources.find(target) === undefined) {
    return all({
      name: 'database', ok: false,
      message: `No database is connected in ${environment}. Connect one with PUT /api/database/connection`
    })
  }
  const found = await sources.ifPossible(target, (client, source) => findProblems(client, source, definitions))
  if (found === undefined) {
    return all({
      name: 'database', ok: false,
      message: `The database of ${environment} cannot be reached now, so its tables cannot be checked`
    })
  }
  return new Map(definitions.map(definition => {
    const table = tableText(parseTableName(definition.table))
    const problems = found.get(definition) ?? []
    const checks = problems.map(({ harm, message, sql }): DeploymentCheck => ({
      name: 'table', ok: harm === 'none', message, ...(sql !== undefined && { sql })
    }))
    const fine: DeploymentCheck = {
      name: 'table', ok: true, message: `The database of ${environment} has the table ${table} with all columns`
    }
    return [definition, [
      { name: 'database', ok: true, message: `The database of ${environment} can be reached` },
      ...checks.length === 0 ? [fine] : checks
    ]]
  }))
}
