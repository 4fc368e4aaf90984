import type { Kysely } from 'kysely'
import type { Database } from '../../../db/tables.ts'
import type { MappingDefinition, PromotionCheck } from '../../../schemas/database.ts'
import type { Scope } from '../../../schemas/scope.ts'
import { jsonEqual } from '../../documents/json-equal.ts'
import { findProblems } from './mapping-problems.ts'
import type { SourcePool } from '../threads/source-pool.ts'
import { parseTableName, tableText } from '../mappings/table-name.ts'
import { readTable } from '../source/tables.ts'

/**
 * Checks the topic, schema and table in the target environment. No failed check prevents a promotion, because
 * promoting does not enable the mapping.
 */
export async function checkPromotion (
  { db, sources }: { db: Kysely<Database>, sources: SourcePool }, to: Scope, from: Scope, definition: MappingDefinition
): Promise<PromotionCheck[]> {
  const topicIn = (scope: Scope) =>
    db.selectFrom('topics').select('active_schema_version as version')
      .where('application_id', '=', scope.applicationId).where('environment', '=', scope.environment).where(
        'name', '=', definition.topic
      ).executeTakeFirst()
  const [there, here] = await Promise.all([topicIn(to), topicIn(from)])
  const { topic } = definition
  return [
    there === undefined
      ? { name: 'topic', status: 'failed', message: `The topic ${topic} is not registered in ${to.environment}` }
      : { name: 'topic', status: 'ok', message: `The topic ${topic} is registered in ${to.environment}` },
    await schemaCheck(db, { topic, to, from, there: there?.version ?? null, here: here?.version ?? null }),
    await tableCheck(sources, to, definition)
  ]
}

async function schemaCheck (
  db: Kysely<Database>,
  { topic, to, from, there, here }: {
    topic: string
    to: Scope
    from: Scope
    there: number | null
    here: number | null
  }
): Promise<PromotionCheck> {
  if (there === null) {
    return {
      name: 'schema',
      status: here === null ? 'ok' : 'warning',
      message: `No schema of ${topic} is active in ${to.environment}${
        here === null ? '' : `; in ${from.environment}, version ${here} is active`
      }`
    }
  }
  if (here === null) {
    return {
      name: 'schema',
      status: 'warning',
      message:
        `Version ${there} of the schema of ${topic} is active in ${to.environment}; ${from.environment} has no ` +
          'active schema'
    }
  }
  const textOf = async (scope: Scope, version: number) =>
    (await db.selectFrom('schemas').select('schema')
      .where('application_id', '=', scope.applicationId).where('environment', '=', scope.environment).where(
        'topic', '=', topic
      ).where('version', '=', version)
      .executeTakeFirst())?.schema ?? 'null'
  const [target, source] = await Promise.all([textOf(to, there), textOf(from, here)])
  if (jsonEqual(JSON.parse(target), JSON.parse(source))) {
    return {
      name: 'schema',
      status: 'ok',
      message: `The active schema of ${topic} is the same in ${to.environment} and ${from.environment}`
    }
  }
  return {
    name: 'schema',
    status: 'warning',
    message:
        `The active schema of ${topic} in ${to.environment} (version ${there}) differs from that in ` +
          `${from.environment} (version ${here})`
  }
}

async function tableCheck (sources: SourcePool, to: Scope, definition: MappingDefinition): Promise<PromotionCheck> {
  const name = parseTableName(definition.table)
  const found = await sources.ifPossible(to, async (client, source) => ({
    table: await readTable(client, name), problems: await findProblems(client, source, [definition])
  }))
  if (found === undefined) {
    return {
      name: 'table',
      status: 'warning',
      message: `No database is connected in ${to.environment}, or it cannot be reached now`
    }
  }
  if (found.table === undefined) {
    return {
      name: 'table',
      status: 'failed',
      message: `The database of ${to.environment} has no table ${tableText(name)}`
    }
  }
  const problem = found.problems.get(definition)?.find(({ code }) => code !== 'NOT_PUBLISHED')
  if (problem !== undefined) {
    const { message, sql: statement } = problem
    return { name: 'table', status: 'warning', message, ...(statement !== undefined && { sql: statement }) }
  }
  return {
    name: 'table',
    status: 'ok',
    message: `The database of ${to.environment} has the table ${tableText(name)}`
  }
}
