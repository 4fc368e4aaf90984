import type { ConnectionCheck } from '../../../../schemas/database.ts'
import type { CompiledMapping } from '../../mappings/compiled-mapping.ts'
import { tableText, type TableName } from '../../mappings/table-name.ts'
import { isFull, readPublishedTable } from '../../source/published-table.ts'
import type { SourceClient } from '../../source/source.ts'
import { problemsOf } from '../../source/table-problems.ts'
import { fullIdentitySql, whyNotFull } from '../../source/table-repairs.ts'
import { failed, ok, type Subject } from './check.ts'

/** Checks whether old values of the table are available, and what affects its mappings. Reports each problem once. */
export async function examineTable (
  client: SourceClient, { publication }: Subject, name: TableName, mappings: readonly CompiledMapping[]
): Promise<ConnectionCheck[]> {
  const table = await readPublishedTable(client, publication, name)
  if (table === undefined) return [failed('replica_identity', `The table ${tableText(name)} does not exist`)]
  const problems = new Map(
    mappings.flatMap(mapping => problemsOf(table, mapping)).map(problem => [problem.message, problem])
  )
  const checks = [...problems.values()].filter(({ code, harm }) => code !== 'REPLICA_IDENTITY' || harm === 'writes')
    .map(({ code, message, harm, sql }): ConnectionCheck => ({
      name: code === 'REPLICA_IDENTITY' ? 'replica_identity' : 'table',
      status: harm === 'none' ? 'warning' : 'failed',
      message,
      ...(sql !== undefined && { sql })
    }))
  if (checks.some(check => check.name === 'replica_identity')) return checks
  if (isFull(table)) return [ok('replica_identity', `The old values of ${tableText(name)} are available`), ...checks]
  const sql = fullIdentitySql(table)
  const message = `Only the key of the old values of ${
    tableText(name)
  } is available: the platform cannot tell whether another column has changed${whyNotFull(table)}`
  return [{ name: 'replica_identity', status: 'warning', message, ...(sql !== undefined && { sql }) }, ...checks]
}
