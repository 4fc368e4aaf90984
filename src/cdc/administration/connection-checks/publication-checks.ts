import type { ConnectionCheck } from '../../../../schemas/database.ts'
import { tableText, type TableName } from '../../mappings/table-name.ts'
import { addTableSql, isPublished } from '../../source/publication.ts'
import { readPublishedTable } from '../../source/published-table.ts'
import { createPublicationSql, readFacts, readPublication } from '../../source/slot.ts'
import type { SourceClient } from '../../source/source.ts'
import { writeProblems } from '../../source/table-problems.ts'
import { failed, ok, type Subject } from './check.ts'
import { readServerLimits } from './server-limits.ts'

/** Checks whether the publication has the tables, or can be created with them. */
export async function examinePublication (
  client: SourceClient, subject: Subject, tables: readonly TableName[]
): Promise<ConnectionCheck[]> {
  const { version } = await readFacts(client)
  const { publication } = subject
  if (await readPublication(client, publication) === undefined) {
    return await checkCreation(client, subject, tables, version)
  }
  const checks = [ok('publication', `The publication ${publication} exists`)]
  for (const table of tables) checks.push(await checkPublished(client, subject, table))
  return checks
}

async function checkCreation (
  client: SourceClient, { publication, user }: Subject, tables: readonly TableName[], version: number
): Promise<ConnectionCheck[]> {
  const { can_create: canCreate } = await readServerLimits(client)
  if (!canCreate) {
    return [failed(
      'publication',
      `The publication ${publication} does not exist, and ${user} may not create it`,
      createPublicationSql(publication, version)
    )]
  }
  const foreign = await foreignTables(client, tables)
  return [
    ok('publication', `The publication ${publication} will be created`),
    ...foreign.map(table =>
      failed(
        'table',
        `${user} does not own ${tableText(table)} and cannot add it to a publication`,
        addTableSql(publication, table)
      )
    )
  ]
}

async function checkPublished (
  client: SourceClient, { publication, user }: Subject, table: TableName
): Promise<ConnectionCheck> {
  const found = await isPublished(client, publication, table)
  if (found === 'missing') {
    return failed('table', `The table ${tableText(table)} does not exist or is not visible to ${user}`)
  }
  if (found) return ok('table', `${tableText(table)} is in the publication`)
  // No statement is offered while publishing the table would break the owner's writes: the replica identity has to be
  // fixed first, and has its own check.
  const seen = await readPublishedTable(client, publication, table)
  const isHarmless = seen !== undefined && writeProblems(seen).length === 0
  return {
    name: 'table',
    status: 'warning',
    message: `${tableText(table)} is not in the publication; enabling a mapping adds it if ${user} owns both`,
    ...(isHarmless && { sql: addTableSql(publication, table) })
  }
}

/** Returns the tables that the user does not own: only an owner can add a table to a publication. */
async function foreignTables (client: SourceClient, tables: readonly TableName[]): Promise<TableName[]> {
  const foreign: TableName[] = []
  for (const table of tables) {
    const { rows: [row] } = await client.query<{ owned: boolean }>(
      `
      select pg_has_role(c.relowner, 'USAGE') as owned
      from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = $1 and c.relname = $2`,
      [table.schema, table.name]
    )
    if (row?.owned === false) foreign.push(table)
  }
  return foreign
}
