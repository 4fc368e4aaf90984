import type { Kysely } from 'kysely'
import type { Database } from '../../../db/tables.ts'
import type { ConnectionCheck, ConnectionTest, ConnectionTestBody } from '../../../schemas/database.ts'
import type { Scope } from '../../../schemas/scope.ts'
import { readActiveDefinitions } from '../decoding/mapping-snapshot.ts'
import { compileMapping, type CompiledMapping } from '../mappings/compiled-mapping.ts'
import { readMappings } from '../mappings/mapping-rows.ts'
import { tableKey } from '../mappings/table-name.ts'
import { parseConnectionString } from '../source/connection-string.ts'
import { refusePlatformDatabase } from '../source/platform-database.ts'
import { carriesMark } from '../source/slot-ownership.ts'
import { isOwnSlot, type SlotRow } from '../source/slot.ts'
import { SourceError, toConversationError, type SourceClient, type SourceProblem } from '../source/source.ts'
import type { Source, SourcePool } from '../threads/source-pool.ts'
import type { SourceThreads } from '../threads/source-threads.ts'
import { failed, ok, problemOf, type Subject } from './connection-checks/check.ts'
import { examinePublication } from './connection-checks/publication-checks.ts'
import { examineServer } from './connection-checks/server-checks.ts'
import { examineSlot } from './connection-checks/slot-check.ts'
import { examineTable } from './connection-checks/table-checks.ts'

export interface ConnectionTestOptions {
  db: Kysely<Database>
  sources: SourcePool
  threads: SourceThreads
  namePrefix: string
}

/** Tests each precondition for reading a database and reports the statement that fixes it. */
export function createConnectionTest ({ db, sources, threads, namePrefix }: ConnectionTestOptions) {
  async function subjectOf (scope: Scope, body: ConnectionTestBody): Promise<Subject> {
    const stored = body.connectionString === undefined ? await sources.get(scope) : await sources.find(scope)
    const connectionString = body.connectionString ?? stored?.connectionString as string
    const slot = body.slot ?? stored?.slot ?? `${namePrefix}_test`
    return {
      connectionString,
      publication: body.publication ?? stored?.publication ?? `${namePrefix}_test`,
      slot,
      user: parseConnectionString(connectionString).user,
      isOwn: stored?.slot === slot ? await ownership(stored) : () => false
    }
  }

  async function ownership ({ slot, row }: Source): Promise<(found: SlotRow) => boolean> {
    const position = await db.selectFrom('cdc_positions').select(['slot', 'confirmed_lsn']).where(
      'connection_id', '=', row.id
    ).executeTakeFirst()
    const lsn = position?.slot === slot ? position.confirmed_lsn : row.slot_lsn
    return found => isOwnSlot(found, { isMarked: carriesMark(slot, row.mark), lsn })
  }

  /** Returns the mappings of the scope, enabled or not. */
  async function mappingsOf (scope: Scope): Promise<CompiledMapping[]> {
    const definitions = [...await readActiveDefinitions(db, scope), ...await readMappings(db, scope, { limit: 1000 })]
    return [...new Map(definitions.map(({ id, definition }) => [id, compileMapping(definition)])).values()]
  }

  return async function test (scope: Scope, body: ConnectionTestBody): Promise<ConnectionTest> {
    const subject = await subjectOf(scope, body)
    const mappings = await mappingsOf(scope)
    const checks = await threads.within(
      scope.applicationId, subject.connectionString, client => examine(db, client, subject, mappings)
    ).catch((error: unknown) => {
      if (error instanceof SourceError) return [failed('reachability', error.message)]
      throw error
    })
    return { ok: checks.every(({ status }) => status !== 'failed'), checks }
  }
}
export type TestConnection = ReturnType<typeof createConnectionTest>

const checkNames: Partial<Record<SourceProblem, string>> = { SOURCE_UNSUPPORTED: 'version', SOURCE_REFUSED: 'database' }

async function examine (
  db: Kysely<Database>, client: SourceClient, subject: Subject, mappings: readonly CompiledMapping[]
): Promise<ConnectionCheck[]> {
  const checks = [ok('reachability', 'The database is reachable')]
  try {
    await refusePlatformDatabase(db, client)
    checks.push(...await examineServer(client, subject))
    checks.push(await examineSlot(client, subject))
    const tables = new Map(mappings.map(({ table }) => [tableKey(table), table]))
    checks.push(...await examinePublication(client, subject, [...tables.values()]))
    for (const [key, table] of tables) {
      checks.push(
        ...await examineTable(client, subject, table, mappings.filter(mapping => tableKey(mapping.table) === key))
      )
    }
  } catch (error) {
    const problem = toConversationError(error)
    const name = problem instanceof SourceError ? checkNames[problem.code] : undefined
    checks.push(failed(name ?? 'examination', problemOf(problem)))
  }
  return checks
}
